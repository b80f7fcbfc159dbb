# SPDX-License-Identifier: GPL-3.0-or-later
"""One login at a user's replicas: whom it tries, for how long, and what their answers mean."""

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.passwords import read_password
from pluto_tw.auth.routing import Router, Subnet, Target, UnixPlace
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Connection, Disconnected
from pluto_tw.mail.codes import LIMIT, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.proxy import Client, Header, read_header
from pluto_tw.net.replica import ANSWER_OCTETS_MAX, HANG_UP_SECONDS_MAX
from pluto_tw.net.upstream import (
    ANSWER_SECONDS_MAX,
    CONNECT_SECONDS_MAX,
    DOWN_SECONDS,
    LOGIN_SECONDS_MAX,
    ReplicaLink,
    Setback,
    Upstream,
)
from tests.net.replicas import GREETING, WELCOME, Counting, Door


class LoginTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.doors = {name: Door() for name in ("eu", "us", "storage")}
        self.eu, self.us, self.storage = self.doors.values()
        targets = tuple(Target(name, UnixPlace(f"/{name}")) for name in self.doors)
        self.observer = Counting()
        self.subnet = Subnet("a", targets)
        self.upstream = Upstream(
            self.clock,
            Router([self.subnet]),
            lambda target: self.doors[target.name],  # type: ignore[arg-type,return-value]
            self.observer,
        )

    def log_in(self) -> "Deferred[bytes]":
        user = User(7, AccountKey("fred"), "Fred", read_password("secret"))
        self.link = ReplicaLink(self.upstream, user, self.subnet)
        connection = Connection("192.0.2.1", 40000, True, "TLSv1.3 TLS_AES_256_GCM_SHA384")
        return Deferred.fromCoroutine(self.link.open(b"t", connection))

    def assert_refused(self, login: "Deferred[bytes]", code: str) -> None:
        refusal = self.failureResultOf(login, No).value
        assert isinstance(refusal, No)
        self.assertEqual(refusal.code, code)

    def tries(self) -> list[int]:
        return [door.tries for door in self.doors.values()]


class TakenTests(LoginTestCase):
    def test_the_replica_is_told_who_and_whence(self) -> None:
        """The header, and EXTERNAL with the client's own tag."""
        self.log_in()
        said = self.eu.accept().said
        found = read_header(said)
        assert found is not None
        header, octets = found
        client = Client("192.0.2.1", 40000, "TLSv1.3 TLS_AES_256_GCM_SHA384")
        self.assertEqual(header, Header(client, "a", 7))
        self.assertEqual(said[octets:], b"t AUTHENTICATE EXTERNAL ZnJlZA==\r\n")

    def test_its_answer_is_the_clients_without_its_greeting(self) -> None:
        login = self.log_in()
        replica = self.eu.accept()
        for octet in GREETING + b"* NOTE\r\n" + WELCOME:
            self.assertNoResult(login)
            replica.say(bytes([octet]))
        self.assertEqual(self.successResultOf(login), b"* NOTE\r\n" + WELCOME)
        self.assertEqual(self.observer.taken_by, [("eu", 0)])
        self.assertEqual(replica.transport.producerState, "paused", "nobody would have more of it")

    def test_no_timer_is_left(self) -> None:
        login = self.log_in()
        self.eu.accept().say(GREETING, WELCOME)
        self.successResultOf(login)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PastTests(LoginTestCase):
    def test_the_next_is_tried_at_once_on_refusal(self) -> None:
        login = self.log_in()
        self.eu.refuse()
        self.us.accept().say(GREETING, WELCOME)
        self.successResultOf(login)
        self.assertEqual(self.clock.seconds(), 0)
        self.assertEqual(self.observer.taken_by, [("us", 1)])
        self.assertEqual(self.observer.setbacks, {("eu", Setback.AWAY): 1})

    def test_a_connection_has_a_second(self) -> None:
        self.log_in()
        self.clock.advance(CONNECT_SECONDS_MAX - 0.01)
        self.assertEqual(self.tries(), [1, 0, 0])
        self.clock.advance(0.02)
        self.assertEqual(self.tries(), [1, 1, 0])

    def test_an_answer_has_two(self) -> None:
        self.log_in()
        replica = self.eu.accept()
        replica.say(GREETING)
        self.clock.advance(ANSWER_SECONDS_MAX - 0.01)
        self.assertEqual(self.tries(), [1, 0, 0])
        self.clock.advance(0.02)
        self.assertEqual(self.tries(), [1, 1, 0])
        self.assertTrue(replica.transport.disconnecting)

    def test_all_together_have_five(self) -> None:
        login = self.log_in()
        for door in self.doors.values():
            door.accept().say(GREETING)
            self.clock.advance(ANSWER_SECONDS_MAX)
        self.assertLessEqual(self.clock.seconds(), LOGIN_SECONDS_MAX + 1)
        self.assert_refused(login, UNAVAILABLE)
        self.assertEqual(self.observer.exhaustions, 1)

    def test_who_cannot_now_is_gone_past(self) -> None:
        login = self.log_in()
        self.eu.accept().say(GREETING, b"t NO [UNAVAILABLE] joining\r\n")
        self.us.accept().say(b"* BYE [UNAVAILABLE] The server is shutting down\r\n")
        self.storage.accept().say(GREETING, WELCOME)
        self.successResultOf(login)
        self.assertEqual(self.upstream.states(), {"eu": True, "us": True, "storage": True})
        self.assertEqual(
            self.observer.setbacks,
            {("eu", Setback.UNAVAILABLE): 1, ("us", Setback.UNAVAILABLE): 1},
        )

    def test_too_many_connections_are_too_many_everywhere(self) -> None:
        login = self.log_in()
        self.eu.accept().say(GREETING, b"t NO [LIMIT] at most 100 connections of one user\r\n")
        self.assert_refused(login, LIMIT)
        self.assertEqual(self.tries(), [1, 0, 0])

    def test_another_refusal_is_a_mistake_that_is_told(self) -> None:
        """The two are not configured alike; another replica would hide it."""
        for answer in (b"t NO [AUTHORIZATIONFAILED] no\r\n", b"t BAD what\r\n"):
            login = self.log_in()
            self.eu.accept().say(GREETING, answer)
            self.assert_refused(login, UNAVAILABLE)
        self.assertEqual(self.tries(), [2, 0, 0])


