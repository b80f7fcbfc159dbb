# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of shards, bodies and facts on SQLite."""
