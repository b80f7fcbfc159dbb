# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a name and a password are a user's, what that costs, and who waits."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth import authenticator
from pluto_tw.auth.authenticator import SUCCESS_SECONDS, WAIT_SECONDS_MAX, Authenticator
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.passwords import PasswordHash
from pluto_tw.auth.slowdown import ADDRESS_FAILURES_FREE, USER_FAILURES_FREE, Slowdown
from pluto_tw.auth.users import User
from pluto_tw.auth.users_file import Users, read_users
from pluto_tw.mail.codes import AUTHENTICATIONFAILED, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import ThreadHop
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.hop import HeldHop, SynchronousHop

T = TypeVar("T")

HERE, THERE = "192.0.2.1", "198.51.100.1"


class Counted:
    """A kept password that counts how often it is checked."""

    def __init__(self, password: PasswordHash) -> None:
        self.scheme, self.text = password.scheme, password.text
        self.checks = 0
        self._password = password

    def matches(self, password: bytes) -> bool:
        self.checks += 1
        return self._password.matches(password)


class Source:
    """The users of a file's *octets*; their passwords are counted."""

    def __init__(self, octets: bytes) -> None:
        self.write(octets)
        self.failure: Exception | None = None

    def write(self, octets: bytes) -> None:
        users = read_users(octets, ";").in_order
        self.passwords = [Counted(user.password) for user in users]
        counted = [
            User(user.id, user.key, user.name, password)
            for user, password in zip(users, self.passwords, strict=True)
        ]
        self.users = Users({user.key: user for user in counted}, counted)

    @property
    def checks(self) -> int:
        return sum(password.checks for password in self.passwords)

    async def find(self, key: AccountKey) -> User | None:
        if self.failure is not None:
            raise self.failure
        return self.users.by_key.get(key)

    def stand_in(self, number: int) -> PasswordHash | None:
        return self.passwords[number % len(self.passwords)] if self.passwords else None


class AuthenticatorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.source = Source(b"fred;secret\nmary;lamb\n")
        self.make(SynchronousHop())

    def make(self, *hops: ThreadHop) -> None:
        waiting = ReactorWaiting(self.clock)
        threads = HashingThreads(hops, waiting)
        slowdown = Slowdown(waiting.seconds)
        self.authenticator = Authenticator(self.source, threads, slowdown, waiting, b"k" * 16)

    def attempt(
        self, name: bytes = b"fred", password: bytes = b"secret", network: str | None = HERE
    ) -> Deferred[User]:
        return self.run_to_wait(self.authenticator.check(name, password, network))

    def run_to_wait(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work)

    def refusal(self, attempt: Deferred[Any]) -> str | None:
        failure = self.failureResultOf(attempt, No)
        assert isinstance(failure.value, No)
        return failure.value.code


class CheckTests(AuthenticatorCase):
    def test_right(self) -> None:
        user = self.successResultOf(self.attempt(b"FRED"))
        self.assertEqual((user.id, user.name), (1, "fred"))

    def test_wrong(self) -> None:
        for name, password in (
            (b"fred", b"Secret"),
            (b"fred", b""),
            (b"nobody", b"secret"),
            (b"\xff", b"secret"),
            (b"", b"secret"),
        ):
            self.assertEqual(self.refusal(self.attempt(name, password)), AUTHENTICATIONFAILED)

    def test_the_answer_tells_nothing(self) -> None:
        texts = {
            str(self.failureResultOf(self.attempt(name, password), No).value)
            for name, password in ((b"fred", b"x"), (b"nobody", b"x"), (b"\xff", b"x" * 9999))
        }
        self.assertEqual(texts, {"wrong name or password"})

    def test_a_name_that_nobody_has_costs_a_check_too(self) -> None:
        for number, name in enumerate((b"nobody", b"\xff\xfe", b" fred", b"fred"), 1):
            self.refusal(self.attempt(name, b"wrong"))
            self.assertEqual(self.source.checks, number)

    def test_the_password_of_the_stand_in_is_no_way_in(self) -> None:
        """Also after that user has logged in with it."""
        self.source.write(b"fred;secret\n")
        self.successResultOf(self.attempt())
        self.assertEqual(self.refusal(self.attempt(b"nobody")), AUTHENTICATIONFAILED)

    def test_without_users_nobody_comes_in(self) -> None:
        self.source.write(b"")
        self.assertEqual(self.refusal(self.attempt()), AUTHENTICATIONFAILED)

    def test_long_passwords_are_wrong_without_a_check(self) -> None:
        self.assertEqual(self.refusal(self.attempt(b"fred", b"x" * 1025)), AUTHENTICATIONFAILED)
        self.assertEqual(self.source.checks, 0)

    def test_forms_of_a_password(self) -> None:
        self.source.write("fred;é\n".encode())
        self.successResultOf(self.attempt(b"fred", "e\u0301".encode()))

    def test_the_source_may_fail(self) -> None:
        self.source.failure = No(UNAVAILABLE, "the database is away")
        self.assertEqual(self.refusal(self.attempt()), UNAVAILABLE)


