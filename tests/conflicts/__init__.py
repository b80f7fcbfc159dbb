# SPDX-License-Identifier: GPL-3.0-or-later
"""What concurrent commands at two sites come to: a table, tests of it, a page made of it."""
