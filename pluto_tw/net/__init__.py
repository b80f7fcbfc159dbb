# SPDX-License-Identifier: GPL-3.0-or-later
"""Twisted shells that join client connections to the protocol cores."""