class MemoryTests(LoginTestCase):
    """Who is away costs one login in a while its second, and nobody else anything."""

    def setUp(self) -> None:
        super().setUp()
        self.log_in()
        self.eu.refuse()
        self.us.accept().say(GREETING, WELCOME)

    def test_others_do_not_try_it(self) -> None:
        for _ in range(3):
            self.log_in()
            self.us.accept().say(GREETING, WELCOME)
        self.assertEqual(self.tries(), [1, 4, 0])

    def test_one_tries_it_again_while_others_go_past(self) -> None:
        self.clock.advance(DOWN_SECONDS)
        self.log_in()
        self.log_in()
        self.assertEqual(self.tries(), [2, 2, 0])

    def test_when_it_is_back_everybody_is(self) -> None:
        self.clock.advance(DOWN_SECONDS)
        login = self.log_in()
        self.eu.accept().say(GREETING, WELCOME)
        self.successResultOf(login)
        self.log_in()
        self.log_in()
        self.assertEqual(self.tries(), [4, 1, 0])

    def test_with_nobody_else_it_is_tried_all_the_same(self) -> None:
        login = self.log_in()
        self.us.refuse()
        self.storage.refuse()
        self.eu.accept().say(GREETING, WELCOME)
        self.successResultOf(login)


class OddTests(LoginTestCase):
    """Somebody else in the replica's place, or a replica that has lost its mind."""

    def assert_gone_past(self) -> None:
        self.assertEqual(self.tries(), [1, 1, 0])
        self.assertEqual(self.observer.setbacks, {("eu", Setback.AWAY): 1})

    def test_another_users_process_is_told_nothing(self) -> None:
        self.log_in()
        stranger = self.eu.accept(os.geteuid() + 1)
        self.assertEqual(stranger.said, b"")
        self.assert_gone_past()

    def test_no_imap_server(self) -> None:
        self.log_in()
        self.eu.accept().say(b"220 mail.example ESMTP\r\n")
        self.assert_gone_past()

    def test_an_answer_without_end(self) -> None:
        self.log_in()
        replica = self.eu.accept()
        replica.say(GREETING)
        for _ in range(ANSWER_OCTETS_MAX // 1000 + 1):
            replica.say(b"* " + b"x" * 996 + b"\r\n")
        self.assert_gone_past()

    def test_a_greeting_without_end(self) -> None:
        self.log_in()
        self.eu.accept().say(b"* OK " + b"x" * ANSWER_OCTETS_MAX)
        self.assert_gone_past()

    def test_a_tag_of_another_command_is_no_answer(self) -> None:
        login = self.log_in()
        self.eu.accept().say(GREETING, b"tt OK\r\n", b"* OK\r\n", b"T OK\r\n")
        self.assertNoResult(login)

    def test_it_closes_before_it_answers(self) -> None:
        self.log_in()
        replica = self.eu.accept()
        replica.say(GREETING)
        replica.lose()
        self.assert_gone_past()

    def test_it_does_not_close(self) -> None:
        """A connection that was given up is ended behind what was written, then at once."""
        login = self.log_in()
        replica = self.eu.accept()
        replica.say(GREETING, b"t NO [UNAVAILABLE] joining\r\n")
        self.assertTrue(replica.transport.disconnecting)
        self.assertFalse(replica.transport.aborted)
        self.clock.pump([1.0] * int(HANG_UP_SECONDS_MAX))
        self.assertTrue(replica.transport.aborted)
        self.assert_refused(login, UNAVAILABLE)


class LeavingTests(LoginTestCase):
    def test_a_client_that_leaves_ends_the_attempt(self) -> None:
        login = self.log_in()
        self.link.close()
        self.failureResultOf(login, Disconnected)
        self.assertEqual(self.tries(), [1, 0, 0])
        self.assertTrue(self.upstream.states()["eu"], "that says nothing of the replica")

    def test_also_while_the_replica_thinks(self) -> None:
        login = self.log_in()
        replica = self.eu.accept()
        self.link.close()
        self.failureResultOf(login, Disconnected)
        self.assertTrue(replica.transport.disconnecting)
        # An answer that comes too late changes nothing: it is read on, for its end.
        replica.say(GREETING, WELCOME)
        self.assertEqual(replica.transport.producerState, "producing")
