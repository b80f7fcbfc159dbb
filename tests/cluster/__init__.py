# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of several replicas, as scripts."""
