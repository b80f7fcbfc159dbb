# SPDX-License-Identifier: GPL-3.0-or-later
"""
Names of users, and the key that an account is found by for ever.

Two names are the same user if their keys are equal: case and the way in which accents are encoded
do not count. Everything else of a name is free.
"""

import re
import unicodedata
from typing import Final, NewType

#: A name in canonical form. An account's mail belongs to its key, so the form never changes.
AccountKey = NewType("AccountKey", str)

#: Octets of UTF-8. RFC 4616 §2 lets a mechanism's names have 255 characters; the longest mail
#: address has 254 octets (RFC 5321 §4.5.3.1.3).
NAME_OCTETS_MAX: Final = 255

#: C0 and C1 controls, line and paragraph separators, lone surrogates: as in names of mailboxes.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def account_key(name: str) -> AccountKey:
    """
    The canonical form of *name*: case folded, NFC.

    The order is that of a canonical caseless match, Unicode 3.13 D145. ValueError says what is
    wrong with a name that nobody can have: empty, too long, with control characters or with space
    at an end, which a person would not see.
    """
    if not name:
        raise ValueError("the name is empty")
    if _FORBIDDEN.search(name) is not None:
        raise ValueError("the name has control characters")
    if name != name.strip():
        raise ValueError("the name begins or ends with a space")
    # Before it is normalised: that takes time in the square of a run of combining marks.
    if len(name.encode("utf-8")) > NAME_OCTETS_MAX:
        raise ValueError(f"the name has more than {NAME_OCTETS_MAX} octets")
    folded = unicodedata.normalize("NFD", name).casefold()
    return AccountKey(unicodedata.normalize("NFC", folded))
