# SPDX-License-Identifier: GPL-3.0-or-later
"""
The scan of a message of 10 KB against the standard library's parser, in one run.

`email.message_from_bytes` splits a message into parts and header fields and parses no field; the
scan yields structure, envelope and offsets, and all else that is kept. To tell the two apart the
second figure leaves out what only `Facts` needs beyond that: preview, base subject, dates,
references, folding. Header blocks of parts are remembered (`content.REMEMBERED_MAX`), so each call
scans another of `MESSAGES`, whose boundaries, subjects, addresses and file names differ. `email`
suffers more from that, since it compiles a pattern for each boundary, so one message is also
scanned over and over; no mail server does that, and it has no bound.
"""

import base64
import email
import itertools
import quopri
from collections.abc import Callable
from random import Random

from benchmarks.measure import Figure, ratio, seconds_a_call
from pluto_tw.mime import facts
from pluto_tw.mime.scanner import Scanner, scan

#: A scan for structure, envelope and offsets is to be three times as fast, all of it 1.5 times.
STRUCTURE_RATIO_MAX = 1 / 3
EVERYTHING_RATIO_MAX = 1 / 1.5

#: So many different messages: more than are remembered.
MESSAGES = 600

_WORDS = (
    b"the plan is to meet on Monday and look at what has changed since we wrote the first draft "
    b"of it because some of the numbers were not right and nobody had time to read them again"
).split()


def run() -> list[Figure]:
    """Measures alternative text and HTML, and the same with an attachment."""
    alternatives, attachments = (
        [make(chance, number) for number in range(MESSAGES)]
        for make, chance in ((_alternative, Random(1)), (_with_attachment, Random(2)))
    )
    kept = facts.encode(scan(attachments[0]))
    return [
        *_against_email("text and HTML", alternatives, True),
        *_against_email("text, HTML and a file", attachments, True),
        *_against_email("text, HTML and a file, the same again", attachments[:1], False),
        Figure("facts kept of a message", len(kept), "octets", None, ""),
        Figure("decode facts", seconds_a_call(lambda: facts.decode(kept)) * 1e6, "µs", None, ""),
        Figure("scan 10 MB of base64", _seconds_of_large() * 1e3, "ms", None, "one part"),
    ]


def _against_email(name: str, messages: list[bytes], is_bound: bool) -> list[Figure]:
    bounds = (STRUCTURE_RATIO_MAX, EVERYTHING_RATIO_MAX) if is_bound else (None, None)
    parse = _each(messages, email.message_from_bytes)
    structure = ratio(_each(messages, _structure_only), parse)
    everything = ratio(_each(messages, scan), parse)
    seconds = seconds_a_call(parse)
    yardstick = f"email: {seconds * 1e6:.0f} µs, {len(messages[0]) / 1000:.1f} KB"
    return [
        Figure(f"structure of {name}", structure, "x", bounds[0], yardstick),
        Figure(f"everything of {name}", everything, "x", bounds[1], yardstick),
    ]


def _each(messages: list[bytes], f: Callable[[bytes], object]) -> Callable[[], object]:
    """*f* of the next message."""
    following = itertools.cycle(messages)
    return lambda: f(next(following))


class _StructureScanner(Scanner):
    """A scan that stops at structure, envelope and offsets."""

    def __init__(self) -> None:
        super().__init__()
        # One that is there already is not made.
        self._structure.preview = "none"

    def _facts(self, size: int) -> facts.Facts:
        parts, envelope = self._structure.parts(), self._structure.envelope
        header = self._structure.header_octets
        return facts.Facts(
            facts.FACTS_VERSION,
            size,
            parts,
            envelope,
            header,
            True,
            "",
            False,
            None,
            None,
            (),
            None,
            "",
            self._binary,
            self._eight_bit,
        )


def _structure_only(message: bytes) -> object:
    return _StructureScanner().finish(message)


