# SPDX-License-Identifier: GPL-3.0-or-later
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.structure import body, envelope
from pluto_tw.mime.facts import Address, Disposition, Envelope, Facts, Part, Span
from pluto_tw.mime.scanner import scan

NO_ENVELOPE = Envelope(None, None, (), (), (), (), (), (), None, None)
TEXT = Part(
    media_type=b"text",
    subtype=b"plain",
    parameters=((b"charset", b"us-ascii"),),
    content_id=None,
    description=None,
    encoding=b"7BIT",
    md5=None,
    disposition=None,
    language=(),
    location=None,
    lines=48,
    header=Span(0, 10),
    body=Span(10, 2289),
    parent=-1,
    children=(),
    envelope=None,
)


def facts(*parts: Part) -> Facts:
    return replace(scan(b"\r\n"), parts=parts)


def told(*parts: Part, extensible: bool = True, rev2: bool = False, utf8: bool = False) -> bytes:
    return body(facts(*parts), extensible=extensible, rev2=rev2, utf8=utf8)


class EnvelopeTests(SynchronousTestCase):
    def test_nothing_is_ten_times_nil(self) -> None:
        self.assertEqual(
            envelope(NO_ENVELOPE, utf8=False), b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
        )

    def test_empty_is_not_absent(self) -> None:
        """RFC 9051 §7.5.2: "if these header fields are present but empty, ... the empty string"."""
        self.assertTrue(
            envelope(replace(NO_ENVELOPE, subject=b""), utf8=False).startswith(b'(NIL "" NIL')
        )

    def test_the_order_of_fields(self) -> None:
        """RFC 9051 §7.5.2: "The fields ... are in the following order: date, subject, from"."""
        f, s, r, t, c, b = (
            (Address(None, None, each, b"h"),) for each in (b"f", b"s", b"r", b"t", b"c", b"b")
        )
        self.assertEqual(
            envelope(Envelope(b"D", b"S", f, s, r, t, c, b, b"I", b"M"), utf8=False),
            b'("D" "S" ((NIL NIL "f" "h")) ((NIL NIL "s" "h")) ((NIL NIL "r" "h"))'
            b' ((NIL NIL "t" "h")) ((NIL NIL "c" "h")) ((NIL NIL "b" "h")) "I" "M")',
        )

    def test_addresses_stand_without_spaces(self) -> None:
        """RFC 9051 §9: env-to = "(" 1*address ")" / nil; a group opens and closes without host."""
        to = (
            Address(None, None, b"group", None),
            Address(b'A "B"', b"@x,@y", b"a", b"h"),
            Address(None, None, None, None),
        )
        self.assertIn(
            rb'((NIL NIL "group" NIL)("A \"B\"" "@x,@y" "a" "h")(NIL NIL NIL NIL))',
            envelope(replace(NO_ENVELOPE, to=to), utf8=False),
        )

    def test_utf8_is_quoted_only_if_enabled(self) -> None:
        """RFC 9051 §A: "MUST NOT generate UTF-8-quoted strings unless the client has issued"."""
        of = replace(NO_ENVELOPE, subject="Pläne".encode())
        self.assertIn(b"(NIL {6}\r\nPl\xc3\xa4ne NIL", envelope(of, utf8=False))
        self.assertIn(b'(NIL "Pl\xc3\xa4ne" NIL', envelope(of, utf8=True))

    def test_other_octets_are_a_literal_always(self) -> None:
        of = replace(NO_ENVELOPE, subject=b"Pl\xe4ne")
        for utf8 in (False, True):
            self.assertIn(b"(NIL {5}\r\nPl\xe4ne NIL", envelope(of, utf8=utf8))


