# SPDX-License-Identifier: GPL-3.0-or-later
"""
Python's collector of cyclic garbage, tuned for a process that serves.

By default it looks at the youngest objects after each 700 new ones: at a few appends each. Nearly
all that we make is freed by reference counts, so it finds nothing, at a tenth of an append's cost.
"""

import gc
from typing import Final

#: New objects, those freed taken off, before the collector looks. A command that names thousands
#: of messages is not interrupted by it more than a few times; cycles of closed connections, a few
#: KiB each, wait no longer than some tens of them.
YOUNG_OBJECTS: Final = 10_000

#: Looks at the young before the middle-aged are looked at too, and of those before all are.
_GENERATIONS: Final = 10


def tune_collector() -> None:
    """
    Called once, after everything was imported.

    What is there then, modules and classes, stays for ever and is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, _GENERATIONS, _GENERATIONS)
