# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message is made of: structure, envelope, offsets, text. No I/O."""