class BodyTests(SynchronousTestCase):
    def test_text(self) -> None:
        """The example of RFC 9051 §7.5.2."""
        self.assertEqual(
            told(TEXT, extensible=False).upper(),
            b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)',
        )

    def test_extension_data_comes_in_order(self) -> None:
        """Order: "body MD5, body disposition, body language, body location" of a single part."""
        part = replace(
            TEXT,
            parameters=(),
            content_id=b"<i@d>",
            description=b"words",
            md5=b"Q2hlY2s=",
            disposition=Disposition(b"attachment", ((b"filename", b"a"), (b"size", b"9"))),
            language=(b"de", b"en"),
            location=b"http://l",
        )
        self.assertEqual(
            told(part),
            b'("text" "plain" NIL "<i@d>" "words" "7BIT" 2279 48 "Q2hlY2s="'
            b' ("attachment" ("filename" "a" "size" "9")) ("de" "en") "http://l")',
        )

    def test_one_language_is_a_string(self) -> None:
        """RFC 9051 §9: body-fld-lang = nstring / "(" string *(SP string) ")"."""
        part = replace(TEXT, language=(b"de",), disposition=Disposition(b"inline", ()))
        self.assertTrue(told(part).endswith(b' 48 NIL ("inline" NIL) "de" NIL)'))

    def test_lines_are_told_of_text_alone(self) -> None:
        part = replace(TEXT, media_type=b"image", subtype=b"png", parameters=())
        self.assertEqual(told(part, extensible=False), b'("image" "png" NIL NIL NIL "7BIT" 2279)')

    def test_parts_of_a_multipart_stand_without_spaces(self) -> None:
        multipart = replace(
            TEXT,
            media_type=b"multipart",
            subtype=b"mixed",
            parameters=((b"boundary", b"b"),),
            children=(1, 2),
        )
        short = replace(TEXT, parameters=(), body=Span(10, 11), lines=0, parent=0)
        self.assertEqual(
            told(multipart, short, short, extensible=False),
            b'(("text" "plain" NIL NIL NIL "7BIT" 1 0)("text" "plain" NIL NIL NIL "7BIT" 1 0)'
            b' "mixed")',
        )
        self.assertTrue(
            told(multipart, short, short).endswith(b' "mixed" ("boundary" "b") NIL NIL NIL)')
        )

    def message(self, subtype: bytes) -> tuple[Part, Part]:
        message = replace(
            TEXT,
            media_type=b"message",
            subtype=subtype,
            parameters=(),
            children=(1,),
            envelope=replace(NO_ENVELOPE, subject=b"S"),
        )
        return message, replace(TEXT, parameters=(), body=Span(20, 21), lines=0, parent=0)

    def test_a_message_tells_what_it_embeds(self) -> None:
        """It contains "the envelope structure, body structure, and size in text lines"."""
        self.assertEqual(
            told(*self.message(b"rfc822"), extensible=False),
            b'("message" "rfc822" NIL NIL NIL "7BIT" 2279'
            b' (NIL "S" NIL NIL NIL NIL NIL NIL NIL NIL)'
            b' ("text" "plain" NIL NIL NIL "7BIT" 1 0) 48)',
        )

    def test_message_global_is_a_message_in_rev2_alone(self) -> None:
        """RFC 3501 §9: media-message is "MESSAGE" SP "RFC822"; others read all else as basic."""
        parts = self.message(b"global")
        self.assertEqual(
            told(*parts, extensible=False), b'("message" "global" NIL NIL NIL "7BIT" 2279)'
        )
        self.assertEqual(
            told(*parts, extensible=False, rev2=True),
            told(*self.message(b"rfc822"), extensible=False).replace(b"rfc822", b"global"),
        )

    def test_depth_is_no_matter(self) -> None:
        """No recursion: far deeper than the scanner ever nests, and than Python can recurse."""
        depth = 5000
        parts = [
            replace(TEXT, media_type=b"multipart", parameters=(), children=(place + 1,))
            for place in range(depth)
        ]
        answer = told(*parts, TEXT, extensible=False)
        self.assertTrue(answer.startswith(b"(" * depth + b'("text"'))
        self.assertEqual(answer.count(b' "plain")'), depth)

    def test_parentheses_are_balanced_whatever_is_scanned(self) -> None:
        message = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
            b"Content-Type: multipart/digest; boundary=c\r\n\r\n"
            b"--c\r\n\r\nSubject: (\r\n\r\nx\r\n--c\r\n\r\n\r\n--c--\r\n"
            b'--b\r\nContent-Type: a/b; x=")"\r\n\r\n--b--\r\n'
        )
        for extensible in (False, True):
            answer = body(scan(message), extensible=extensible, rev2=True, utf8=False)
            bare = answer.replace(b'"("', b"").replace(b'")"', b"")
            self.assertEqual(bare.count(b"("), bare.count(b")"))
            self.assertEqual(answer.count(b'"message" "rfc822"'), 3)
