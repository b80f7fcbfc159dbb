# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies from peers: once, checked, pinned until they are needed no longer."""

from collections.abc import Sequence
from hashlib import blake2b

from twisted.internet.defer import Deferred

from pluto_tw.account import incoming, receiving, sending
from pluto_tw.account.incoming import BodyLink, Incoming, Where, check_body, read_body
from pluto_tw.account.schema import CHUNK_OCTETS
from pluto_tw.mail.errors import No
from tests.account.pair import SubnetCase

LARGE = bytes(range(256)) * (3 * CHUNK_OCTETS // 256) + b"end"


def hash_of(octets: bytes) -> bytes:
    return blake2b(octets, digest_size=32).digest()


class IncomingTests(SubnetCase):
    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [1, 2])
        self.b = self.node(1, [0, 2])
        self.link = self.b.store.link()
        self.clock.advance(10)

    def begun(self, octets: bytes, link: BodyLink | None = None) -> Incoming:
        found = (link or self.link).begin(self.account(self.b), hash_of(octets), len(octets))
        assert isinstance(found, Incoming)
        return found

    def bodies(self) -> Sequence[object]:
        return self.b.shard.read("SELECT hash, refs FROM body")

    def brought(self, octets: bytes, link: BodyLink | None = None) -> Incoming:
        begun = self.begun(octets, link)
        for at in range(0, len(octets), 50_000):
            self.assertTrue(self.now(begun.write(octets[at : at + 50_000])))
        return begun

    def test_large_body_is_whole_and_read_in_parts(self) -> None:
        self.assertTrue(self.now(self.brought(LARGE).finish()))
        for start, length in ((0, 10), (CHUNK_OCTETS - 1, 5), (len(LARGE) - 2, 100), (0, 0)):
            found = self.now(read_body(self.account(self.b), hash_of(LARGE), start, length))
            self.assertEqual(found, LARGE[start : start + length])
        self.assertIsNone(self.now(read_body(self.account(self.b), bytes(32), 0, 1)))
        self.assertTrue(self.now(check_body(self.account(self.b), hash_of(LARGE))))

    def test_what_does_not_fit_is_forgotten(self) -> None:
        begun = self.begun(LARGE)
        for at in range(0, len(LARGE), 100_000):
            self.now(begun.write(bytes(min(100_000, len(LARGE) - at))))
        self.assertFalse(self.now(begun.finish()))
        short = self.begun(b"four")
        self.now(short.write(b"fo"))
        self.assertFalse(self.now(short.finish()))
        self.assertFalse(self.now(self.begun(b"four").write(b"fours")))
        self.assertEqual(self.bodies(), [])
        self.assertEqual(self.b.shard.read("SELECT * FROM chunk"), [])
        self.assertTrue(self.now(self.brought(b"four").finish()))

    def test_second_link_is_told_that_it_is_coming(self) -> None:
        """Never the same body twice, also not from two peers."""
        begun = self.begun(LARGE)
        other = self.b.store.link()
        account = self.account(self.b)
        self.assertIs(other.begin(account, hash_of(LARGE), len(LARGE)), Where.COMING)
        self.assertEqual(other.shared(account, {hash_of(LARGE): 1})[0], [])
        waiting = Deferred.fromCoroutine(other.settled(account, [hash_of(LARGE)]))
        self.assertNoResult(waiting)
        self.link.close()
        self.clock.advance(0)
        self.successResultOf(waiting)
        self.assertFalse(self.now(begun.write(b"x")))
        self.assertTrue(self.now(self.brought(LARGE, other).finish()))
        self.assertIs(self.b.store.link().begin(account, hash_of(LARGE), 1), Where.HERE)

    def test_silent_or_unable_link_is_not_waited_for(self) -> None:
        account, hashes = self.account(self.b), [hash_of(b"one"), hash_of(b"two")]
        asked, _ = self.link.shared(account, dict.fromkeys(hashes, 3))
        self.assertEqual(len(asked), 2)
        other = self.b.store.link()
        self.link.give_up(account, hashes[:1])
        asked, coming = other.shared(account, dict.fromkeys(hashes, 3))
        self.assertEqual(([h for h, _ in asked], [h for h, _ in coming]), (hashes[:1], hashes[1:]))
        self.clock.advance(incoming.CLAIM_SECONDS)
        self.assertEqual(len(other.shared(account, {hashes[1]: 3})[0]), 1)

    def test_pin_lasts_as_long_as_the_link(self) -> None:
        self.now(self.brought(b"one").finish())
        self.b.ground.bodies.sweep()
        self.assertEqual(len(self.bodies()), 1)
        self.link.close()
        self.assertEqual(self.bodies(), [])

    def test_pin_ends_when_the_operation_is_here(self) -> None:
        self.append(self.a, b"one")
        self.assertEqual(self.ship(self.a, self.b, self.link), 1)
        self.assertEqual(self.bodies(), [(hash_of(b"one"), 1)])
        self.assertEqual(self.link._pins, {})

    def test_pins_and_bodies_at_once_are_bounded(self) -> None:
        self.patch(incoming, "PINS_MAX", 2)
        self.patch(incoming, "INCOMING_MAX", 2)
        for octets in (b"1", b"2", b"3"):
            self.now(self.brought(octets).finish())
        self.assertEqual(len(self.bodies()), 2)
        for octets in (b"4", b"5"):
            self.begun(octets)
        with self.assertRaises(No):
            self.begun(b"6")

    def test_body_is_fetched_once_from_two_peers(self) -> None:
        c = self.node(2, [0, 1])
        self.append(self.a, b"one")
        self.ship(self.a, c)
        found = sending.next_batch(self.account(self.a), ())
        assert isinstance(found, sending.Outgoing)
        links = [self.link, self.b.store.link()]
        taken = [
            self.now(receiving.receive(self.account(self.b), found.batch, link=link))
            for link in links
        ]
        self.assertEqual([(len(t.missing), len(t.coming)) for t in taken], [(1, 0), (0, 1)])

    def test_lost_body_is_filled_when_somebody_has_it(self) -> None:
        self.append(self.a, b"one")
        found = sending.next_batch(self.account(self.a), ())
        assert isinstance(found, sending.Outgoing)
        lost = frozenset({hash_of(b"one")})
        account = self.account(self.b)
        taken = self.now(receiving.receive(account, found.batch, lost=lost))
        self.assertGreater(taken.operations, 0)
        [(_, hash, size)] = self.b.store.unfit(0, 0, 10)
        begun = self.b.store.begin_body(0, hash, size, self.link)
        assert isinstance(begun, Incoming)
        self.now(begun.write(b"one"))
        self.assertTrue(self.now(begun.finish()))
        self.assertEqual(self.b.store.unfit(0, 0, 10), [])
        self.assertEqual(self.now(read_body(account, hash, 0, 9)), b"one")

    def test_damage_is_found_when_a_peer_complains(self) -> None:
        self.append(self.a, LARGE)
        with self.a.shard._database.connection as connection:  # type: ignore[attr-defined]
            connection.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE id & 1")
        self.assertFalse(self.now(check_body(self.account(self.a), hash_of(LARGE))))
        self.assertIsNone(self.now(read_body(self.account(self.a), hash_of(LARGE), 0, 1)))
