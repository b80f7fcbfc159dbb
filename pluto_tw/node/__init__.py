# SPDX-License-Identifier: GPL-3.0-or-later
"""What joins the layers into services that run: configuration, identity, log, one file a role."""
