# SPDX-License-Identifier: GPL-3.0-or-later
"""
A client that believes every response, and fails where no client could.

It reads responses by rules of its own, the grammar of RFC 9051 §9 as far as a client that knows
nothing of the server's code must rely on it, and keeps what they say of the selected mailbox.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pluto_tw.mail.sets import NumberSet

_ANNOUNCEMENT = re.compile(rb"(?:\A|[ (\[])(~?)\{(\d+)\}\Z")
_TAGGED = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+|\*) (OK|NO|BAD) ')
_STATUS_TEXT = re.compile(rb"(?:\[[^\]\x00-\x1f\x7f-\xff]+\] )?[\x20-\x7e]+")
_STRING = re.compile(rb'"(?:[^"\\\r\n\x00]|\\["\\])*"')
_SECTION = re.compile(rb"(BODY|BINARY|BINARY\.SIZE)\[[^\[\]()]*(?:\([^()]*\))?\](?:<\d+>)?")
_LIST = re.compile(rb"\((?:[^() ]+(?: [^() ]+)*)?\)")
_ADJACENT = re.compile(rb"\)(?=\()")
_NUMBERED = re.compile(rb"(\d+) (EXISTS|EXPUNGE|RECENT)")
_FETCH = re.compile(rb"(\d+) FETCH \((.*)\)", re.DOTALL)
_UID = re.compile(rb"(?:^| )UID (\d+)(?= |$)")
_FLAGS = re.compile(rb"(?:^| )FLAGS \(([^()]*)\)")
_NUMBER_ITEM = re.compile(rb"(?:^| )(?:UID|RFC822\.SIZE|MODSEQ) \(?(\d+)\)?(?= |$)")
#: What a value is once strings and lists in it are `s`.
_VALUES = {
    b"CAPABILITY": re.compile(rb"CAPABILITY(?: [!-~]+)+"),
    b"ENABLED": re.compile(rb"ENABLED(?: [!-~]+)*"),
    b"FLAGS": re.compile(rb"FLAGS s"),
    b"LIST": re.compile(rb"LIST s (?:s|NIL) [!-~]+(?: s)?"),
    b"LSUB": re.compile(rb"LSUB s (?:s|NIL) [!-~]+"),
    b"STATUS": re.compile(rb"STATUS [!-~]+ s"),
    b"SEARCH": re.compile(rb"SEARCH(?: \d+)*(?: s)?"),
    b"ESEARCH": re.compile(rb"ESEARCH s(?: UID)?(?: [A-Z]+ [!-~]+)*"),
    b"ID": re.compile(rb"ID (?:s|NIL)"),
    b"NAMESPACE": re.compile(rb"NAMESPACE(?: (?:s+|NIL)){3}"),
    b"VANISHED": re.compile(rb"VANISHED(?: s)? [0-9:,]+"),
}
_LONGEST_NESTING = 300
#: The end of commands that EXPUNGE must not be told in; their UID forms say UID. RFC 9051 §7.5.1.
_NO_EXPUNGE = (b"FETCH completed", b"STORE completed", b"SEARCH completed")


class Unbelievable(AssertionError):
    """A response that no client could understand or believe."""


class Unfinished(Unbelievable):
    """The last response is not whole."""


def responses(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """
    Each response in *data*, without its line end: as it came, and with an empty string in place
    of each literal.
    """
    start = position = 0
    plain = b""
    while position < len(data):
        end = data.find(b"\r\n", position)
        if end < 0:
            raise Unfinished(f"an unfinished response: {data[start:]!r}")
        line = data[position:end]
        announced = _ANNOUNCEMENT.search(line)
        position = end + 2
        if announced is None:
            plain += line
            yield data[start:end], plain
            start, plain = position, b""
            continue
        literal = data[position : position + int(announced[2])]
        if len(literal) < int(announced[2]):
            raise Unfinished(f"an unfinished literal: {data[start:]!r}")
        if b"\0" in literal and not announced[1]:
            raise Unbelievable(f"NUL in a literal: {data[start:]!r}")
        position += len(literal)
        plain += line[: announced.start(1)] + b'""'
    if start != len(data):
        raise Unfinished(f"an unfinished response: {data[start:]!r}")


def reduced(plain: bytes) -> bytes:
    """*plain* with `s` in place of each string, outermost list and section."""
    text = _STRING.sub(b"s", plain)
    if b'"' in text:
        raise Unbelievable(f"a string that is none: {plain!r}")
    text = _SECTION.sub(rb"\1", text)
    for _ in range(_LONGEST_NESTING):
        if b"(" not in text:
            break
        text = (
            _ADJACENT.sub(b") ", _LIST.sub(b"s", text)) if b")(" in text else _LIST.sub(b"s", text)
        )
    if b"(" in text or b")" in text or b"{" in text or b"  " in text:
        raise Unbelievable(f"a list that is none: {plain!r}")
    return text


@dataclass(slots=True)
class Message:
    """What is known of a message; None: not asked for yet."""

    uid: int | None = None
    #: Without `\\Recent`.
    flags: frozenset[bytes] | None = None


class Believer:
    """What the client of one connection knows."""

    def __init__(self) -> None:
        #: By sequence number; None: no mailbox is selected.
        self.messages: list[Message] | None = None
        #: What the last FLAGS response told.
        self.flags: frozenset[bytes] = frozenset()
        self.rev2 = False
        #: Tags of the commands that were answered, in order.
        self.answered: list[bytes] = []
        #: The tag of the last of them that was answered OK.
        self.succeeded = b""
        self.ended = False
        #: Untagged responses since the last tagged one.
        self.loose: list[bytes] = []
        #: A "+" has come, and no answer to its command yet.
        self.invited = False

    def take(self, data: bytes, *, is_last: bool = False) -> None:
        """
        Believes *data*, which holds whole responses.

        If it *is_last*, the connection may have ended in the middle of one: nothing else can be
        done with a message that turns out to be damaged when half of it was sent.
        """
        try:
            for raw, plain in responses(data):
                try:
                    self._response(plain)
                except Unbelievable as error:
                    raise Unbelievable(f"{raw!r}: {error}") from None
        except Unfinished:
            if not is_last:
                raise

    def forget_flags(self) -> None:
        """The client has changed flags and asked not to be told."""
        for message in self.messages or ():
            message.flags = None

    def compare(self, truth: Sequence[tuple[int, frozenset[str]]] | None) -> None:
        """*truth* are UIDs and flags as the session shows them: takes UIDs that are not known."""
        if truth is None or self.messages is None:
            if truth is not None or self.messages is not None:
                raise Unbelievable(f"selected: {self.messages}, truth: {truth}")
            return
        if len(truth) != len(self.messages):
            raise Unbelievable(f"believed: {self.messages}, truth: {truth}")
        for message, (uid, flags) in zip(self.messages, truth, strict=True):
            if message.uid not in (None, uid):
                raise Unbelievable(f"believed: {self.messages}, truth: {truth}")
            message.uid = uid
            if message.flags is not None and message.flags != {f.encode() for f in flags}:
                raise Unbelievable(f"believed: {message}, truth: {flags}")

    def _response(self, plain: bytes) -> None:
        if not plain.isascii():
            if not self.rev2:
                raise Unbelievable("octets above 127")
            plain = plain.decode("utf-8").encode("ascii", "replace")
        if plain.startswith(b"+ "):
            self.invited = True
            return
        tagged = _TAGGED.match(plain)
        if tagged is not None and (tagged[1] != b"*" or tagged[2] == b"BAD"):
            self._tagged(tagged[1], tagged[2], plain[tagged.end() :])
            return
        if not plain.startswith(b"* "):
            raise Unbelievable("neither tagged nor untagged")
        if self.ended:
            raise Unbelievable("a response behind BYE")
        self.loose.append(plain)
        self._untagged(plain[2:])

    def _tagged(self, tag: bytes, status: bytes, text: bytes) -> None:
        if _STATUS_TEXT.fullmatch(text) is None:
            raise Unbelievable("no text of a status")
        if self.ended and not text.startswith(b"LOGOUT "):
            raise Unbelievable("a response behind BYE")
        for line in self.loose:
            if line.endswith(b" EXPUNGE") and text in _NO_EXPUNGE:
                raise Unbelievable(f"{line!r} during a command that names messages by number")
        if status == b"OK" and text.startswith((b"CLOSE completed", b"UNSELECT completed")):
            self._unselect()
        self.answered.append(tag)
        if status == b"OK":
            self.succeeded = tag
        self.loose.clear()
        self.invited = False

    def _untagged(self, text: bytes) -> None:
        word, _, rest = text.partition(b" ")
        if word in (b"OK", b"NO", b"BYE"):
            self._status(word, rest)
        elif (numbered := _NUMBERED.fullmatch(text)) is not None:
            self._numbered(int(numbered[1]), numbered[2])
        elif (fetch := _FETCH.fullmatch(text)) is not None:
            self._fetch(int(fetch[1]), fetch[2])
        else:
            self._listed(word, text, rest)

    def _status(self, word: bytes, text: bytes) -> None:
        if _STATUS_TEXT.fullmatch(text) is None:
            raise Unbelievable("no text of a status")
        if text.startswith(b"[CLOSED]"):
            self._unselect()
        if word == b"BYE":
            self.ended = True

    def _unselect(self) -> None:
        self.messages = None
        self.flags = frozenset()

    def _numbered(self, number: int, word: bytes) -> None:
        if self.messages is None:
            if word != b"EXISTS":
                raise Unbelievable("no mailbox is selected")
            self.messages = []
        if word == b"EXPUNGE":
            if not 1 <= number <= len(self.messages):
                raise Unbelievable(f"there are {len(self.messages)} messages")
            del self.messages[number - 1]
        elif word == b"RECENT":
            if number > len(self.messages) or self.rev2:
                raise Unbelievable(f"there are {len(self.messages)} messages")
        elif number < len(self.messages):
            raise Unbelievable(f"EXISTS shrinks a mailbox of {len(self.messages)} messages")
        else:
            self.messages += [Message() for _ in range(number - len(self.messages))]

    def _fetch(self, number: int, items: bytes) -> None:
        if self.messages is None or not 1 <= number <= len(self.messages):
            raise Unbelievable("there is no such message")
        message = self.messages[number - 1]
        if len(reduced(items).split(b" ")) % 2:
            raise Unbelievable("items and values do not pair")
        outside = _STRING.sub(b"s", items)
        if any(int(found[1]) >= 2**63 for found in _NUMBER_ITEM.finditer(outside)):
            raise Unbelievable("a number beyond all bounds")
        uid = _UID.search(outside)
        if uid is not None:
            if message.uid not in (None, int(uid[1])):
                raise Unbelievable(f"the message has UID {message.uid}")
            message.uid = int(uid[1])
        flags = _FLAGS.search(outside)
        if flags is not None:
            told = frozenset(flags[1].split())
            message.flags = told if self.rev2 else told - {b"\\Recent"}
            if not message.flags <= self.flags:
                raise Unbelievable(f"flags that were not told before: {self.flags}")

    def _listed(self, word: bytes, text: bytes, rest: bytes) -> None:
        form = _VALUES.get(word)
        if form is None:
            raise Unbelievable("no response that is known")
        if form.fullmatch(reduced(text)) is None:
            raise Unbelievable("not the form of this response")
        if word == b"FLAGS":
            self.flags = frozenset(rest[1:-1].split())
        elif word == b"ENABLED" and b"IMAP4rev2" in rest:
            self.rev2 = True
        elif word == b"VANISHED" and not rest.startswith(b"(EARLIER) "):
            for uid in NumberSet.parse(rest):
                self._vanish(uid)

    def _vanish(self, uid: int) -> None:
        """Takes *uid* out; if it is not known, the first message that may have it."""
        candidate = None
        for place, message in enumerate(self.messages or ()):
            if message.uid is None and candidate is None:
                candidate = place
            elif message.uid is not None and message.uid >= uid:
                if message.uid == uid:
                    candidate = place
                break
            elif message.uid is not None:
                candidate = None
        if self.messages is None or candidate is None:
            raise Unbelievable(f"there is no message {uid}")
        del self.messages[candidate]