_RECEIVED = b"""\
Return-Path: <bounce-%(n)d@lists.example.org>
Received: from mx1.example.org (mx1.example.org [192.0.2.1])
 by mail.example.com (Postfix) with ESMTPS id 4XyZ%(n)dabc
 for <user@example.com>; Mon, 10 Jun 2024 10:11:12 +0200 (CEST)
Received: from lists.example.org (localhost [127.0.0.1])
 by mx1.example.org (Postfix) with ESMTP id 7FDEAD%(n)d
 for <user@example.com>; Mon, 10 Jun 2024 10:11:10 +0200 (CEST)
Authentication-Results: mx1.example.org;
 dkim=pass header.d=example.org header.s=2024 header.b=dzdVyOfA;
 spf=pass (mx1.example.org: domain of bounce@lists.example.org
 designates 192.0.2.1 as permitted sender)
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=2024;
 t=1718007070; h=from:from:reply-to:subject:subject:date:date:message-id;
 bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
 b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
 dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR==
From: "Jane Q. Doe" <jane%(n)d@example.org>
To: Project Discussion <discuss@lists.example.org>, bob%(n)d@example.net
Cc: Alice Example <alice@example.com>, =?utf-8?q?Zo=C3=AB?= <zoe@example.com>
Subject: Re: [discuss] =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_Berlin?= and plan %(n)d
Date: Mon, 10 Jun 2024 10:11:09 +0200
Message-ID: <20240610081109.%(n)d@mail.example.org>
In-Reply-To: <20240609.%(n)d@mail.example.net>
References: <20240608.98@mail.example.net>
 <20240609.%(n)d@mail.example.net>
MIME-Version: 1.0
List-Id: Discussion <discuss.lists.example.org>
List-Unsubscribe: <mailto:discuss-leave@lists.example.org>
Precedence: list
X-Spam-Status: No, score=-2.1
X-Mailer: Example 1.0
"""


def _words(chance: Random, octets: int) -> bytes:
    return b" ".join(chance.choices(_WORDS, k=octets // 4))


def _quoted(text: bytes) -> bytes:
    return quopri.encodestring(text)


def _alternative_part(chance: Random, number: int, octets: int) -> bytes:
    """Text and HTML of together about *octets*, a header of its own included."""
    boundary = b"alternative-%d-%d" % (chance.randrange(10**9), number)
    paragraphs = b"".join(
        b'<p style="color: #333">%b</p>\n' % _words(chance, 300) for _ in range(octets // 460)
    )
    head = (
        b'Content-Type: text/%b; charset="utf-8"\nContent-Transfer-Encoding: quoted-printable\n\n'
    )
    parts = (
        head % b"plain" + _quoted(_words(chance, octets // 3)),
        head % b"html" + _quoted(b"<html><style>p {margin: 0}</style>%b</html>" % paragraphs),
    )
    return b'Content-Type: multipart/alternative; boundary="%b"\n\n%b--%b--\n' % (
        boundary,
        b"".join(b"--%b\n%b\n" % (boundary, part) for part in parts),
        boundary,
    )


def _alternative(chance: Random, number: int) -> bytes:
    """10 KB: text and HTML."""
    message = _RECEIVED % {b"n": number} + _alternative_part(chance, number, 7_000)
    return message.replace(b"\n", b"\r\n")


def _with_attachment(chance: Random, number: int) -> bytes:
    """10 KB: text, HTML and a file."""
    boundary = b"mixed-%d-%d" % (chance.randrange(10**9), number)
    file = base64.encodebytes(chance.randbytes(2_000))
    message = b'%bContent-Type: multipart/mixed; boundary="%b"\n\n--%b\n%b--%b\n%b%b--%b--\n' % (
        _RECEIVED % {b"n": number},
        boundary,
        boundary,
        _alternative_part(chance, number, 4_200),
        boundary,
        b'Content-Type: application/pdf; name="plan%d.pdf"\n' % number
        + b'Content-Disposition: attachment; filename="plan%d.pdf"\n' % number
        + b"Content-Transfer-Encoding: base64\n\n",
        file,
        boundary,
    )
    return message.replace(b"\n", b"\r\n")


def _seconds_of_large() -> float:
    line = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKL\r\n"
    message = (
        b"Subject: large\r\nContent-Type: multipart/mixed; boundary=0123456789abcdef\r\n\r\n"
        b"--0123456789abcdef\r\nContent-Type: image/png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + line * (10_000_000 // len(line))
        + b"--0123456789abcdef--\r\n"
    )
    return seconds_a_call(lambda: scan(message), rounds=3, number=1)
