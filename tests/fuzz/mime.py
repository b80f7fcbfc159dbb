# SPDX-License-Identifier: GPL-3.0-or-later
"""
`python -m tests.fuzz.mime --inputs N --seed S`: random and mutated messages for the scanner.

Half of the inputs are pieces of messages in random order, half are messages of the corpus with
pieces cut, doubled, put in and exchanged. Every one is scanned and its facts are checked; one in
eight is scanned again in small chunks and must give the same. What fails is printed with its seed.

`--small-limits` makes the limits so small that such messages reach them. `--linear` measures
instead: hostile messages of one size and of four times that, in CPU seconds.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator

from pluto_tw.mime import (
    addresses,
    dates,
    parameters,
    preview,
    references,
    scanner,
    structure,
    transfer,
)
from pluto_tw.mime.headers import decode_words, fields, select_fields
from pluto_tw.mime.scanner import scan
from pluto_tw.mime.section import find, span
from pluto_tw.mime.subject import base_subject
from tests.mime.consistency import check, scan_in_chunks
from tests.mime.corpus import messages

#: One input in so many is also scanned in chunks.
CHUNKED_EVERY = 8

#: What messages are made of, and what breaks them.
PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\r\n\r\n",
        b"\n\n",
        b" ",
        b"\t",
        b":",
        b";",
        b"=",
        b",",
        b'"',
    ),
    *(b"(", b")", b"\\", b"<", b">", b"@", b"[", b"]", b"--", b"--b", b"--b--", b"--c", b"--c--"),
    *(b"\n--b\n", b"\r\n--b\r\n", b"\n--b--\n", b"\n--c\n", b"\n--c--\n", b"\n--\n", b"\n----\n"),
    b"Content-Type: multipart/mixed; boundary=b\n",
    b"Content-Type: multipart/digest; boundary=b\r\n",
    b'Content-Type: multipart/alternative; boundary="c"\r\n',
    b"Content-Type: message/rfc822\n",
    b"Content-Type: text/html; charset=utf-8\n",
    b"Content-Type: text/plain; name*0*=utf-8''%C3; name*1*=%A9\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\n",
    b'Content-Disposition: attachment; filename="a.b"\n',
    b"Subject: =?utf-8?q?=C3=A9?= Re: [x] Fwd:\n",
    b"Subject: Re: [fwd: (fwd)]\n",
    b"From: A <a@b.c>\n",
    b'To: "x, y" <@r:a@b>, g: c@d;\r\n',
    b"Date: Mon, 10 Jun 2024 10:11:09 +0200\n",
    b"References: <a@b> <c@d>\n",
    *(b"text", b"x" * 80, b"\xc3\xa9", b"\xff", b"=?utf-8?b?w6k=?=", b"=C3=A9", b"<p>", b"&amp;"),
)


def inputs(seed: int) -> Iterator[bytes]:
    """Messages without end, the same ones for the same *seed*."""
    chance = random.Random(seed)
    corpus = [message for message in messages().values() if len(message) < 1500]
    while True:
        if chance.random() < 0.5:
            yield b"".join(chance.choices(PIECES, k=chance.randint(0, 24)))
        else:
            yield mutated(chance.choice(corpus), chance.choice(corpus), chance)


def mutated(message: bytes, other: bytes, chance: random.Random) -> bytes:
    """*message* with one to five changes, some of them taken from *other*."""
    for _ in range(chance.randint(1, 5)):
        start = chance.randint(0, len(message))
        end = min(len(message), start + chance.choice((0, 1, 2, 5, 20, 100)))
        match chance.randrange(4):
            case 0:
                new = chance.choice(PIECES)
            case 1:
                new = message[start:end] * 2
            case 2:
                begin = chance.randint(0, len(other))
                new = other[begin : begin + chance.choice((1, 10, 100))]
            case _:
                new = bytes((chance.randrange(256),))
        message = message[:start] + new + message[end:]
    return message


def try_one(message: bytes, chunked: bool) -> None:
    """Scans and checks one message, and uses everything else of the package on it."""
    facts = scan(message)
    check(message, facts)
    if chunked:
        for sizes in ([1], [2, 3, 5], [17]):
            assert scan_in_chunks(message, sizes) == facts, f"chunks of {sizes}"
    header = facts.header
    assert select_fields(header, (), True).startswith(b"") and len(fields(header)) >= 0
    for path in ((), (1,), (2,), (1, 1), (2, 1, 1)):
        part = find(facts, path)
        for what in ("", "HEADER", "TEXT", "MIME"):
            section = span(facts, path, what)
            assert section is None or 0 <= section.start <= section.end <= len(message)
        if part is not None:
            parameters.parameter(part.parameters, b"name")
    for mangled in (message, message.replace(b"\n", b"")):
        addresses.text(addresses.parse(mangled))
        decode_words(mangled)
        base_subject(mangled)
        dates.sent_date(mangled)
        references.message_ids(mangled)
        parameters.parse(mangled)
        transfer.decode(mangled, b"base64")
        transfer.decode(mangled, b"quoted-printable")


def run(count: int, seed: int) -> None:
    """Tries *count* messages. The first that fails is printed and ends it."""
    for number, message in zip(range(count), inputs(seed), strict=False):
        try:
            try_one(message, number % CHUNKED_EVERY == 0)
        except Exception:
            print(f"seed {seed} input {number} fails:\n{message!r}")
            raise


def use_small_limits() -> None:
    """Limits that messages of some hundred octets reach."""
    structure.PARTS_MAX = 6
    structure.DEPTH_MAX = 3
    scanner.BOUNDARY_LINE_OCTETS_MAX = 14
    scanner.HEADER_OCTETS_MAX = 80
    scanner.HEADERS_OCTETS_MAX = 300
    scanner.HEADER_KEPT_OCTETS_MAX = 50
    preview.PREVIEW_CHARACTERS_MAX = 10


#: Hostile messages: what stands first, and what is repeated behind it.
HOSTILE: dict[str, tuple[bytes, bytes]] = {
    "text": (b"Subject: x\n\n", b"some words of text\n"),
    "parts": (b"Content-Type: multipart/x; boundary=b\n\n", b"--b\n"),
    "closing boundaries": (b"Content-Type: multipart/x; boundary=b\n\n", b"--b--\n"),
    "nested multiparts": (b"", b"Content-Type: multipart/x; boundary=b\n\n--b\n"),
    "nested messages": (b"", b"Content-Type: message/rfc822\n\n"),
    "lines that are nearly boundaries": (b"Content-Type: multipart/x; boundary=b\n\n", b"--bb\n"),
    "hyphens": (b"Content-Type: multipart/x; boundary=-\n\n", b"-"),
    "hyphens in the header": (b"Subject: x\n", b"--\n"),
    "colons": (b"", b":"),
    "lines of colons": (b"", b":\n"),
    "names": (b"", b"a"),
    "fields": (b"", b"a:\n"),
    "To": (b"", b"To:a\n"),
    "folding": (b"Subject: x", b"\n "),
    "empty lines": (b"Subject: x\n\n", b"\r\n"),
    "white space": (b"Subject:", b" "),
    "CR": (b"Subject:", b"\r"),
    "quoted-printable white space": (b"Content-Transfer-Encoding: quoted-printable\n\n", b" "),
}
for _name, _field in (
    ("To", b"To: "),
    ("Content-Type", b"Content-Type: a/b; c="),
    ("Subject", b"Subject: "),
    ("References", b"References: <a@b> "),
    ("Date", b"Date: "),
):
    for _piece in (
        *(b'"', b'"\\', b'"a"', b"(", b"()", b"(\\", b"<", b"<>", b"<@a,", b'<"', b'<"\\<', b","),
        *(b";", b';"', b"=", b"a@", b"a:;", b"[", b"[\\", b"[a]", b"re:", b"[a]re:", b"[fwd:"),
        *(b"(fwd)", b"=?a?q?b?= ", b"=?a?q?", b"=?", b"*0*=a;", b"%", b" ", b" ;", b"1 ", b"a "),
    ):
        HOSTILE[f"{_name} of {_piece.decode()}"] = (_field, _piece)
for _piece in (b"<", b"<!--", b"<style>", b"<style", b"&#", b"&#9", b" ", b"<a ", b"</"):
    HOSTILE[f"HTML of {_piece.decode()}"] = (b"Content-Type: text/html\n\n", _piece)


def linear(octets: int) -> int:
    """Prints what one size and four times that cost; how many grow faster than the message."""
    worst = 0
    for name, (first, piece) in HOSTILE.items():
        small, large = (
            _cpu_seconds(first + piece * (size // len(piece))) for size in (octets, 4 * octets)
        )
        # Four times is right; eight is twice that, sixteen is a square.
        grows = large > 8 * small and large > 0.02
        worst += grows
        print(f"{name:40} {small * 1e3:9.2f} ms {large * 1e3:9.2f} ms {large / small:5.1f}x")
    return worst


def _cpu_seconds(message: bytes) -> float:
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        scan(message)
        best = min(best, time.process_time() - start)
    return best


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mime", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small-limits", action="store_true")
    parser.add_argument("--linear", type=int, metavar="OCTETS", default=0)
    chosen = parser.parse_args(arguments)
    if chosen.linear:
        return 1 if linear(chosen.linear) else 0
    if chosen.small_limits:
        use_small_limits()
    start = time.process_time()
    run(chosen.inputs, chosen.seed)
    seconds = time.process_time() - start
    print(f"{chosen.inputs} inputs, seed {chosen.seed}: none failed, {seconds:.0f} CPU seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
