# SPDX-License-Identifier: GPL-3.0-or-later
"""
Adapters by name: the entry points of the group `pluto_tw.auth` of all that is installed.

The configuration's `AuthAdapter` is such a name. Ours are entry points like anybody else's; a
package that brings another needs nothing of us but `UserAdapter`.
"""

from importlib.metadata import entry_points
from typing import Final

from pluto_tw.auth.users import Adapter

GROUP: Final = "pluto_tw.auth"


class AdapterUnknown(Exception):
    """There is no such adapter, or it cannot be loaded; the text says why."""


def names() -> list[str]:
    """The names of all adapters that are installed, in their order."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def adapter(name: str) -> Adapter:
    """The adapter called *name*. Raises `AdapterUnknown`."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise AdapterUnknown(f"one of the adapters that are installed: {', '.join(names())}")
    point = sorted(found, key=lambda point: point.value)[0]
    try:
        loaded: Adapter = point.load()
    except ImportError as error:
        raise AdapterUnknown(f"an adapter that can be loaded; {name}: {error}") from None
    return loaded
