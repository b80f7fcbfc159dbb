# SPDX-License-Identifier: GPL-3.0-or-later
r"""
A row of the table of conflicts, and the few words in which rows are written.

What is done, each a command with its words, several divided by `;`:

    create N, delete N, rename N Z, subscribe N, unsubscribe N
    append N m1 \Seen           a message that these tests call m1; with flags or without
    copy N m1 Z, move N m1 Z    m1 from N to Z; `m1,m2` for several
    store N m1 +\Seen           or -\Seen
    store-if-unchanged N m1 +\Seen      UNCHANGEDSINCE what the site showed last
    read N m1                   FETCH of a body, which sets \Seen
    expunge N m1                sets \Deleted and expunges, as mail programs do

What is seen: mailboxes with their messages and flags, `INBOX: m1(\Seen) m2; N: nothing`. All that
there is has to be named, except an INBOX that is empty.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: The commands, in the order of the table.
COMMANDS: Final = (
    "append",
    "copy",
    "move",
    "store",
    "expunge",
    "create",
    "delete",
    "rename",
    "subscribe",
)

#: Mailboxes, each with its messages as they are shown: a label, and flags in parentheses.
Shown = Mapping[str, Counter[str]]

_MESSAGE: Final = re.compile(r"[^ (]+(?:\([^)]*\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one site and another do while they are cut off, and what all show after healing."""

    #: Two of `COMMANDS`, in their order.
    pair: tuple[str, str]
    #: What there is at both sites before: commands.
    before: str = ""
    one: str
    other: str
    shows: str
    #: Where the clocks decide: what is seen if the other site's command is the later one.
    shows_if_other_later: str = ""
    #: Names that are subscribed afterwards.
    subscribed: str = ""
    #: Messages that are nowhere afterwards, because someone who saw them removed them.
    gone: str = ""
    #: Messages that one of the sites shows under another UID than before; where that depends on the
    #: order of events, all that can happen: `a1 or b1 or none`.
    renumbered: str = "none"
    #: Names whose UIDVALIDITY is another than before, at one of the sites.
    revalidated: str = ""
    #: For people: a sentence or two.
    says: str

    def __str__(self) -> str:
        return f"{' and '.join(self.pair)}: {self.before} | {self.one} | {self.other}"


def deeds(text: str) -> list[list[str]]:
    """The words of each command."""
    return [deed.split() for deed in text.split(";") if deed.strip()]


def seen(text: str) -> dict[str, Counter[str]]:
    """What *text* says that is shown, with INBOX."""
    found: dict[str, Counter[str]] = {"INBOX": Counter()}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, _, messages = part.partition(":")
        shown = _MESSAGE.findall(messages)
        found[name] = Counter() if shown == ["nothing"] else Counter(shown)
    return found


def as_shown(label: str, flags: frozenset[str]) -> str:
    r"""A message as rows write it: `m1(\Flagged \Seen)`."""
    return f"{label}({' '.join(sorted(flags))})" if flags else label


def label_of(message: str) -> str:
    """The label of a message as rows write it."""
    return message.partition("(")[0]
