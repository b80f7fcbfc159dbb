# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients of other makes do in one session, from the login on; on any account of ours."""

import imaplib
import time
from datetime import UTC, date, datetime
from typing import Any

from imapclient import IMAPClient

from tests.live.server import CLIENT_SECONDS_MAX
from tests.support.messages import MESSAGES

#: All that FETCH can be asked for in one command without setting \Seen.
ITEMS = (
    "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY MODSEQ EMAILID THREADID "
    "BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1.1.MIME] BINARY.SIZE[2] RFC822.HEADER)"
)

ARRIVED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def ok(answer: tuple[str, Any]) -> list[Any]:
    """What an answer holds. AssertionError unless it was OK."""
    status, data = answer
    assert status == "OK", answer
    return list(data)


def imaplib_tour(client: imaplib.IMAP4) -> None:
    """From login to logout."""
    ok(client.login("fred", "secret"))
    ok(client.xatom("ID", '("name" "imaplib")'))
    _mailboxes(client)
    _messages(client)
    status, _ = client.logout()
    assert status == "BYE"


def _mailboxes(client: imaplib.IMAP4) -> None:
    ok(client.create("Archive.2026"))
    ok(client.subscribe("Archive.2026"))
    assert b'(\\HasNoChildren) "." Archive.2026' in ok(client.list())
    assert any(b"Archive.2026" in line for line in ok(client.lsub()))
    ok(client.rename("Archive.2026", "Archive.2025"))
    [status] = ok(client.status("Archive.2025", "(MESSAGES UIDNEXT SIZE)"))
    assert status == b"Archive.2025 (MESSAGES 0 UIDNEXT 1 SIZE 0)", status
    assert client.status("nowhere", "(MESSAGES)")[0] == "NO"
    ok(client.namespace())


def _messages(client: imaplib.IMAP4) -> None:
    date = imaplib.Time2Internaldate(time.gmtime(1_767_600_000))
    ok(client.append("INBOX", "(\\Seen)", date, MESSAGES["plain"]))
    ok(client.append("INBOX", "", date, MESSAGES["mixed"]))
    ok(client.append("INBOX", "($Important)", date, MESSAGES["forward"]))
    status, [text] = client.append("nowhere", "", "", MESSAGES["plain"])
    assert status == "NO" and text.startswith(b"[TRYCREATE]")
    assert ok(client.select()) == [b"3"]

    fetched = ok(client.fetch("1:*", ITEMS))
    assert len([part for part in fetched if isinstance(part, tuple)]) >= 3
    assert b"ENVELOPE" in b"".join(_octets(fetched))
    [(_, whole), _] = ok(client.uid("FETCH", "2", "(BODY.PEEK[])"))
    assert whole == MESSAGES["mixed"]
    [(_, binary), _] = ok(client.uid("FETCH", "2", "(BINARY.PEEK[2])"))
    assert binary == bytes(range(8)), binary

    assert ok(client.search(None, "UNSEEN")) == [b"2 3"]
    assert ok(client.search("UTF-8", "SUBJECT", '"Lunch"')) == [b"1 3"]
    assert ok(client.uid("SEARCH", "RETURN (COUNT)", "ALL")) == [None]
    assert b"COUNT 3" in client.untagged_responses.pop("ESEARCH")[0]

    ok(client.store("2", "+FLAGS", "(\\Flagged $Later)"))
    [flags] = ok(client.fetch("2", "(FLAGS)"))
    assert b"\\Flagged" in flags and b"$Later" in flags
    ok(client.copy("1:2", "Archive.2025"))
    ok(client.uid("MOVE", "3", "Archive.2025"))
    ok(client.store("1", "+FLAGS.SILENT", "(\\Deleted)"))
    # The client has kept what MOVE told.
    assert ok(client.expunge()) == [b"3", b"1"]
    assert ok(client.select("Archive.2025", readonly=True)) == [b"3"]
    ok(client.unselect())
    ok(client.select("Archive.2025"))
    ok(client.close())
    ok(client.delete("Archive.2025"))


