# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests stand on: an account in memory, a realm of a few users, wires that record."""
