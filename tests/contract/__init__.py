# SPDX-License-Identifier: GPL-3.0-or-later
"""What any account must do, as tests: run against the one in memory and the one on disk."""
