# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.fetch_items import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    Fields,
    Item,
    Partial,
    parse_items,
    sets_seen,
)
from pluto_tw.imap.grammar import Arguments, Literal, Segment
from pluto_tw.mail.errors import Bad


def parsed(text: bytes) -> tuple[Item, ...]:
    arguments = Arguments([text])
    items = parse_items(arguments)
    arguments.end()
    return items


class MacroTests(SynchronousTestCase):
    def test_macros_stand_for_lists(self) -> None:
        """RFC 9051 §6.4.5: "macros that specify commonly used sets of data items"."""
        for macro, items in (
            (b"FAST", b"(FLAGS INTERNALDATE RFC822.SIZE)"),
            (b"all", b"(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
            (b"Full", b"(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"),
        ):
            self.assertEqual(parsed(macro), parsed(items), macro)

    def test_a_macro_stands_alone(self) -> None:
        """RFC 9051 §6.4.5: "A macro must be used by itself and not in conjunction with"."""
        for text in (b"(ALL)", b"(FLAGS FAST)", b"ALL FAST", b"FASTER"):
            self.assertRaises(Bad, parsed, text)


class ItemTests(SynchronousTestCase):
    def test_every_attribute_is_known_by_its_name(self) -> None:
        for attribute in Attribute:
            self.assertEqual(parsed(attribute.value.lower()), (attribute,))

    def test_order_is_kept_and_repetition_is_not(self) -> None:
        self.assertEqual(
            parsed(b"(UID FLAGS BODY[] UID BODY[] FLAGS)"),
            (Attribute.UID, Attribute.FLAGS, *parsed(b"BODY[]")),
        )

    def test_peek_and_its_opposite_are_two_items(self) -> None:
        self.assertEqual(len(parsed(b"(BODY[] BODY.PEEK[] RFC822)")), 3)

    def test_names_of_rfc_3501_are_sections(self) -> None:
        r"""RFC 3501 §7.4.2: "Equivalent to BODY[]"; RFC822.HEADER does not set `\Seen`."""
        for name, text, seen in (
            (b"RFC822", "", True),
            (b"RFC822.HEADER", "HEADER", False),
            (b"RFC822.TEXT", "TEXT", True),
        ):
            [item] = parsed(name)
            assert isinstance(item, BodySection)
            self.assertEqual((item.path, item.text, item.told), ((), text, name))
            self.assertIs(sets_seen((item,)), seen)

    def test_what_there_is_not_is_bad(self) -> None:
        for text in (
            b"",
            b"()",
            b"FLAG",
            b"BODY.PEEK",
            b"BINARY",
            b"BINARY.SIZE",
            b"RFC822[]",
            b"RFC822.PEEK",
            b"FLAGS[]",
            b"BODYSTRUCTURE[1]",
            b"(FLAGS",
            b"(FLAGS  UID)",
            b"BODY.SIZE[1]",
            b"BODY.[1]",
            b"BINARY.[1]",
            b"BINARY.PEEK.SIZE[1]",
            b'"FLAGS"',
        ):
            self.assertRaises(Bad, parsed, text)


class SectionTests(SynchronousTestCase):
    def section(self, text: bytes) -> BodySection:
        [item] = parsed(text)
        assert isinstance(item, BodySection)
        return item

    def test_path_and_text(self) -> None:
        for text, path, what in (
            (b"BODY[]", (), ""),
            (b"BODY[1]", (1,), ""),
            (b"BODY[12.3.456]", (12, 3, 456), ""),
            (b"BODY[header]", (), "HEADER"),
            (b"BODY[1.HEADER]", (1,), "HEADER"),
            (b"BODY[1.2.TEXT]", (1, 2), "TEXT"),
            (b"BODY[2.mime]", (2,), "MIME"),
            (b"BODY[4294967295]", (4294967295,), ""),
        ):
            item = self.section(text)
            self.assertEqual((item.path, item.text), (path, what))
            self.assertEqual(item.told, text.upper())

    def test_fields_are_echoed_as_they_were_written(self) -> None:
        item = self.section(b'BODY.PEEK[2.header.fields.not (Subject "X Y" "to")]')
        self.assertEqual(item.fields, Fields((b"Subject", b"X Y", b"to"), True))
        self.assertEqual(item.text, "HEADER")
        self.assertEqual(item.told, b'BODY[2.HEADER.FIELDS.NOT (Subject "X Y" to)]')
        self.assertFalse(item.sets_seen)

    def test_a_field_may_come_in_a_literal(self) -> None:
        segments: list[Segment] = [b"BODY[HEADER.FIELDS (", Literal(b"Subject", False), b" To)]"]
        [item] = parse_items(Arguments(segments))
        assert isinstance(item, BodySection)
        self.assertEqual(item.told, b"BODY[HEADER.FIELDS (Subject To)]")

    def test_a_partial_is_told_by_its_offset(self) -> None:
        """RFC 9051 §7.5.2: "BODY[<section>]<<origin octet>>"."""
        item = self.section(b"BODY[1.2]<10.20>")
        self.assertEqual(item.partial, Partial(10, 20))
        self.assertEqual(item.told, b"BODY[1.2]<10>")
        self.assertEqual(self.section(b"BODY[]<0.1>").told, b"BODY[]<0>")

    def test_binary(self) -> None:
        self.assertEqual(
            parsed(b"(binary[1.2] BINARY.PEEK[3]<5.6> BINARY.SIZE[1] BINARY[])"),
            (
                BinarySection((1, 2), None, True, b"BINARY[1.2]"),
                BinarySection((3,), Partial(5, 6), False, b"BINARY[3]<5>"),
                BinarySize((1,), b"BINARY.SIZE[1]"),
                BinarySection((), None, True, b"BINARY[]"),
            ),
        )

    def test_what_is_no_section_is_bad(self) -> None:
        for text in (
            b"BODY[0]",
            b"BODY[1.0]",
            b"BODY[01]",
            b"BODY[1.]",
            b"BODY[.1]",
            b"BODY[1..2]",
            b"BODY[4294967296]",
            b"BODY[99999999999999999999]",
            b"BODY[1HEADER]",
            b"BODY[HEADER.1]",
            b"BODY[MIME]",
            b"BODY[HEADERS]",
            b"BODY[ ]",
            b"BODY[1",
            b"BODY[HEADER.FIELDS]",
            b"BODY[HEADER.FIELDS ()]",
            b"BODY[HEADER.FIELDS(To)]",
            b"BODY[HEADER.FIELDS (To)",
            b"BODY[HEADER (To)]",
            b"BODY[]<0>",
            b"BODY[]<0.0>",
            b"BODY[]<-1.5>",
            b"BODY[]<1.2",
            b"BINARY[1.MIME]",
            b"BINARY[HEADER]",
            b"BINARY.SIZE[1]<0.5>",
        ):
            self.assertRaises(Bad, parsed, text)
