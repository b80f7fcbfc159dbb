# SPDX-License-Identifier: GPL-3.0-or-later
"""One file a command: its value, `parse` and `run`. The index is `pluto_tw.imap.table`."""
