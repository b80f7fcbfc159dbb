# SPDX-License-Identifier: GPL-3.0-or-later
"""
Values as the bytes of responses.

Decides how a value is written so that every client reads it as what it is: which strings can
be quoted, when a name is in modified UTF-7, that no text can end its line. Leaves to commands
which responses there are, and to the streaming of bodies their literals: what is here is
returned whole. RFC 9051 §7 and §9.

*utf8* is true where the session has enabled IMAP4rev2 or UTF8=ACCEPT; only then may a quoted
string hold UTF-8: "MUST NOT generate UTF-8-quoted strings unless the client has issued ENABLE
IMAP4rev2" (RFC 9051 §A). Lines are returned with their CRLF, values without.
"""

import binascii
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from pluto_tw.mail import utf7
from pluto_tw.mail.flags import Flags, ordered
from pluto_tw.mail.sets import NumberSet

#: Longer strings are sent as literals, which a client reads by their size instead of looking for
#: quotes in them. RFC 2683 §3.2.1.5 gives lines without literals 1,000 octets for clients.
QUOTED_OCTETS_MAX: Final = 1000

#: Texts are read by people, in a dialogue box at best; two lines of one are enough.
TEXT_OCTETS_MAX: Final = 240

#: Distinct sets of flags in the mailboxes of a few hundred accounts; each costs some 200 octets.
FLAG_LISTS_CACHED: Final = 4096

_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*")
_SPECIAL = re.compile(rb'["\\]')
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_CODE = re.compile(r"[!-~ ]+")
_NO_TEXT_CHAR = re.compile(r"[^ -~]")

Status = Literal[b"OK", b"NO", b"BAD"]


# Strings


def quoted(data: bytes, *, utf8: bool = False) -> bytes:
    """
    *data* in quotes.

    Raises `ValueError` if it holds what no quoted string can: NUL, CR, LF, octets above 127
    unless *utf8*. RFC 9051 §9 "quoted".
    """
    if not _is_quotable(data, utf8):
        raise ValueError("not all of these octets can stand in a quoted string")
    if _SPECIAL.search(data) is None:
        return b'"' + data + b'"'
    return b'"' + _SPECIAL.sub(rb"\\\g<0>", data) + b'"'


def string(data: bytes, *, utf8: bool = False) -> bytes:
    """
    *data* quoted where that is possible and no longer than `QUOTED_OCTETS_MAX`, else a literal.

    "The ASCII NUL character, %x00, MUST NOT be used anywhere" but in a literal8 (RFC 9051 §9
    note 3). Broken mail has it in header fields all the same; it is sent as 0x80, which means
    nothing in any charset that mail uses and keeps the length.
    """
    if len(data) <= QUOTED_OCTETS_MAX and _is_quotable(data, utf8):
        return quoted(data, utf8=utf8)
    return b"{%d}\r\n%b" % (len(data), data.replace(b"\0", b"\x80"))


def nstring(data: bytes | None, *, utf8: bool = False) -> bytes:
    """`string`, or NIL for what does not exist."""
    return b"NIL" if data is None else string(data, utf8=utf8)


def astring(data: bytes, *, utf8: bool = False) -> bytes:
    """
    *data* as an atom if it is one, else as `string`.

    The word NIL is quoted: an atom would be correct (RFC 9051 §4.5), but there are clients that
    read every NIL as "nothing".
    """
    if _ASTRING_ATOM.fullmatch(data) is not None and data.upper() != b"NIL":
        return data
    return string(data, utf8=utf8)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """*name* in the form of the session: modified UTF-7 (RFC 3501 §5.1.3), or UTF-8 if *utf8*."""
    if utf8:
        return astring(name.encode("utf-8"), utf8=True)
    return astring(utf7.encode(name))


# Sets and lists


@lru_cache(maxsize=FLAG_LISTS_CACHED)
def flag_list(flags: Flags) -> bytes:
    """
    *flags* in parentheses, in one order for all: system flags first, then keywords by name.

    Two sets that are equal are spelled equally, so clients and caches can compare bytes.
    """
    return parenthesised(flag.encode("ascii") for flag in ordered(flags))


def number_set(numbers: NumberSet) -> bytes:
    """
    *numbers* as a sequence-set or uid-set: b"1:3,5".

    Raises `ValueError` if there are none: no set is empty in RFC 9051 §9.
    """
    if not numbers:
        raise ValueError("a set on the wire names at least one number")
    return numbers.format()


def parenthesised(items: Iterable[bytes]) -> bytes:
    """A parenthesized list of *items*. RFC 9051 §4.4."""
    return b"(" + b" ".join(items) + b")"


# Lines


def untagged(data: bytes) -> bytes:
    """The response line with *data*, which has the form of the wire. RFC 9051 §7."""
    return b"* " + data + b"\r\n"


def tagged(tag: bytes, status: Status, text: str, code: bytes | None = None) -> bytes:
    """The line that ends the command *tag*; *code* as `response_code` gives it. RFC 9051 §7.1."""
    return b"%b %b %b\r\n" % (tag, status, _resp_text(text, code))


def untagged_status(
    status: Literal[b"OK", b"NO", b"BAD", b"PREAUTH", b"BYE"], text: str, code: bytes | None = None
) -> bytes:
    """A status that is nobody's: greeting, warning, BYE. RFC 9051 §7.1."""
    return untagged(b"%b %b" % (status, _resp_text(text, code)))


def bye(text: str, code: bytes | None = None) -> bytes:
    """The last line of a connection. RFC 9051 §7.1.5."""
    return untagged_status(b"BYE", text, code)


def continuation(text: str) -> bytes:
    """The command continuation request that asks for a literal or for IDLE's DONE."""
    return b"+ %b\r\n" % text_safe(text)


def challenge(data: bytes) -> bytes:
    """The command continuation request with the server's SASL *data*. RFC 9051 §6.2.2."""
    return b"+ %b\r\n" % binascii.b2a_base64(data, newline=False)


def response_code(name: str, argument: str = "") -> bytes:
    """
    A code of `mail.codes` in brackets, with *argument* in the form of the wire, if it has one.

    Raises `ValueError` for what would end the brackets or the line: RFC 9051 §9 has
    <any TEXT-CHAR except "]">.
    """
    code = f"{name} {argument}" if argument else name
    if _CODE.fullmatch(code) is None or "]" in code:
        raise ValueError(f"not a response code: {code!r}")
    return b"[%b]" % code.encode("ascii")


def text_safe(text: str) -> bytes:
    """
    *text* as resp-text without a code: ASCII, one line, at most `TEXT_OCTETS_MAX` octets.

    What is not printable ASCII becomes "?"; a first "[", which would be read as the start of a
    code, becomes "("; nothing at all, which RFC 3501 §9 does not allow, becomes "-".
    """
    safe = _NO_TEXT_CHAR.sub("?", text[:TEXT_OCTETS_MAX])
    if safe.startswith("["):
        safe = "(" + safe[1:]
    return safe.encode("ascii") or b"-"


def _resp_text(text: str, code: bytes | None) -> bytes:
    return text_safe(text) if code is None else code + b" " + text_safe(text)


def _is_quotable(data: bytes, utf8: bool) -> bool:
    if not utf8 or data.isascii():
        return _QUOTABLE.fullmatch(data) is not None
    if _QUOTABLE_UTF8.fullmatch(data) is None:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
