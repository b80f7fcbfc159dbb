# SPDX-License-Identifier: GPL-3.0-or-later
"""Address lists: the examples of RFC 5322, and what RFC 7103 says of the broken ones."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import addresses
from pluto_tw.mime.addresses import display, parse, text
from pluto_tw.mime.facts import Address

Told = tuple[bytes | None, bytes | None, bytes | None, bytes | None]


def told(value: bytes) -> list[Told]:
    """The addresses as ENVELOPE has them."""
    return [(each.name, each.route, each.mailbox, each.host) for each in parse(value)]


class ParseTests(SynchronousTestCase):
    def test_common_forms(self) -> None:
        self.assertEqual(
            told(b'joe@x.org, Joe Q Public <joe@x.org>, "Public, J." <j@x.org>,<a@b>'),
            [
                (None, None, b"joe", b"x.org"),
                (b"Joe Q Public", None, b"joe", b"x.org"),
                (b"Public, J.", None, b"j", b"x.org"),
                (None, None, b"a", b"b"),
            ],
        )

    def test_quoting_is_removed(self) -> None:
        """RFC 9051 §9, addr-name and addr-mailbox: "after removing quoting"."""
        self.assertEqual(
            told(b'"Giant; \\"Big\\" Box" <"a b"@example.net>'),
            [(b'Giant; "Big" Box', None, b"a b", b"example.net")],
        )

    def test_encoded_words_stay(self) -> None:
        self.assertEqual(
            told(b"=?utf-8?q?Zo=C3=AB?= X <z@x.org>"),
            [(b"=?utf-8?q?Zo=C3=AB?= X", None, b"z", b"x.org")],
        )

    def test_groups(self) -> None:
        """RFC 9051 §7.5.2: NIL host opens, NIL mailbox closes."""
        self.assertEqual(
            told(b"A Group:Ed <c@a.test>,joe@where.test; d@e, Undisclosed recipients:;"),
            [
                (None, None, b"A Group", None),
                (b"Ed", None, b"c", b"a.test"),
                (None, None, b"joe", b"where.test"),
                (None, None, None, None),
                (None, None, b"d", b"e"),
                (None, None, b"Undisclosed recipients", None),
                (None, None, None, None),
            ],
        )

    def test_group_that_is_not_closed_is_closed(self) -> None:
        self.assertEqual(told(b"g: a@b")[-1], (None, None, None, None))

    def test_comments(self) -> None:
        """RFC 5322 A.5, and the old form in which the comment is the name."""
        self.assertEqual(
            told(b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            [(b"Pete", None, b"pete", b"silly.test")],
        )
        self.assertEqual(
            told(b"joe@x.org (Joe (the) Smith), <a@b> (c)"),
            [(b"Joe (the) Smith", None, b"joe", b"x.org"), (b"c", None, b"a", b"b")],
        )

    def test_obsolete_forms(self) -> None:
        """RFC 5322 A.6.1 and A.6.3: routes, empty members, white space around dots."""
        self.assertEqual(
            told(
                b"Mary Smith <@node.test,@b:mary@example.net>, , jdoe@test  . example, J. R. <a@b>"
            ),
            [
                (b"Mary Smith", b"@node.test,@b", b"mary", b"example.net"),
                (None, None, b"jdoe", b"test.example"),
                (b"J. R.", None, b"a", b"b"),
            ],
        )

    def test_domain_literal(self) -> None:
        self.assertEqual(told(b"a@[192.0.2.1]"), [(None, None, b"a", b"[192.0.2.1]")])

    def test_broken_forms_of_rfc_7103(self) -> None:
        """RFC 7103 §7.1.2 to §7.1.7."""
        for value, expected in (
            (b"<<<user2@example.org>>>", [(None, b"user2", b"example.org")]),
            (b"<another@example.net", [(None, b"another", b"example.net")]),
            (b"second@example.org>", [(None, b"second", b"example.org")]),
            (b"(Testing <fran@example.com>", [(b"Testing", b"fran", b"example.com")]),
            (b"Testing) <sam@example.com>", [(b"Testing)", b"sam", b"example.com")]),
            (
                b"<third@example.net, fourth@example.net>",
                [(None, b"third", b"example.net"), (None, b"fourth", b"example.net")],
            ),
            (b'"Joe <joe@example.com>', [(b"Joe", b"joe", b"example.com")]),
            (b"Joe Smith", [(None, b"Joe Smith", b"")]),
            (b"Joe Smith joe@x.org", [(b"Joe Smith", b"joe", b"x.org")]),
            (b"joe@x.org <joe@x.org>", [(b"joe@x.org", b"joe", b"x.org")]),
            (b"a@b; c@d", [(None, b"a", b"b"), (None, b"c", b"d")]),
            (b"Foo <>", [(b"Foo", b"", b"")]),
        ):
            found = [(name, mailbox, host) for name, _, mailbox, host in told(value)]
            self.assertEqual(found, expected, value)

    def test_limit(self) -> None:
        self.patch(addresses, "ADDRESSES_MAX", 3)
        for value in (b"a@b," * 9, b"a@b c@d," * 9, b"g:" * 9, b"g:a@b;" * 9):
            self.assertLessEqual(len(parse(value)), 3)

    @given(st.lists(st.sampled_from([*map(bytes, zip(b'<>@,:;()[]"\\. a', strict=False))])))
    def test_anything_is_parsed(self, octets: list[bytes]) -> None:
        for address in parse(b"".join(octets)):
            # Only a group has a NIL host, and only its end a NIL mailbox.
            self.assertTrue(address.mailbox is not None or address.host is None)
            self.assertTrue(address.host is not None or address.name is None)


class TextTests(SynchronousTestCase):
    def test_display(self) -> None:
        """RFC 5957 §3: the display name, decoded, else the address."""
        name = Address(b"=?utf-8?q?Zo=C3=AB?=", None, b"z", b"x.org")
        self.assertEqual(display(name), "Zoë")
        self.assertEqual(display(Address(None, None, b"z", b"x.org")), "z@x.org")
        self.assertEqual(display(Address(None, None, b"z", b"")), "z")
        self.assertEqual(display(Address(None, None, None, None)), "")

    def test_text_to_search(self) -> None:
        self.assertEqual(
            text(parse(b"=?utf-8?q?Zo=C3=AB?= <z@x.org>, g: a@b;, c")), "Zoë <z@x.org>, g, a@b, c"
        )
