# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replicas, links, clocks and mail clients in virtual time, held to the invariants of the account.

`python -m tests.simulation --seeds 100` runs a campaign; a seed names a run for ever, as long as
the code is the same.
"""