def _octets(fetched: list[Any]) -> list[bytes]:
    return [part[0] if isinstance(part, tuple) else part for part in fetched]


def imapclient_tour(client: IMAPClient) -> None:
    """From behind the login to logout."""
    assert client.has_capability("MOVE") and client.has_capability("IDLE")
    assert client.id_({"name": "tour"})
    client.create_folder("Entwürfe")
    client.subscribe_folder("Entwürfe")
    assert ((b"\\HasNoChildren",), b".", "Entwürfe") in client.list_folders()
    assert "Entwürfe" in [name for _, _, name in client.list_sub_folders()]
    assert client.folder_status("Entwürfe", ["MESSAGES", "UIDVALIDITY"])[b"MESSAGES"] == 0
    assert client.namespace().personal

    for name in ("plain", "mixed", "forward"):
        answer = client.append("INBOX", MESSAGES[name], flags=(b"\\Seen",), msg_time=ARRIVED)
        assert answer.startswith(b"[APPENDUID "), answer
    selected = client.select_folder("INBOX")
    assert selected[b"EXISTS"] == 3
    assert b"\\*" in selected[b"PERMANENTFLAGS"]
    _fetch(client)
    _search(client)

    client.add_flags([1], [b"\\Flagged", "$Later"])
    assert set(client.get_flags([1])[1]) >= {b"\\Flagged", b"$Later"}
    client.remove_flags([1], [b"\\Seen"])
    assert client.search("UNSEEN") == [1]
    client.copy([1, 2], "Entwürfe")
    client.move([3], "Entwürfe")
    client.delete_messages([1])
    client.uid_expunge([1])
    assert client.search() == [2]
    client.unselect_folder()
    assert client.folder_status("Entwürfe", "MESSAGES")[b"MESSAGES"] == 3
    client.rename_folder("Entwürfe", "Drafts")
    client.delete_folder("Drafts")
    client.logout()


def _fetch(client: IMAPClient) -> None:
    items = ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "FLAGS", "BODY[]"]
    fetched = client.fetch([1, 2, 3], items)
    assert sorted(fetched) == [1, 2, 3]
    mixed = fetched[2]
    assert mixed[b"BODY[]"] == MESSAGES["mixed"]
    assert mixed[b"RFC822.SIZE"] == len(MESSAGES["mixed"])
    envelope = mixed[b"ENVELOPE"]
    assert envelope.subject == b"=?utf-8?q?Pl=C3=A4ne?="
    assert [str(address) for address in envelope.to] == [
        "Alice <alice@example.org>",
        "bob@example.net",
    ]
    structure = mixed[b"BODYSTRUCTURE"]
    assert structure.is_multipart
    assert structure[1] == b"MIXED" or structure[1] == b"mixed"
    header = client.fetch([1], ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])[1]
    assert header[b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Lunch\r\n\r\n", header


def _search(client: IMAPClient) -> None:
    assert client.search(["SUBJECT", "Pläne"], "UTF-8") == [2]
    assert client.search(["BODY", "Karten"]) == [2]
    assert client.search(["FROM", "alice", "NOT", "DELETED"]) == [1]
    assert client.search(["SINCE", ARRIVED.date(), "BEFORE", date(2026, 1, 6)]) == [1, 2, 3]
    assert client.search(["LARGER", 500]) == [2]


def idle_tour(idling: IMAPClient, other: IMAPClient) -> None:
    """RFC 9051 §6.3.13: new mail is told while nothing is asked."""
    idling.select_folder("INBOX")
    idling.idle()
    other.append("INBOX", MESSAGES["plain"])
    seen = idling.idle_check(timeout=CLIENT_SECONDS_MAX)
    assert (1, b"EXISTS") in seen, seen
    text, _ = idling.idle_done()
    assert text.startswith(b"IDLE")
    other.select_folder("INBOX")
    idling.idle()
    other.delete_messages([1])
    other.expunge()
    seen = []
    while (1, b"EXPUNGE") not in seen:
        more = idling.idle_check(timeout=CLIENT_SECONDS_MAX)
        assert more, seen
        seen += more
    idling.idle_done()
    idling.logout()
    other.logout()
