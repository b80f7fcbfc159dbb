# SPDX-License-Identifier: GPL-3.0-or-later
"""
The page for operators, made of the table.

`python -m tests.conflicts.page` prints it; a test compares it with `docs/reference/conflicts.md`.
"""

import sys

from tests.conflicts.plain import PlainServer
from tests.conflicts.row import Row, deeds
from tests.conflicts.table import PAIRS, TABLE

_HEAD = """\
# Conflicts

Every site takes every command at once, also while it is cut off from the others. So two sites can
do things to the same mail without knowing of each other. This page says for each pair of commands
what all sites show when they have met again. They get there by themselves; there is nothing to
decide and nothing to run, and no copy in a folder of conflicts.

While the sites are connected the same rules hold, for commands that cross on the way: some
milliseconds instead of the length of a cut.

## What holds always

- **Nothing that was answered OK is lost.** A message is gone only if it was removed at a
  site that had it, and if nobody showed interest in it meanwhile elsewhere.
- **Interest keeps mail alive.** A removal (EXPUNGE, DELETE) counts for what its site had seen.
  New mail, a copy, a move or a flag that it had not seen wins against it.
- **Two things are no interest** in a message: setting `\\Deleted`, in whatever company, and the
  `\\Seen` that reading sets by itself.
- **What outlives an EXPUNGE is not marked `\\Deleted` any more**, so that the next EXPUNGE of
  somebody who knows nothing of it does not take it away.
- **RENAME keeps the whole mailbox** against a DELETE that had not seen it, with all its mail.
- **One name is one mailbox.** Mailboxes that come to have the same name at different sites become
  one, with the mail of all.
- **Flags are kept one by one.** A flag that one site removes and another one sets anew is
  set; only `\\Deleted` is then not set.
- **Clocks decide nothing about mail.** They decide which of two new names of one mailbox holds,
  and which of two values of an annotation.

In short: in doubt there is more mail than one of the users expected, never less.

## Numbers

- In a mailbox no UID is ever given to two messages, not even while sites are cut off. Mail
  programs can change sites at any time.
- While sites are connected, messages keep their UIDs.
- After a cut, **new mail of one of the sites is renumbered**, in mailboxes to which both added
  mail: IMAP has new mail come with ever higher UIDs, so what is late at a site gets higher ones.
  Mail from before the cut keeps its UIDs. After long cuts this happens about twice as often as
  the site with less new mail has new messages. APPENDUID and COPYUID that were told during the
  cut are then out of date.
- A message that was removed at one site and is kept, comes back with a new UID, since IMAP
  forbids to use the old one again.
- To mail programs this looks like a message that is expunged and another one that arrives; its
  EMAILID is the same, so that those that know EMAILIDs do not download it again. Sessions that
  still show the old number reach the right message by it.
- **UIDVALIDITY never changes because of such numbers.** It changes where two mailboxes become
  one: at that site whose mailbox has the lower one, which as a rule is the older mailbox. All
  mail of this mailbox gets new UIDs, and sessions that have it selected are sent away with
  `BYE [UNAVAILABLE] mailbox changed, log in again`. A new mailbox of the same name is enough for
  that, also an empty one.

## The table

`m1`, `m2` were there before the cut, `a1`, `b1` are new. Site and other site can be any two.
EXPUNGE stands for what mail programs do: mark with `\\Deleted`, then EXPUNGE, UID EXPUNGE or
CLOSE. Mailboxes that are not named do not exist, or, as INBOX, are empty. “New UID” and “new
UIDVALIDITY” are meant at those sites that showed the message or the mailbox before; what is not
named keeps its own.
"""

