# SPDX-License-Identifier: GPL-3.0-or-later
"""One user's mail on this replica: shards on SQLite, bodies, and what is derived from them."""
