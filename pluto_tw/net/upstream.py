# SPDX-License-Identifier: GPL-3.0-or-later
"""
A distributor's way to the replicas: which one takes a user, and the login there.

Decides how long each replica is given, in which order they are tried by what is known of them, and
what their answers mean. Which replicas a user has is `auth.routing`'s; what is said to one is
`replica.py`'s; what becomes of the bytes afterwards `splice.py`'s.

A replica that could not be reached is left out for `DOWN_SECONDS`, then one login tries it while
others go on without it: when it is back everybody is, and until then nobody else waits for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from pluto_tw.auth.routing import Router, Subnet, Target
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Connection, Disconnected, Elsewhere
from pluto_tw.mail.codes import LIMIT, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.proxy import Client, Header
from pluto_tw.net.replica import Answer, Login, NotReached, ReplicaProtocol
from pluto_tw.net.splice import Loss, Splice

log = Logger()

#: For a replica's connection, TLS included. In a region it takes a millisecond, around the world a
#: third of a second; the client waits meanwhile.
CONNECT_SECONDS_MAX: Final = 1.0

#: From there to the answer. A replica reads nothing from its disk for it: one that takes longer has
#: stopped.
ANSWER_SECONDS_MAX: Final = 2.0

#: For all replicas together. Programs give a login ten seconds or more before they tell a person.
LOGIN_SECONDS_MAX: Final = 5.0

#: How long a replica that could not be reached is left out. A process restarts in that time; and of
#: a machine that is away for long, one login in so many seconds loses `CONNECT_SECONDS_MAX`.
DOWN_SECONDS: Final = 5.0

#: What the way to a replica may fail with; all of it means that the replica is not there.
_AWAY: Final = (
    CancelledError,
    ConnectError,
    ConnectingCancelledError,
    NotReached,
    OSError,
    TimeoutError,
)


class Setback(Enum):
    """Why a replica did not take a login."""

    #: No connection, none in time, or none to whom it should be.
    AWAY = "away"
    #: It said that it cannot now.
    UNAVAILABLE = "unavailable"
    #: The user has too many connections there.
    LIMIT = "limit"
    #: It said something else: the two are not configured alike.
    REFUSED = "refused"


class LinkObserver(Protocol):
    """Keeps count of what becomes of logins at replicas."""

    def taken(self, replica: str, seconds: float, place: int) -> None:
        """
        *replica* has taken a login, *seconds* after it began. It is the *place*-th of the user's
        replicas, counted from 0: above that, the login went past others.
        """

    def failed(self, replica: str, setback: Setback) -> None:
        """*replica* has not taken a login."""

    def exhausted(self) -> None:
        """No replica has taken a login: the user was told NO [UNAVAILABLE]."""


class Upstream:
    """
    Logs users in at the replicas that *router*, which may be replaced at any time, has for them.

    *endpoint* gives the way to a target, with TLS where the target's place is not on this machine.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        router: Router,
        endpoint: Callable[[Target], IStreamClientEndpoint],
        observer: LinkObserver,
    ) -> None:
        self.reactor = reactor
        self.router = router
        self.endpoint = endpoint
        self.observer = observer
        #: Until when a replica that could not be reached is left out, by its name.
        self._down: dict[str, float] = {}

    async def open(self, user: User) -> Elsewhere:
        """What stands in for the account of *user*. No(UNAVAILABLE) if no replica has it."""
        subnet = self.router.route(user.id, user.key)
        if subnet is None:
            log.error(
                "user {id} is in the range of no worker: see UserStart and UserEnd",
                event="no-route",
                id=user.id,
            )
            raise No(UNAVAILABLE, "no server is known for this account")
        return Elsewhere(user.key, ReplicaLink(self, user, subnet))

    def states(self) -> Mapping[str, bool]:
        """
        Of each replica, by its name, whether the next login tries it.

        It is left out for `DOWN_SECONDS` after a login that did not reach it. Nothing is tried
        without a login, so one that was never tried, or not since, counts as there.
        """
        now = self.reactor.seconds()
        targets = self.router.targets()
        return {target.name: now >= self._down.get(target.name, now) for target in targets}

    def in_order(self, targets: Sequence[Target]) -> Iterable[tuple[int, Target]]:
        """*targets* with their places; those that are down come last, since they may be back."""
        now = self.reactor.seconds()
        return sorted(
            enumerate(targets), key=lambda entry: now < self._down.get(entry[1].name, now)
        )

    def tried(self, target: Target) -> None:
        """A login is about to try *target*; if that is down, others leave it out until then."""
        if target.name in self._down:
            self._down[target.name] = self.reactor.seconds() + DOWN_SECONDS

    def back(self, target: Target) -> None:
        """*target* has answered."""
        if self._down.pop(target.name, None) is not None:
            log.info("{replica} is back", event="replica-back", replica=target.name)

    def away(self, target: Target, reason: str) -> None:
        """*target* could not be reached; told once until it is back."""
        if target.name not in self._down:
            log.warn(
                "{replica} at {place} cannot be reached: {reason}. Logins go past it",
                event="replica-away",
                replica=target.name,
                place=str(target.place),
                reason=reason,
            )
        self._down[target.name] = self.reactor.seconds() + DOWN_SECONDS


