# SPDX-License-Identifier: GPL-3.0-or-later
"""
How soon an account forgets what all members have, and how much of it in one go.

What is forgotten is decided by `pluto_tw.crdt.stability`; `replica.py` keeps this pace. It is an
argument, as time is: simulations let a day pass in seconds.
"""

from dataclasses import dataclass
from typing import Final

from pluto_tw.crdt.stability import FOLD_MAX

#: Folding waits so long after what it folds: a burst of changes is folded at once.
FOLD_SECONDS: Final = 5.0

#: Operations stay in the log so long after they are stable: a peer that comes back within a day
#: finds them and needs no snapshot. At 1,000 operations a day this is 150 KB an account.
LOG_MARGIN_SECONDS: Final = 24 * 3600.0

#: How long after folding the log is looked at: pruning can wait, and looking costs.
PRUNE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds; *fold_max*: messages that are folded in one commit."""

    fold_seconds: float = FOLD_SECONDS
    fold_max: int = FOLD_MAX
    prune_seconds: float = PRUNE_SECONDS
    log_margin_seconds: float = LOG_MARGIN_SECONDS
