# SPDX-License-Identifier: GPL-3.0-or-later
"""The `pluto` command line: certificates, checks, the demonstration cluster."""
