# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAP as bytes and rules, without I/O: framing, grammar, responses, session, commands."""
