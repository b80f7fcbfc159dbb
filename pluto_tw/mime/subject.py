# SPDX-License-Identifier: GPL-3.0-or-later
"""
The base subject, by which SORT and THREAD compare messages: RFC 5256 §2.1.

"All servers and disconnected clients MUST use exactly this algorithm." The steps are those of the
RFC with the text held still and two indexes moving inward, so the time is linear in the subject
whatever it is made of.
"""

import re
from typing import NamedTuple

from pluto_tw.mime.headers import decode_words

# Single words with a space between them, no "[" before the first, no ":" at all and no ")" at the
# end: there is nothing to take out of it.
_PLAIN = re.compile(r"[^ \t\[:][^ \t:]*+(?: [^ \t:]++)*+(?<!\))")
_SPACES = re.compile(r"[ \t]+")
_BLOBS = re.compile(r"(?:\[[^\[\]]*+\][ \t]*+)*+")
_REPLY_OR_FORWARD = re.compile(
    r"(?:re|fwd?)[ \t]*+(?:\[[^\[\]]*+\][ \t]*+)?+:", re.IGNORECASE | re.ASCII
)
_FORWARDED = "[fwd:"
_TRAILER = "(fwd)"


class BaseSubject(NamedTuple):
    """The base subject, and whether taking it out says that this is a reply or a forward."""

    text: str
    is_reply_or_forward: bool


def base_subject(subject: bytes) -> BaseSubject:
    """
    The base subject of a Subject field's value, in the case in which it was written.

    Example: `Re: [list] Fwd: lunch (fwd)` has the base `lunch`. RFC 5256 §2.1; it is a reply or
    forward if a subj-refwd, a "(fwd)" or the pair of "[fwd:" and "]" went (§3, REFERENCES).
    """
    text = decode_words(subject)
    if _PLAIN.fullmatch(text):
        return BaseSubject(text, False)
    text = _SPACES.sub(" ", text)
    start, end, found = 0, len(text), False
    while True:
        end, trailed = _without_trailers(text, start, end)
        start, led = _without_leaders(text, start, end)
        found = found or trailed or led
        # Step 6: "[fwd: subject]" is one more wrapping around a subject.
        opens = text[start : start + len(_FORWARDED)].lower() == _FORWARDED
        if not opens or end - start <= len(_FORWARDED) or text[end - 1] != "]":
            return BaseSubject(text[start:end], found)
        start, end, found = start + len(_FORWARDED), end - 1, True


def _without_trailers(text: str, start: int, end: int) -> tuple[int, bool]:
    """Step 2: *end* moved before all trailing white space and "(fwd)", and if one went."""
    found = False
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif text[max(start, end - len(_TRAILER)) : end].lower() == _TRAILER:
            end -= len(_TRAILER)
            found = True
        else:
            break
    return end, found


def _without_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps 3 to 5: *start* moved behind all that leads the subject, and if a "re:" went."""
    found = False
    while True:
        while start < end and text[start] == " ":
            start += 1
        blobs_end = _span_end(_BLOBS, text, start, end)
        reply = _REPLY_OR_FORWARD.match(text, blobs_end, end)
        if reply:
            start, found = reply.end(), True
            continue
        # No "re:" behind this run of blobs, so none behind a shorter run of them: step 4 removes
        # them one by one, all but the last if nothing else is left.
        if blobs_end < end:
            if blobs_end == start:
                return start, found
            start = blobs_end
            continue
        return _start_of_last_blob(text, start, end), found


def _span_end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match else start


def _start_of_last_blob(text: str, start: int, end: int) -> int:
    """Where the last of the blobs begins of which `text[start:end]` is made."""
    return max(text.rfind("[", start, end), start)
