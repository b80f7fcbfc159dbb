# SPDX-License-Identifier: GPL-3.0-or-later
"""
Asks running nodes over their admin sockets.

Without a reactor: a command asks, waits, and ends. Who asks several nodes sends all questions
before it reads the first answer, and then they work at the same time. What can be asked is in
`docs/reference/admin-socket.md`.
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

#: To be let in, and to be answered what is in memory.
ANSWER_SECONDS: Final = 10.0

#: For what a node has to work for, or to ask another one: a little more than it takes itself time.
WORK_SECONDS: Final = 660.0

#: An answer above this is none of ours: the longest lists the mailboxes of an account.
ANSWER_OCTETS_MAX: Final = 16 * 1024 * 1024

_READ_OCTETS: Final = 64 * 1024


class AskFailed(Exception):
    """There is no answer; the text says why, without the name of who was asked."""


class NobodyThere(AskFailed):
    """Nobody can be asked: the node does not run, or not as this user, or does not answer."""


class ReplicaAway(AskFailed):
    """The node that was asked cannot ask the replica that the question was for."""


class Asking:
    """
    A connection to the admin socket at *path*, closed at the end of a `with`. `NobodyThere`.

    Questions are answered in their order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._octets = b""
        try:
            # By the directory's descriptor, since the kernel takes only short names of sockets.
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NobodyThere(f"{path.parent}: {error.strerror}") from None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
        except OSError as error:
            self._socket.close()
            raise NobodyThere(f"{path}: {_reason(error)}") from None
        finally:
            os.close(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; what was asked is answered to nobody."""
        self._socket.close()

    def ask(
        self, question: Mapping[str, Any], seconds: float = ANSWER_SECONDS
    ) -> Mapping[str, Any]:
        """The answer to *question*, within *seconds*. Raises `AskFailed`."""
        self.send(question)
        return self.receive(seconds)

    def send(self, question: Mapping[str, Any]) -> None:
        """Asks; `receive` gives the answer. Raises `NobodyThere`."""
        try:
            self._socket.sendall(json.dumps(question).encode("ascii") + b"\n")
        except OSError as error:
            raise NobodyThere(f"{self._path}: {_reason(error)}") from None

    def receive(self, seconds: float = ANSWER_SECONDS) -> Mapping[str, Any]:
        """
        The answer to the first question that has none yet. Raises `AskFailed`.

        After `NobodyThere` the connection is of no more use.
        """
        try:
            answer = json.loads(self._line(seconds))
        except OSError as error:
            raise NobodyThere(f"{self._path}: {_reason(error)}") from None
        except ValueError:
            raise NobodyThere(f"{self._path}: what answers there is no node") from None
        match answer:
            case {"ok": dict(told)}:
                return told
            case {"error": str(text), "away": True}:
                raise ReplicaAway(text)
            case {"error": str(text)}:
                raise AskFailed(text)
            case _:
                raise NobodyThere(f"{self._path}: what answers there is no node")

    def _line(self, seconds: float) -> bytes:
        """The next line; a node that goes away ends it."""
        self._socket.settimeout(seconds)
        pieces = [self._octets]
        size = len(self._octets)
        while b"\n" not in pieces[-1]:
            some = self._socket.recv(_READ_OCTETS)
            if not some:
                raise ConnectionResetError(0, "the node has ended the connection")
            size += len(some)
            if size > ANSWER_OCTETS_MAX:
                raise ValueError("a line without an end")
            pieces.append(some)
        line, _, self._octets = b"".join(pieces).partition(b"\n")
        return line


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error)