class ReplicaLink:
    """`pluto_tw.imap.ports.Link`: the way of *user* to one of the replicas of *subnet*."""

    __slots__ = ("_awaited", "_closed", "_protocol", "_subnet", "_upstream", "_user")

    def __init__(self, upstream: Upstream, user: User, subnet: Subnet) -> None:
        self._upstream = upstream
        self._user = user
        self._subnet = subnet
        self._closed = False
        #: What is waited for in `open`.
        self._awaited: Deferred[Any] | None = None
        self._protocol: ReplicaProtocol | None = None

    async def open(self, tag: bytes, connection: Connection) -> bytes:
        """As `Link.open`. Disconnected if `close` was called meanwhile."""
        upstream = self._upstream
        began = upstream.reactor.seconds()
        until = began + LOGIN_SECONDS_MAX
        login = self._login(tag, connection)
        for place, target in upstream.in_order(self._subnet.targets):
            if upstream.reactor.seconds() >= until:
                break
            answer = await self._attempt(target, login, until)
            if self._closed:
                self._let_go()
                raise Disconnected
            if answer is not None and answer.status == "OK":
                seconds = upstream.reactor.seconds() - began
                upstream.observer.taken(target.name, seconds, place)
                return answer.lines
            self._let_go()
            setback = _setback(answer)
            upstream.observer.failed(target.name, setback)
            if answer is not None:
                self._judge(target, setback, answer)
        upstream.observer.exhausted()
        raise No(UNAVAILABLE, "your mail cannot be reached now, try again later")

    def join(self, client: Any, rest: bytes, lost: Callable[[Loss], None]) -> Splice | None:
        """See `ReplicaProtocol.join`; `open` has returned."""
        assert self._protocol is not None, "a link is joined once it is open"
        return self._protocol.join(client, rest, lost)

    def end_of_input(self) -> None:
        """The client, which is joined, sends no more."""
        if self._protocol is not None:
            self._protocol.end_of_input()

    def close(self) -> None:
        """As `Link.close`: what the client has sent is still sent on."""
        self._closed = True
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.cancel()
        self._let_go()

    def _login(self, tag: bytes, connection: Connection) -> Login:
        client = Client(connection.address, connection.port, connection.tls)
        return Login(Header(client, self._subnet.name, self._user.id), tag, self._user.key)

    async def _attempt(self, target: Target, login: Login, until: float) -> Answer | None:
        """What *target* answers; None if it could not be reached in time."""
        upstream = self._upstream
        upstream.tried(target)
        connected_by = min(until, upstream.reactor.seconds() + CONNECT_SECONDS_MAX)
        try:
            factory = _ReplicaFactory(upstream.reactor, target)
            connecting = upstream.endpoint(target).connect(factory)
            protocol: ReplicaProtocol = await self._in_time(connecting, connected_by)
            self._protocol = protocol
            await self._in_time(protocol.ready, connected_by)
            answered_by = min(until, upstream.reactor.seconds() + ANSWER_SECONDS_MAX)
            answer: Answer = await self._in_time(protocol.log_in(login), answered_by)
        except _AWAY as error:
            if not self._closed:
                upstream.away(target, _reason(error))
            return None
        upstream.back(target)
        return answer

    async def _in_time(self, waited_for: "Deferred[Any]", until: float) -> Any:
        """What *waited_for* gives; TimeoutError at *until*, CancelledError at `close`."""
        reactor = self._upstream.reactor
        waited_for.addTimeout(max(0.0, until - reactor.seconds()), reactor)
        self._awaited = waited_for
        try:
            return await waited_for
        finally:
            self._awaited = None

    def _judge(self, target: Target, setback: Setback, answer: Answer) -> None:
        """What *answer*, which is no OK, means. No: the login ends here; else others are tried."""
        emit = log.error if setback is Setback.REFUSED else log.warn
        emit(
            "{replica} does not take a user: {answer}",
            event="replica-refused",
            replica=target.name,
            answer=answer.text,
        )
        if setback is Setback.LIMIT:
            raise No(LIMIT, "too many connections")
        if setback is Setback.REFUSED:
            raise No(UNAVAILABLE, "your mail cannot be reached now, try again later")

    def _let_go(self) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.hang_up()


class _ReplicaFactory(Factory):
    noisy = False

    def __init__(self, reactor: IReactorTime, target: Target) -> None:
        self._reactor = reactor
        self._target = target

    def buildProtocol(self, addr: IAddress | None) -> ReplicaProtocol:
        return ReplicaProtocol(self._reactor, self._target)


def _setback(answer: Answer | None) -> Setback:
    if answer is None:
        return Setback.AWAY
    if answer.code == LIMIT:
        return Setback.LIMIT
    if answer.code == UNAVAILABLE or answer.status == "BYE":
        return Setback.UNAVAILABLE
    return Setback.REFUSED


def _reason(error: Exception) -> str:
    """*error* in words; most errors of networks have a text, a time-out has none worth reading."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error).removesuffix(".") or type(error).__name__
