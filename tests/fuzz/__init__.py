# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that feed random input for as long as one likes, and the checks that they share."""
