# SPDX-License-Identifier: GPL-3.0-or-later
"""
What our hot paths cost, beside a yardstick and below a bound; see README.md here.

Every other module of this package is a benchmark and has `run() -> list[Figure]`.
"""
