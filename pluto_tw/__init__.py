# SPDX-License-Identifier: GPL-3.0-or-later
"""A distributed IMAP server on conflict-free replicated data types."""
