# SPDX-License-Identifier: GPL-3.0-or-later
"""
The admin socket of a node: questions of `pluto status` and `pluto check`, a line of JSON each.

Who can connect may ask everything: the socket is the node's user's alone (`listening.py`). Answers
come in the order of the questions, one at a time; `docs/reference/admin-socket.md` has them all.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from pluto_tw.mail.errors import No

log = Logger()

#: A question names an account at most.
QUESTION_OCTETS_MAX: Final = 64 * 1024

#: Questions that wait while one is answered; a program asks, reads, and asks again.
QUESTIONS_MAX: Final = 64

#: Programs at a time: an operator's commands, and what watches the node.
CONNECTIONS_MAX: Final = 32

#: Answers, by what is asked.
Answers = Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]]


class Refused(Exception):
    """
    A question that has no answer; the text is for who asked.

    *away*: the question was for another replica, and that cannot be asked.
    """

    def __init__(self, text: str, *, away: bool = False) -> None:
        super().__init__(text)
        self.away = away


class AdminFactory(Factory):
    """What listens on the socket; *answers* is asked at each question."""

    noisy = False

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._connections: set[AdminProtocol] = set()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Called by Twisted; none for one connection too many, which is closed then."""
        return None if len(self._connections) >= CONNECTIONS_MAX else AdminProtocol(self)

    def stop(self) -> None:
        """Ends all connections, whatever is asked there."""
        for connection in list(self._connections):
            connection.abort()

    # What its connections call.

    def entered(self, connection: "AdminProtocol") -> None:
        """There is one more."""
        self._connections.add(connection)

    def left(self, connection: "AdminProtocol") -> None:
        """There is one less."""
        self._connections.discard(connection)


class AdminProtocol(LineOnlyReceiver):
    """One program that asks."""

    delimiter = b"\n"
    MAX_LENGTH = QUESTION_OCTETS_MAX

    def __init__(self, factory: AdminFactory) -> None:
        self._factory = factory
        self._questions: list[bytes] = []
        self._answering = False
        self._gone = False

    def connectionMade(self) -> None:
        """Called by Twisted."""
        self._factory.entered(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by Twisted."""
        self._gone = True
        self._questions.clear()
        self._factory.left(self)

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abortConnection()

    def lineReceived(self, line: bytes) -> None:
        """Called by Twisted for each question."""
        if len(self._questions) >= QUESTIONS_MAX:
            self.abort()
            return
        self._questions.append(line)
        if not self._answering:
            self._answering = True
            asked = Deferred.fromCoroutine(self._answer_all())
            asked.addErrback(lambda failure: log.failure("the admin socket: a bug", failure))

    async def _answer_all(self) -> None:
        try:
            while self._questions:
                answer = await _answer(self._factory.answers, self._questions.pop(0))
                if self._gone:
                    return
                self.sendLine(json.dumps(answer, ensure_ascii=True).encode("ascii"))
        finally:
            self._answering = False

    @property
    def _transport(self) -> Any:
        return self.transport


async def _answer(answers: Answers, line: bytes) -> Mapping[str, Any]:
    """The answer to one question; a fault of ours is logged, and is an answer too."""
    try:
        question = json.loads(line)
    except ValueError:
        return {"error": "a question is a line of JSON"}
    asked = question.get("ask") if isinstance(question, dict) else None
    found = answers.get(asked) if isinstance(asked, str) else None
    if found is None:
        return {"error": f'expected is "ask" with one of {", ".join(sorted(answers))}'}
    try:
        return {"ok": await found(question)}
    except Refused as refused:
        return {"error": str(refused), **({"away": True} if refused.away else {})}
    except No as no:
        return {"error": no.text}
    except Exception:
        log.failure("no answer to {asked}: this is a bug", event="admin-failed", asked=asked)
        return {"error": "internal error, it was logged"}


def text(question: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """The member *name* of a question. Raises `Refused`."""
    value = question.get(name, default)
    if not isinstance(value, str):
        raise Refused(f'expected is a text as "{name}"')
    return value


def number(question: Mapping[str, Any], name: str, default: int, maximum: int) -> int:
    """The member *name* of a question, from 1 to *maximum*. Raises `Refused`."""
    value = question.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise Refused(f'expected is a number from 1 to {maximum} as "{name}"')
    return value


def truth(question: Mapping[str, Any], name: str, default: bool) -> bool:
    """The member *name* of a question, true or false. Raises `Refused`."""
    value = question.get(name, default)
    if not isinstance(value, bool):
        raise Refused(f'expected is true or false as "{name}"')
    return value
