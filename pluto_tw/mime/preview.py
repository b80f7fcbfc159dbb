# SPDX-License-Identifier: GPL-3.0-or-later
"""
The preview of a message from the beginning of a text part: RFC 8970.

Markup is taken out with patterns, not parsed: a preview "is not intended to be interpreted in any
way", and an approximation that takes linear time is worth more than an exact rendering.
"""

import html
import re

from pluto_tw.mime.charsets import to_text
from pluto_tw.mime.transfer import decode

#: RFC 8970 §3.3: "The server SHOULD limit the length of the preview text to 200 preview
#: characters", and "MUST NOT output preview text longer than 256".
PREVIEW_CHARACTERS_MAX = 200

#: Octets of a part, still encoded, that are read for its preview. 200 characters of UTF-8 in
#: quoted-printable are 2.4 KB; the rest is for quotations and the head of an HTML document.
PREVIEW_TEXT_OCTETS_MAX = 4 * 1024
PREVIEW_HTML_OCTETS_MAX = 16 * 1024

#: So many are tried first: nearly always they are enough.
_TRIED_OCTETS = 256

# What is no text of the document, then any tag. An unclosed one goes to the end of what is there.
_NO_TEXT = re.compile(
    r"<(?:!--.*?(?:-->|\Z)|(style|script|title)\b.*?(?:</\1\b[^>]*+>?|\Z))",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"<[!/?a-zA-Z][^>]*+(?:>|\Z)")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufeff]++"
)


def preview(octets: bytes, encoding: bytes, charset: bytes, is_html: bool) -> str:
    """
    At most `PREVIEW_CHARACTERS_MAX` characters of a text part of which *octets* are the beginning.

    White space is one space each, none at the ends; empty if there is nothing to show. The
    octets are decoded by *encoding*, then *charset*, as `transfer` and `charsets` say.
    """
    shown = _shown(octets[:_TRIED_OCTETS], encoding, charset, is_html)
    if len(shown) <= PREVIEW_CHARACTERS_MAX and len(octets) > _TRIED_OCTETS:
        shown = _shown(octets, encoding, charset, is_html)
    if len(shown) > PREVIEW_CHARACTERS_MAX:
        return shown[:PREVIEW_CHARACTERS_MAX].rstrip()
    # The last character may be half of one.
    return shown.rstrip("\ufffd")


def _shown(octets: bytes, encoding: bytes, charset: bytes, is_html: bool) -> str:
    """As much of the text as there is, at least `PREVIEW_CHARACTERS_MAX` if there is that much."""
    text = to_text(decode(octets, encoding), charset)
    if is_html:
        text = html.unescape(_TAG.sub(" ", _NO_TEXT.sub(" ", text)))
    shown = _first_words(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return _first_words(_INVISIBLE.sub("", text))


def _first_words(text: str) -> str:
    # No more words than characters are shown; what is left over comes as one word more.
    return " ".join(text.split(None, PREVIEW_CHARACTERS_MAX)[:PREVIEW_CHARACTERS_MAX])
