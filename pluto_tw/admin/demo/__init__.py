# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration cluster: two regions on one machine, and the plug of each link to pull."""
