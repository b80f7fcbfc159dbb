# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that need real sockets, processes or an installed package."""
