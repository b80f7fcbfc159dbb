# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that every package shares: flags, names, UIDs, sets, changes. Imports nothing of ours."""
