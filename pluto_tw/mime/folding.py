# SPDX-License-Identifier: GPL-3.0-or-later
"""
The comparator of SEARCH, SORT and THREAD: i;unicode-casemap, RFC 5051 (I18NLEVEL=1, RFC 5255).

Each character is replaced by its titlecase, each character of that by its full decomposition (both
from the Unicode Character Database of the running Python). Characters do not influence each
other, so `fold(a + b) == fold(a) + fold(b)`: text can be folded in chunks.
"""

import unicodedata

#: Characters whose folding is remembered. Beyond it they are folded anew each time, so that text
#: made of all of Unicode cannot hold memory; all that one language needs is far below it.
FOLDED_CHARACTERS_MAX = 16 * 1024


class _Folded(dict[int, str]):
    """Code points to what they fold to, filled as they occur, for `str.translate`."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        title = character.title()
        # RFC 5051 means the one-to-one mapping of UnicodeData.txt; Python's is the full one
        # ("ß" to "Ss"). Where they differ the simple mapping does not exist.
        folded = unicodedata.normalize("NFKD", title if len(title) == 1 else character)
        if len(self) < FOLDED_CHARACTERS_MAX:
            self[code_point] = folded
        return folded


_FOLDED = _Folded()


def fold(text: str) -> str:
    """
    *text* in the form in which two texts that match in any case are equal; RFC 5051 §2.

    Comparing two results by code point is the ordering of i;unicode-casemap. Example: "Straße é"
    and "STRAßE É" both fold to "STRAßE É" with its accent as a character of its own.
    """
    if text.isascii():
        return text.upper()
    return text.translate(_FOLDED)