_TAIL = """\
## Limits

What to know before it happens.

1. **Numbers take a round trip.** One site gives the UIDs of an account; at the others APPEND,
   COPY and MOVE wait for it, up to 0.4 s as a rule. If that site cannot be reached, they go on
   without it at once: this costs renumbering later, never availability.
2. **Two different mailboxes that were renamed to one name are mixed.** No mail is lost, but
   nobody can tell again which message came from where.
3. **Bulk changes bring back much.** “Mark all as read” at one site during “empty the trash” at
   another brings the trash back. Losing it was the alternative.
4. **A DELETE removes what its site had, not what a user saw.** Mail that had arrived at the site
   and was waiting for its UID goes with the mailbox.
5. **A site that is behind shows less.** A mail program that changes to it may see a lower UIDNEXT
   and HIGHESTMODSEQ than before. For programs with CONDSTORE or QRESYNC this is correct and
   harmless. A program that only asks for what is above the last UIDNEXT may see some mail late:
   once the sites have met, it has UIDs above that.
6. **What only a lost machine knew is lost with it.** If a site is destroyed before it could send
   what it had, mail programs that saw its last changes may show stale flags until they
   synchronise in full, to which the forced removal of the site makes them.

This page is made from `tests/conflicts/table.py` by `python -m tests.conflicts.page`; the tests
play each row with either site or a third one giving the UIDs, either site's changes arriving
first, and either clock ahead by a minute.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *map(_section, PAIRS), _TAIL])


def _section(pair: tuple[str, str]) -> str:
    first, second = (command.upper() for command in pair)
    lines = [
        f"### {first} and {second}",
        "",
        "| Before | One site | The other | All sites show | In words |",
        "|---|---|---|---|---|",
        *(_row(row) for row in TABLE if row.pair == pair),
        "",
    ]
    return "\n".join(lines)


def _row(row: Row) -> str:
    cells = [_before(row), _commands(row.one), _commands(row.other), _shown(row), _words(row)]
    return f"| {' | '.join(cells)} |"


def _before(row: Row) -> str:
    server = PlainServer()
    server.do(row.before)
    parts = [
        f"{name}: {' '.join(sorted(messages)) or 'nothing'}"
        for name, messages in sorted(server.shown().items())
        if messages or name != "INBOX"
    ]
    return _states(parts, server.subscribed)


def _shown(row: Row) -> str:
    subscribed = set(row.subscribed.split())
    found = _states(row.shows.split("; ") if row.shows else [], subscribed)
    if row.shows_if_other_later:
        later = _states(row.shows_if_other_later.split("; "), subscribed)
        found = f"{found}; if the other is later, {later}"
    return found


def _states(parts: list[str], subscribed: set[str]) -> str:
    found = [f"`{part}`" for part in parts]
    if subscribed:
        found.append("subscribed: " + ", ".join(f"`{name}`" for name in sorted(subscribed)))
    return "; ".join(found) or "nothing"


def _commands(text: str) -> str:
    return ", then ".join(f"`{_command(words)}`" for words in deeds(text))


def _command(words: list[str]) -> str:
    match words:
        case ["append", name, label, *flags]:
            return " ".join(["APPEND", label, *flags, "to", name])
        case ["copy" | "move" as verb, name, what, target]:
            return f"{verb.upper()} {what} from {name} to {target}"
        case ["store", name, what, change]:
            return f"STORE {change} on {what} in {name}"
        case ["store-if-unchanged", name, what, change]:
            return f"STORE (UNCHANGEDSINCE) {change} on {what} in {name}"
        case ["read", name, what]:
            return f"FETCH the text of {what} in {name}"
        case ["expunge", name, what]:
            return f"EXPUNGE {what} in {name}"
        case ["rename", old, new]:
            return f"RENAME {old} to {new}"
        case [verb, name]:
            return f"{verb.upper()} {name}"
        case _:
            raise ValueError(words)


def _words(row: Row) -> str:
    words = row.says
    if row.renumbered != "none":
        words += f" New UID: {' or '.join(map(_labels, row.renumbered.split(' or ')))}."
    if row.revalidated:
        words += f" New UIDVALIDITY: `{row.revalidated}`, at one site."
    return words


def _labels(text: str) -> str:
    return "none" if text == "none" else " ".join(f"`{label}`" for label in text.split())


if __name__ == "__main__":
    sys.stdout.write(page())
