# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mail program sees of an account, all of it, so that two regions can be compared."""

from dataclasses import dataclass

from imapclient import IMAPClient

#: The header that tells the tests' messages apart.
FIELD = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"


@dataclass(frozen=True)
class Message:
    uid: int
    name: str
    flags: frozenset[bytes]


@dataclass(frozen=True)
class Mailbox:
    uid_validity: int
    uid_next: int
    messages: tuple[Message, ...]

    def names(self) -> list[str]:
        """The names of all messages; one that is there twice is named twice."""
        return [message.name for message in self.messages]


def message(name: str) -> bytes:
    """A small message called *name*."""
    return f"Message-ID: <{name}>\r\nSubject: {name}\r\n\r\n{name}\r\n".encode("ascii")


def everything(client: IMAPClient) -> dict[str, Mailbox]:
    """All mailboxes of the account by name. Selects one after the other."""
    found = {}
    for _, _, name in client.list_folders():
        selected = client.select_folder(name, readonly=True)
        uids = client.search("ALL")
        fetched = client.fetch(uids, [FIELD.replace(b"[", b".PEEK[", 1), "FLAGS"]) if uids else {}
        messages = tuple(
            Message(
                uid,
                item[FIELD].decode("ascii").partition("<")[2].partition(">")[0],
                frozenset(item[b"FLAGS"]) - {b"\\Recent"},
            )
            for uid, item in sorted(fetched.items())
        )
        found[name] = Mailbox(selected[b"UIDVALIDITY"], selected[b"UIDNEXT"], messages)
    return found
