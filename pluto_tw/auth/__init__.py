# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in: names, password hashes, SASL mechanisms, where users are kept."""
