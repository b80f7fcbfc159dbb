# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations, bodies and snapshots between the replicas of a subnet, and the channel they take."""
