# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in, and what counts as one address."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.limits import Excess, Limit, Limits, Presence

TWO_AN_ADDRESS = Limits(address_connections_max=2)


class AddressTests(SynchronousTestCase):
    def test_as_many_as_allowed_enter(self) -> None:
        presence = Presence(TWO_AN_ADDRESS)
        self.assertIsNone(presence.enter("192.0.2.1"))
        self.assertIsNone(presence.enter("192.0.2.1"))
        self.assertEqual(presence.enter("192.0.2.1"), Excess(Limit.ADDRESS, 2, True))
        self.assertIsNone(presence.enter("192.0.2.2"))

    def test_one_that_leaves_makes_room(self) -> None:
        presence = Presence(TWO_AN_ADDRESS)
        presence.enter("192.0.2.1")
        presence.enter("192.0.2.1")
        presence.leave("192.0.2.1")
        self.assertIsNone(presence.enter("192.0.2.1"))

    def test_ipv6_network_of_64_bits_is_one_address(self) -> None:
        """RFC 6177 §2: a customer has a /64 at least, and chooses the rest of the address."""
        presence = Presence(TWO_AN_ADDRESS)
        presence.enter("2001:db8:0:1::1")
        presence.enter("2001:db8:0:1:ffff::2")
        self.assertIsNotNone(presence.enter("2001:db8:0:1::3"))
        self.assertIsNone(presence.enter("2001:db8:0:2::3"))

    def test_ipv4_in_ipv6_is_ipv4(self) -> None:
        """A listener on `::` sees IPv4 clients so; all of them have one /64."""
        presence = Presence(TWO_AN_ADDRESS)
        presence.enter("::ffff:192.0.2.1")
        presence.enter("192.0.2.1")
        self.assertIsNotNone(presence.enter("::ffff:192.0.2.1"))
        self.assertIsNone(presence.enter("::ffff:192.0.2.2"))

    def test_unix_socket_has_no_address(self) -> None:
        presence = Presence(TWO_AN_ADDRESS)
        for _ in range(5):
            self.assertIsNone(presence.enter("local"))
        presence.leave("local")
        self.assertEqual(presence.connections, 4)

    def test_unlimited_networks(self) -> None:
        """A webmail connects from one address for everybody."""
        presence = Presence(
            Limits(address_connections_max=1, unlimited=(ip_network("192.0.2.0/24"),))
        )
        for _ in range(5):
            self.assertIsNone(presence.enter("192.0.2.7"))
        presence.enter("198.51.100.1")
        self.assertIsNotNone(presence.enter("198.51.100.1"))


class TotalTests(SynchronousTestCase):
    def test_no_more_in_all(self) -> None:
        presence = Presence(Limits(connections_max=2))
        presence.enter("192.0.2.1")
        presence.enter("192.0.2.2")
        self.assertEqual(presence.enter("192.0.2.3"), Excess(Limit.CONNECTIONS, 2, True))
        presence.leave("192.0.2.1")
        self.assertIsNone(presence.enter("192.0.2.3"))

    def test_limits_may_be_replaced(self) -> None:
        presence = Presence(Limits(connections_max=1))
        presence.enter("192.0.2.1")
        presence.limits = Limits(connections_max=2)
        self.assertIsNone(presence.enter("192.0.2.1"))

    @given(st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"])))
    def test_when_all_have_left_nothing_is_counted(self, addresses: list[str]) -> None:
        presence = Presence(TWO_AN_ADDRESS)
        entered = [address for address in addresses if presence.enter(address) is None]
        for address in entered:
            presence.leave(address)
        self.assertEqual(presence.connections, 0)
        self.assertFalse(presence._networks)


class UserTests(SynchronousTestCase):
    def test_a_user_has_so_many(self) -> None:
        presence = Presence(Limits(user_connections_max=1))
        self.assertIsNone(presence.too_many_of("fred"))
        presence.enter_user("fred")
        self.assertEqual(presence.too_many_of("fred"), Excess(Limit.USER, 1, True))
        self.assertIsNone(presence.too_many_of("wilma"))
        presence.leave_user("fred")
        self.assertIsNone(presence.too_many_of("fred"))


class FirstTests(SynchronousTestCase):
    def test_first_excess_is_marked_until_the_limit_was_kept_again(self) -> None:
        """`Excess`: "*first*: nobody met this limit since it was last kept"."""
        presence = Presence(TWO_AN_ADDRESS)
        seen = []
        for _ in range(4):
            excess = presence.enter("192.0.2.1")
            seen.append(excess.first if excess else None)
        presence.leave("192.0.2.1")
        presence.enter("192.0.2.1")
        excess = presence.enter("192.0.2.1")
        assert excess is not None
        seen.append(excess.first)
        self.assertEqual(seen, [None, None, True, False, True])
