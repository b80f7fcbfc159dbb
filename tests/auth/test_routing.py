# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas have an account."""

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import Router, Subnet, Target, TcpPlace, UnixPlace, subnet_by_key

WORKER = Target("worker-1", UnixPlace("/run/mail"))
STORAGE = Target("storage", TcpPlace("::1", 993))
FRED = AccountKey("fred")


def keys(number: int) -> list[AccountKey]:
    return [AccountKey(f"user{each}") for each in range(number)]


class RangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.low = Subnet("low", (WORKER, STORAGE), range(1, 11))
        self.high = Subnet("high", (STORAGE,), range(21, 31))
        self.router = Router([self.high, self.low])

    def test_the_range_decides(self) -> None:
        self.assertIs(self.router.route(1, FRED), self.low)
        self.assertIs(self.router.route(10, FRED), self.low)
        self.assertIs(self.router.route(21, FRED), self.high)

    def test_who_is_in_no_range_belongs_to_nobody(self) -> None:
        for user_id in (0, 11, 20, 31):
            self.assertIsNone(self.router.route(user_id, FRED))


class HashTests(SynchronousTestCase):
    def test_what_was_chosen_stays_chosen(self) -> None:
        """Accounts with mail are where this put them: docs/spec/routing.md has this sample."""
        chosen = [subnet_by_key(("a", "b", "c"), key) for key in keys(12)]
        self.assertEqual("".join(chosen), SAMPLE)

    def test_the_order_of_the_names_does_not_count(self) -> None:
        for key in keys(50):
            self.assertEqual(subnet_by_key("abc", key), subnet_by_key("cab", key))

    def test_a_new_subnet_takes_only_what_it_gets(self) -> None:
        for key in keys(200):
            after = subnet_by_key("abcd", key)
            self.assertIn(after, ("d", subnet_by_key("abc", key)))

    def test_accounts_spread(self) -> None:
        counts = Counter(subnet_by_key("abc", key) for key in keys(3000))
        self.assertGreater(min(counts.values()), 900)

    def test_router_uses_it(self) -> None:
        subnets = [Subnet(name, (WORKER,)) for name in "abc"]
        found = Router(subnets).route(7, FRED)
        assert found is not None
        self.assertEqual(found.name, subnet_by_key("abc", FRED))

    def test_without_subnets_there_is_no_route(self) -> None:
        self.assertIsNone(Router([]).route(1, FRED))


class MistakeTests(SynchronousTestCase):
    def test_configurations_that_cannot_be(self) -> None:
        for subnets in (
            [Subnet("a", ())],
            [Subnet("a", (WORKER,)), Subnet("a", (STORAGE,))],
            [Subnet("a", (WORKER,), range(1, 3)), Subnet("b", (STORAGE,))],
            [Subnet("a", (WORKER,), range(1, 3)), Subnet("b", (STORAGE,), range(2, 5))],
        ):
            with self.assertRaises(ValueError):
                Router(subnets)

    def test_places_as_the_log_has_them(self) -> None:
        self.assertEqual([str(WORKER.place), str(STORAGE.place)], ["/run/mail", "[::1]:993"])
        self.assertEqual(str(TcpPlace("h", 1)), "h:1")


SAMPLE = "cacbbccbabbb"
