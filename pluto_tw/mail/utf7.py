# SPDX-License-Identifier: GPL-3.0-or-later
"""
Modified UTF-7, the form of mailbox names on the wire of IMAP4rev1. RFC 3501 §5.1.3.

Decides which bytes stand for which name and nothing of what a name may hold: that is
`pluto_tw.mail.names`. A session that has enabled IMAP4rev2 or UTF8=ACCEPT sends UTF-8 instead.

Each text has exactly one wire form, so `encode` and `decode` are inverse to each other wherever
they do not raise.
"""

import binascii
import re

#: Printable US-ASCII without "&": stands for itself.
_DIRECT = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_ENCODED_RUN = re.compile(r"&|[^\x20-\x7e]+")
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")


def encode(name: str) -> bytes:
    """
    The modified UTF-7 form of *name*: printable US-ASCII.

    Raises `ValueError` for a lone surrogate. Example: "Entwürfe" is b"Entw&APw-rfe".
    """
    return _ENCODED_RUN.sub(_encoded, name).encode("ascii")


def decode(wire: bytes) -> str:
    """
    The name whose modified UTF-7 form is *wire*.

    Raises `ValueError` for whatever `encode` does not make: octets outside printable US-ASCII,
    a shift that does not end or is superfluous, printable US-ASCII in base64, surplus base64
    digits, bits that are not zero at its end, lone surrogates. A name that had two forms would
    be two mailboxes to a client that compares forms.
    """
    if _DIRECT.fullmatch(wire) is not None:
        return wire.decode("ascii")
    text = []
    position = 0
    for shift in _SHIFT.finditer(wire):
        text.append(wire[position : shift.start()].decode("ascii"))
        text.append(_decoded(shift[1]))
        position = shift.end()
    text.append(wire[position:].decode("ascii"))
    name = "".join(text)
    if encode(name) != wire:
        raise ValueError("not the modified UTF-7 form of any name")
    return name


def _encoded(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    digits = binascii.b2a_base64(run[0].encode("utf-16-be"), newline=False)
    return "&" + digits.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def _decoded(digits: bytes) -> str:
    if not digits:
        return "&"
    padding = b"=" * (-len(digits) % 4)
    return binascii.a2b_base64(digits.replace(b",", b"/") + padding).decode("utf-16-be")
