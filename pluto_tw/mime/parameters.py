# SPDX-License-Identifier: GPL-3.0-or-later
"""
Content-Type and Content-Disposition: a word and its parameters, RFC 2045 §5.1, 2183, 2231.

`parse` gives parameters in the form that BODYSTRUCTURE tells; `parameter` gives the text of one.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pluto_tw.mime.charsets import to_text
from pluto_tw.mime.comments import without_comments
from pluto_tw.mime.headers import decode_words

Parameters = tuple[tuple[bytes, bytes], ...]

#: Parameters read of one field. Real ones have a handful; a name in 40 continuations is 2 KB.
PARAMETERS_MAX = 100

# name = value: a quoted string (which may lack its closing quote), or all up to the next ";".
_PARAMETER = re.compile(
    rb"""[;\s]*+ ([^=;\s"]++) \s*+ = \s*+
    (?: "((?:[^"\\]++|\\.)*+) (?:"[^;]*+|\\?\Z) | ([^;]*+) )""",
    re.DOTALL | re.VERBOSE,
)
_NO_PARAMETER = re.compile(rb"[;\s]*+[^;]*+")
# Looking for an octet is three times as fast as looking for octets.
_ASTERISK, _BACKSLASH, _PARENTHESIS = b"*\\("
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(rb"\A([^*]+)\*(0|[1-9][0-9]{0,3})(\*?)\Z")
_NOT_ATTRIBUTE = "!#$&+-.^_`{|}~"


def parse(value: bytes) -> tuple[bytes, Parameters]:
    """
    The first word of an unfolded value, as written, and its parameters, in their order.

    Names come in lower case, values without their quotes; comments go. Of a name that occurs twice
    the first counts. Continuations are joined as `Part` describes. What is no parameter is passed
    over; never raises. At most `PARAMETERS_MAX` are read.
    """
    if _PARENTHESIS in value:
        value = without_comments(value).strip()
    word, separator, rest = value.partition(b";")
    if not separator:
        return value, ()
    pairs = _pairs(rest)
    return word.rstrip(), join_continuations(pairs) if _ASTERISK in rest else tuple(pairs)


def _pairs(text: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters as they stand there."""
    found: dict[bytes, bytes] = {}
    position, end = 0, len(text)
    while len(found) < PARAMETERS_MAX and position < end:
        match = _PARAMETER.match(text, position)
        if match:
            name, quoted, value = match.groups()
            if quoted is not None:
                value = _QUOTED_PAIR.sub(rb"\1", quoted) if _BACKSLASH in quoted else quoted
            found.setdefault(name.lower(), value.strip())
        else:
            # No parameter up to the next ";". The separators before it were looked at in vain,
            # so they are passed too.
            match = _NO_PARAMETER.match(text, position)
        position = match.end() if match else end
    return list(found.items())


def join_continuations(pairs: list[tuple[bytes, bytes]]) -> Parameters:
    """
    *pairs* with the sections of each divided parameter made one, at the place of the first.

    RFC 2231 §3 and §4.1. Sections count from 0 without a gap; what comes behind a gap is dropped.
    A plain parameter of the same name stays beside an encoded one, as senders give both. Joined
    sections without a section 0 stay as they are.
    """
    sections: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in pairs:
        if match := _SECTION.match(name):
            numbered = sections.setdefault(match[1], {})
            numbered.setdefault(int(match[2]), (value, bool(match[3])))
    joined: dict[bytes, bytes] = {}
    for name, value in pairs:
        match = _SECTION.match(name)
        if not match or 0 not in sections[match[1]]:
            joined.setdefault(name, value)
        else:
            whole, encoded = _join(sections[match[1]])
            joined.setdefault(match[1] + b"*" if encoded else match[1], whole)
    return tuple(joined.items())


def _join(sections: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bool]:
    """The sections from 0 on as one value, and whether it is in the notation of RFC 2231 §4."""
    run = [sections[0]]
    while len(run) in sections:
        run.append(sections[len(run)])
    if not any(encoded for _, encoded in run):
        return b"".join(value for value, _ in run), False
    pieces = [
        value if encoded else quote_from_bytes(value, safe=_NOT_ATTRIBUTE).encode()
        for value, encoded in run
    ]
    # The charset stands in section 0, if that is encoded; without it the delimiters still must.
    return (b"" if run[0][1] else b"''") + b"".join(pieces), True


def parameter(parameters: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """
    The text of the parameter *name* (in lower case), None where there is none.

    The encoded form, `name*`, is preferred over the plain one: senders that give both mean the
    plain one for those who cannot read RFC 2231. Encoded-words in a plain value are decoded too,
    although RFC 2047 §5 forbids them there: much mail has its filenames so.
    """
    plain = None
    for key, value in parameters:
        if key == name + b"*":
            charset, _, rest = value.partition(b"'")
            _, delimiter, text = rest.partition(b"'")
            if not delimiter:
                return to_text(unquote_to_bytes(value))
            return to_text(unquote_to_bytes(text), charset)
        if key == name and plain is None:
            plain = value
    return None if plain is None else decode_words(plain)