class SuccessTests(AuthenticatorCase):
    def test_who_logged_in_lately_is_known(self) -> None:
        self.successResultOf(self.attempt())
        self.successResultOf(self.attempt(network=THERE))
        self.assertEqual(self.source.checks, 1)

    def test_not_for_long(self) -> None:
        self.successResultOf(self.attempt())
        self.clock.advance(SUCCESS_SECONDS)
        self.successResultOf(self.attempt())
        self.assertEqual(self.source.checks, 2)

    def test_not_with_another_password(self) -> None:
        self.successResultOf(self.attempt())
        self.refusal(self.attempt(password=b"secret2"))

    def test_not_after_the_password_has_changed(self) -> None:
        self.successResultOf(self.attempt())
        self.source.write(b"fred;other\n")
        self.refusal(self.attempt())

    def test_not_after_the_user_has_gone(self) -> None:
        self.successResultOf(self.attempt())
        self.source.write(b"#deleted\nmary;lamb\n")
        self.refusal(self.attempt())

    def test_memory_is_bounded(self) -> None:
        self.patch(authenticator, "SUCCESSES_KEPT", 1)
        for name, password in ((b"fred", b"secret"), (b"mary", b"lamb"), (b"fred", b"secret")):
            self.successResultOf(self.attempt(name, password))
        self.assertEqual(self.source.checks, 3)


class ThreadTests(AuthenticatorCase):
    def test_equal_attempts_are_checked_once(self) -> None:
        """A mail program opens ten connections at a time."""
        hop = HeldHop()
        self.make(hop)
        attempts = [self.attempt() for _ in range(10)]
        hop.finish()
        for attempt in attempts:
            self.successResultOf(attempt)
        self.assertEqual(self.source.checks, 1)

    def test_equal_wrong_attempts_too(self) -> None:
        hop = HeldHop()
        self.make(hop)
        attempts = [self.attempt(password=b"x") for _ in range(10)]
        hop.finish()
        for attempt in attempts:
            self.refusal(attempt)
        self.assertEqual(self.source.checks, 1)

    def test_first_come_first_served(self) -> None:
        hop = HeldHop()
        self.make(hop)
        first, second = self.attempt(), self.attempt(b"mary", b"lamb")
        self.assertEqual(hop.given, 1)
        hop.step()
        self.successResultOf(first)
        self.assertNoResult(second)
        hop.step()
        self.successResultOf(second)

    def test_a_fault_ends_all_that_wait_for_it_and_gives_the_thread_back(self) -> None:
        hop = HeldHop()
        self.make(hop)

        def broken(password: Counted, octets: bytes) -> bool:
            raise MemoryError

        self.patch(Counted, "matches", broken)
        attempts = [self.attempt(), self.attempt()]
        other = self.attempt(b"mary", b"lamb")
        hop.finish()
        for attempt in (*attempts, other):
            self.failureResultOf(attempt, MemoryError)


class FailureTests(AuthenticatorCase):
    def guess(self, number: int, network: str = HERE) -> Deferred[User]:
        return self.attempt(b"fred", b"guess%d" % number, network)

    def test_failures_make_later_attempts_wait(self) -> None:
        for number in range(USER_FAILURES_FREE + 1):
            self.refusal(self.guess(number))
        late = self.attempt()
        self.assertNoResult(late)
        self.clock.advance(0.5)
        self.successResultOf(late)

    def test_who_logged_in_lately_never_waits(self) -> None:
        self.successResultOf(self.attempt())
        for number in range(ADDRESS_FAILURES_FREE + 9):
            self.guess(number, THERE).addErrback(lambda failure: None)
        self.successResultOf(self.attempt())

    def test_a_thousand_guesses_at_once_have_no_head_start(self) -> None:
        hop = HeldHop()
        self.make(hop)
        guesses = [self.guess(number) for number in range(1000)]
        hop.finish()
        self.assertLessEqual(self.source.checks, USER_FAILURES_FREE + 1)
        for _ in range(61):
            self.clock.advance(0.5)
            hop.finish()
        self.assertLessEqual(self.source.checks, USER_FAILURES_FREE + 1 + 7)
        for guess in guesses:
            self.assertIn(self.refusal(guess), (AUTHENTICATIONFAILED, UNAVAILABLE))

    def test_who_would_wait_too_long_is_refused_for_now(self) -> None:
        """UNAVAILABLE, so that a program tries again and does not ask for another password."""
        waiting = [self.guess(number) for number in range(100)]
        self.clock.pump([0.5] * int(2 * WAIT_SECONDS_MAX + 1))
        codes = [self.refusal(attempt) for attempt in waiting]
        self.assertEqual(set(codes), {AUTHENTICATIONFAILED, UNAVAILABLE})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_attempts_at_once_are_bounded(self) -> None:
        """Of one network and in all, whether or not clients still wait for the answer."""
        self.patch(authenticator, "NETWORK_ATTEMPTS_MAX", 3)
        self.patch(authenticator, "ATTEMPTS_MAX", 5)
        hop = HeldHop()
        self.make(hop)
        here = [self.guess(number) for number in range(4)]
        self.assertEqual(self.refusal(here[3]), UNAVAILABLE)
        there = [self.guess(number, THERE) for number in range(3)]
        self.assertEqual(self.refusal(there[2]), UNAVAILABLE)
        hop.finish()
        for attempt in (*here[:3], *there[:2]):
            self.assertEqual(self.refusal(attempt), AUTHENTICATIONFAILED)
        # All have left, and room is there again.
        again = self.attempt()
        hop.finish()
        self.clock.advance(WAIT_SECONDS_MAX)
        hop.finish()
        self.successResultOf(again)
