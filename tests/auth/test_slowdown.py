# SPDX-License-Identifier: GPL-3.0-or-later
"""How failed logins slow down later ones."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth import slowdown
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.slowdown import (
    ADDRESS_FAILURES_FREE,
    DELAY_SECONDS_FIRST,
    DELAY_SECONDS_MAX,
    FAILURES_KEPT,
    HALF_LIFE_SECONDS,
    USER_FAILURES_FREE,
    Slowdown,
)

FRED = AccountKey("fred")
HERE, THERE = "192.0.2.1", "198.51.100.1"


class SlowdownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.slowdown = Slowdown(lambda: self.now)

    def fail_times(
        self, times: int, network: str | None = HERE, key: AccountKey | None = FRED
    ) -> None:
        for _ in range(times):
            self.slowdown.failed(network, key)

    def test_the_first_failures_are_free(self) -> None:
        self.fail_times(USER_FAILURES_FREE)
        self.assertEqual(self.slowdown.wait(HERE, FRED), 0)

    def test_each_more_doubles_the_wait_up_to_a_bound(self) -> None:
        self.fail_times(USER_FAILURES_FREE)
        waits = []
        for _ in range(8):
            self.fail_times(1)
            waits.append(self.slowdown.wait(HERE, FRED))
        self.assertEqual(
            waits[:3], [DELAY_SECONDS_FIRST, 2 * DELAY_SECONDS_FIRST, 4 * DELAY_SECONDS_FIRST]
        )
        self.assertEqual(waits[-1], DELAY_SECONDS_MAX)
        self.fail_times(5000)
        self.assertEqual(self.slowdown.wait(HERE, FRED), DELAY_SECONDS_MAX)

    def test_the_wait_ends(self) -> None:
        self.fail_times(USER_FAILURES_FREE + 1)
        self.now += DELAY_SECONDS_FIRST
        self.assertLessEqual(self.slowdown.wait(HERE, FRED), 0)

    def test_failures_are_forgotten(self) -> None:
        self.fail_times(USER_FAILURES_FREE)
        self.now += 3 * HALF_LIFE_SECONDS
        self.fail_times(USER_FAILURES_FREE - 1)
        self.assertEqual(self.slowdown.wait(HERE, FRED), 0)

    def test_a_user_is_slowed_wherever_attempts_come_from(self) -> None:
        for number in range(USER_FAILURES_FREE + 1):
            self.fail_times(1, f"192.0.2.{number}")
        self.assertGreater(self.slowdown.wait(THERE, FRED), 0)

    def test_an_address_is_slowed_whoever_it_tries_to_be(self) -> None:
        for number in range(ADDRESS_FAILURES_FREE + 1):
            self.fail_times(1, HERE, AccountKey(f"user{number}"))
        self.assertGreater(self.slowdown.wait(HERE, FRED), 0)
        self.assertEqual(self.slowdown.wait(THERE, FRED), 0)

    def test_impossible_names_slow_the_address(self) -> None:
        self.fail_times(ADDRESS_FAILURES_FREE + 1, HERE, None)
        self.assertGreater(self.slowdown.wait(HERE, None), 0)

    def test_nobody_is_locked_out_by_others(self) -> None:
        """Where the user has logged in from before."""
        self.slowdown.succeeded(HERE, FRED)
        self.fail_times(100, THERE)
        self.assertEqual(self.slowdown.wait(HERE, FRED), 0)
        self.assertGreater(self.slowdown.wait("203.0.113.1", FRED), 0)

    def test_a_login_does_not_clear_the_address(self) -> None:
        """Else one account of one's own would allow any number of guesses at others."""
        self.fail_times(ADDRESS_FAILURES_FREE + 1, HERE, None)
        self.slowdown.succeeded(HERE, FRED)
        self.assertGreater(self.slowdown.wait(HERE, FRED), 0)

    def test_networks_without_a_limit_slow_the_user_only(self) -> None:
        self.fail_times(100, None, AccountKey("other"))
        self.slowdown.succeeded(None, FRED)
        self.assertEqual(self.slowdown.wait(None, FRED), 0)
        self.fail_times(100, None)
        self.assertGreater(self.slowdown.wait(None, FRED), 0)

    def test_a_network_is_never_a_user(self) -> None:
        self.fail_times(100, HERE, None)
        self.assertEqual(self.slowdown.wait(None, AccountKey(HERE)), 0)

    def test_memory_is_bounded(self) -> None:
        self.fail_times(100)
        self.patch(slowdown, "FAMILIAR_KEPT", 10)
        for number in range(FAILURES_KEPT):
            self.slowdown.failed(f"10.{number}", None)
            self.slowdown.succeeded(f"10.{number}", FRED)
        self.assertEqual(self.slowdown.wait(HERE, FRED), 0)
        self.assertEqual(len(self.slowdown._failures), FAILURES_KEPT)
        self.assertEqual(len(self.slowdown._familiar), 10)
