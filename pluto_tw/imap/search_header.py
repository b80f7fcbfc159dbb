# SPDX-License-Identifier: GPL-3.0-or-later
"""
Search keys that look into a message's header: HEADER, the fields with keys of their own, and the
part of TEXT that is the header.

Text is compared as RFC 5255 §4.6 has it: encoded-words decoded, then by i;unicode-casemap. A field
is its whole value, so that `FROM` finds names, addresses and comments alike, as they are written.
"""

from pluto_tw.mail.search import Field, Header, Text
from pluto_tw.mime.folding import fold
from pluto_tw.mime.headers import decode_words, fields
from pluto_tw.mime.text import header_text


class HeaderText:
    """
    The text of one header block, decoded when it is asked for.

    *complete* says that no octet of the block is missing: only then can a key be known not to fit.
    """

    __slots__ = ("_complete", "_folded", "_header", "_values", "_whole")

    def __init__(self, header: bytes, *, complete: bool) -> None:
        self._header = header
        self._complete = complete
        self._values: dict[bytes, list[bytes]] | None = None
        self._folded: dict[bytes, list[str]] = {}
        self._whole: str | None = None

    def fits(self, key: Header | Field | Text, needle: str) -> bool | None:
        """
        Whether the header fits *key*, whose folded text is *needle*; None: not to be known here.

        Of `Text` never False, since the body is still to be read.
        """
        if isinstance(key, Text):
            return True if needle in self._text() else None
        name = key.name if isinstance(key, Header) else key.field.value
        if any(needle in value for value in self._field(name.encode("utf-8").lower())):
            return True
        return False if self._complete else None

    def _fields(self) -> dict[bytes, list[bytes]]:
        if self._values is None:
            self._values = {}
            for field in fields(self._header):
                value = self._header[field.value_start : field.span.end]
                self._values.setdefault(field.name.lower(), []).append(value)
        return self._values

    def _field(self, name: bytes) -> list[str]:
        folded = self._folded.get(name)
        if folded is None:
            folded = [fold(decode_words(value)) for value in self._fields().get(name, ())]
            self._folded[name] = folded
        return folded

    def _text(self) -> str:
        """All fields with their names, one a line."""
        if self._whole is None:
            self._whole = fold(header_text(self._header))
        return self._whole
