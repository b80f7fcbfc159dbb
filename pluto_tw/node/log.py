# SPDX-License-Identifier: GPL-3.0-or-later
"""
The log of a node: one event a line, in JSON, on standard output; who starts the node keeps it.

Each line has `time` (UTC), `level`, `source` (the module that tells) and `message` (for people);
beside them stand the fields of the event by their own names, for programs. An event of an
exception has `traceback`.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.reflect import safe_str
from zope.interface import implementer

#: Names that each line has; a field of an event that is called so stands behind an underscore.
_OWN: Final = frozenset({"time", "level", "source", "message", "traceback"})

#: Fields that Twisted adds for observers of the older kind, and those of events of that kind.
_OLDER: Final = frozenset({"format", "isError", "system", "failure", "why"})
_OLDER_SOURCE: Final = "log_legacy"
_OLDER_EVENT: Final = _OLDER | {"message", "time"}

_RANK: Final = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}


@implementer(ILogObserver)
class JsonLines:
    """Writes events of *level* and above to *stream*. `level` may change at any time."""

    def __init__(self, stream: TextIO, level: str = "info") -> None:
        self._stream = stream
        self.level = level

    def __call__(self, event: LogEvent) -> None:
        if _RANK[_level(event)] < _RANK[LogLevel.levelWithName(self.level)]:
            return
        try:
            self._stream.write(line(event))
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads any more, and there is nobody left to tell.
            return


def json_lines() -> JsonLines:
    """The observer for `twistd --logger=pluto_tw.node.log.json_lines`."""
    return JsonLines(sys.stdout)


def line(event: LogEvent) -> str:
    """*event* as one line of JSON; fields that JSON cannot hold are told as text."""
    time = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    told: dict[str, Any] = {
        "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": _level(event).name,
        "source": event.get("log_namespace", ""),
        "message": formatEvent(event),
    }
    older = _OLDER_EVENT if told["source"] == _OLDER_SOURCE else _OLDER
    for name, value in event.items():
        if not name.startswith("log_") and name not in older:
            told[f"_{name}" if name in _OWN else name] = value
    failure = event.get("log_failure")
    if failure is not None:
        told["traceback"] = failure.getTraceback()
    return json.dumps(told, ensure_ascii=True, default=safe_str, skipkeys=True) + "\n"


def _level(event: LogEvent) -> Any:
    """
    The level of *event*. What Twisted tells in the older way and is no error is where its ports
    begin and end, under the names of classes; our own events tell that to operators.
    """
    level = event.get("log_level", LogLevel.info)
    if level is LogLevel.info and event.get("log_namespace") == _OLDER_SOURCE:
        return LogLevel.debug
    return level
