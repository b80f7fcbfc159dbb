# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a mail server that stands alone shows: lists of messages, nothing else.

Knows nothing of replicas. The table is held to it in two ways: what a site shows while it is cut
off is what such a server would show, and what is gone after healing is gone from one of these.
"""

from collections import Counter
from copy import deepcopy

from tests.conflicts.row import as_shown, deeds


class PlainServer:
    """One user's mail."""

    def __init__(self) -> None:
        #: For each mailbox its messages: label and flags.
        self.mailboxes: dict[str, list[tuple[str, set[str]]]] = {"INBOX": []}
        self.subscribed: set[str] = set()
        self._had: set[str] = set()

    def copied(self) -> "PlainServer":
        """Another one that shows the same."""
        return deepcopy(self)

    def do(self, text: str) -> None:
        """Carries commands out, as rows write them."""
        for words in deeds(text):
            self._do(words)

    def shown(self) -> dict[str, Counter[str]]:
        """What can be seen now."""
        return {
            name: Counter(as_shown(label, frozenset(flags)) for label, flags in messages)
            for name, messages in self.mailboxes.items()
        }

    def removed(self) -> set[str]:
        """The messages that were here and are nowhere now: someone who saw them removed them."""
        left = {label for messages in self.mailboxes.values() for label, _ in messages}
        return self._had - left

    def _do(self, words: list[str]) -> None:
        match words:
            case ["create", name]:
                assert name not in self.mailboxes
                self._make(name)
            case ["delete", name]:
                del self.mailboxes[name]
            case ["rename", "INBOX", new]:
                self._make(new)
                self.mailboxes[new] = self.mailboxes["INBOX"]
                self.mailboxes["INBOX"] = []
            case ["rename", old, new]:
                self._rename(old, new)
            case ["subscribe", name]:
                self.subscribed.add(name)
            case ["unsubscribe", name]:
                self.subscribed.discard(name)
            case ["append", name, label, *flags]:
                self.mailboxes[name].append((label, set(flags)))
                self._had.add(label)
            case ["copy", name, what, target]:
                self.mailboxes[target] += deepcopy(self._named(name, what))
            case ["move", name, what, target]:
                self.mailboxes[target] += self._taken(name, what)
            case ["store" | "store-if-unchanged", name, what, change]:
                self._store(name, what, change)
            case ["read", name, what]:
                self._store(name, what, "+\\Seen")
            case ["expunge", name, what]:
                self._taken(name, what)
            case _:
                raise ValueError(words)

    def _make(self, name: str) -> None:
        levels = name.split(".")
        for depth in range(1, len(levels) + 1):
            self.mailboxes.setdefault(".".join(levels[:depth]), [])

    def _rename(self, old: str, new: str) -> None:
        assert new not in self.mailboxes
        levels = new.split(".")
        for depth in range(1, len(levels)):
            self.mailboxes.setdefault(".".join(levels[:depth]), [])
        for name in list(self.mailboxes):
            if name == old or name.startswith(f"{old}."):
                self.mailboxes[new + name.removeprefix(old)] = self.mailboxes.pop(name)

    def _named(self, name: str, what: str) -> list[tuple[str, set[str]]]:
        wanted = what.split(",")
        found = [message for message in self.mailboxes[name] if message[0] in wanted]
        assert len(found) == len(wanted), (name, what)
        return found

    def _taken(self, name: str, what: str) -> list[tuple[str, set[str]]]:
        found = self._named(name, what)
        self.mailboxes[name] = [m for m in self.mailboxes[name] if m not in found]
        return found

    def _store(self, name: str, what: str, change: str) -> None:
        for _, flags in self._named(name, what):
            if change[0] == "+":
                flags.add(change[1:])
            else:
                flags.discard(change[1:])
