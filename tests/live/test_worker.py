# SPDX-License-Identifier: GPL-3.0-or-later
"""`twistd pluto-worker`, as a process, with clients of other makes and real files."""

import contextlib
import imaplib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from imapclient import IMAPClient
from imapclient.exceptions import LoginError
from twisted.trial.unittest import SynchronousTestCase

from tests.live.mbsync import Mbsync, flags_of
from tests.live.process import PROCESS_SECONDS_MAX, Worker
from tests.live.server import CLIENT_SECONDS_MAX
from tests.live.tours import idle_tour, imapclient_tour, imaplib_tour, ok


class WorkerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.worker = Worker(Path(self.mktemp()))
        self.addCleanup(self.worker.end)

    def imaplib(self) -> imaplib.IMAP4_SSL:
        """A client that is not logged in."""
        client = imaplib.IMAP4_SSL(
            "127.0.0.1",
            self.worker.port,
            ssl_context=self.worker.client_tls,
            timeout=CLIENT_SECONDS_MAX,
        )
        self.addCleanup(_quietly, client.shutdown)
        return client

    def imapclient(self, user: str = "user1", password: str = "secret1") -> IMAPClient:
        """A client that is logged in."""
        client = IMAPClient(
            "127.0.0.1",
            self.worker.port,
            ssl_context=self.worker.client_tls,
            timeout=CLIENT_SECONDS_MAX,
        )
        self.addCleanup(_quietly, client.shutdown)
        client.login(user, password)
        return client


def _quietly(close: object) -> None:
    with contextlib.suppress(OSError):
        close()  # type: ignore[operator]


class TourTests(WorkerCase):
    def test_imaplib(self) -> None:
        self.worker.users.write_text("fred;secret\n")
        self.worker.start()
        imaplib_tour(self.imaplib())

    def test_imapclient(self) -> None:
        self.worker.start()
        imapclient_tour(self.imapclient())

    def test_idle(self) -> None:
        self.worker.start()
        idle_tour(self.imapclient(), self.imapclient())

    def test_users_have_mail_of_their_own(self) -> None:
        self.worker.start()
        self.imapclient().append("INBOX", b"Subject: x\r\n\r\n")
        self.assertEqual(self.imapclient("user2", "secret2").select_folder("INBOX")[b"EXISTS"], 0)
        self.assertEqual(self.imapclient("USER1").select_folder("INBOX")[b"EXISTS"], 1)

    def test_users_of_other_workers_are_not_served(self) -> None:
        text = self.worker.config.read_text()
        self.worker.config.write_text(text.replace("Shards", "UserStart = 2\nUserEnd = 9\nShards"))
        self.worker.start()
        self.imapclient("user2", "secret2")
        with self.assertRaisesRegex(LoginError, "UNAVAILABLE"):
            self.imapclient()
        self.assertEqual(self.worker.event("foreign-user")["id"], 1)

    def test_mechanisms(self) -> None:
        self.worker.start()
        client = self.imaplib()
        self.assertLessEqual({"AUTH=PLAIN", "AUTH=LOGIN"}, set(client.capabilities))
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda challenge: b"\0user1\0wrong")
        answers = {b"Username:": b"user1", b"Password:": b"secret1"}
        ok(client.authenticate("LOGIN", lambda challenge: answers[challenge]))


class ReactorTests(WorkerCase):
    def tour(self, reactor: str) -> None:
        self.worker.start(reactor=reactor)
        imapclient_tour(self.imapclient())
        self.worker.stop()

    def test_epoll(self) -> None:
        self.tour("epoll")

    def test_poll(self) -> None:
        self.tour("poll")

    def test_select(self) -> None:
        self.tour("select")

    def test_asyncio(self) -> None:
        self.tour("asyncio")


class StartTests(WorkerCase):
    def test_all_that_is_wrong_is_told_and_the_status_says_so(self) -> None:
        self.worker.users.write_text("user1\n;x\n")
        (self.worker.directory / "public.key").unlink()
        text = self.worker.config.read_text() + '[IMAP]\nHierarchySeparator = "!"\n'
        self.worker.config.write_text(text)
        self.worker.begin()
        status, errors = self.worker.refusal()
        self.assertEqual(status, 1)
        for wrong in ("HierarchySeparator is '!'", "line 1: no sep", "line 2: ", "public.key: No"):
            self.assertIn(wrong, errors)

    def test_options(self) -> None:
        for options, text in (
            (("--name", "nobody"), "there is no worker 'nobody'"),
            (("--config", "none.toml"), "No such file"),
            (("--loglevel", "loud"), "--loglevel is one of"),
        ):
            self.worker.begin(*options)
            status, errors = self.worker.refusal()
            self.assertNotEqual(status, 0)
            if options[0] != "--loglevel":
                self.assertIn(text, errors)

    def test_one_process_a_store(self) -> None:
        self.worker.start()
        second = Worker(self.worker.directory)
        self.addCleanup(second.end)
        second.begin()
        reason = second.event("start-refused")["reason"]
        self.assertIn("another process has it open", reason)
        self.assertEqual(second.refusal()[0], 1)

    def test_a_log_file(self) -> None:
        """As a daemon's, whose standard output leads nowhere."""
        log = self.worker.directory / "worker.log"
        self.worker.start(logfile=str(log))
        self.worker.stop()
        events = [json.loads(line).get("event") for line in log.read_text().splitlines()]
        self.assertLess(events.index("ready"), events.index("stopped"))
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)

    def test_a_port_that_is_taken(self) -> None:
        ready = self.worker.start()
        second = Worker(Path(self.mktemp()))
        self.addCleanup(second.end)
        text = second.config.read_text().replace("127.0.0.1:0", ready["listening"])
        second.config.write_text(text)
        second.begin()
        self.assertIn("in use", second.event("start-refused")["reason"])
        self.assertEqual(second.refusal()[0], 1)

    def test_a_store_keeps_its_identity(self) -> None:
        replica = self.worker.start()["replica"]
        self.worker.stop()
        self.assertEqual(self.worker.start()["replica"], replica)
        self.worker.stop()
        text = self.worker.config.read_text().replace("eu-worker-1", "eu-worker-2")
        self.worker.config.write_text(text)
        self.worker.begin()
        self.assertIn("an identity is for ever", self.worker.event("start-refused")["reason"])

    def test_a_database_that_is_gone_is_an_accident(self) -> None:
        self.worker.start()
        self.worker.stop()
        for path in (self.worker.directory / "mail").glob("shard-1*"):
            path.unlink()
        self.worker.begin()
        self.assertIn("it is missing", self.worker.event("start-refused")["reason"])
        self.assertEqual(self.worker.refusal()[0], 1)

    def test_a_first_start_that_was_cut_off_begins_again(self) -> None:
        """Nobody has been served yet, so that what is missing is made."""
        replica = self.worker.start()["replica"]
        self.worker.stop()
        mail = self.worker.directory / "mail"
        for path in mail.glob("shard-1*"):
            path.unlink()
        identity = mail / "identity"
        identity.write_text(identity.read_text().replace('"complete": true', '"complete": false'))
        self.assertEqual(self.worker.start()["replica"], replica)
        self.assertIn('"complete": true', identity.read_text())

    def test_plaintext_on_loopback(self) -> None:
        text = self.worker.config.read_text()
        text = re.sub(r"PublicCertLoc.*\nPublicKeyLoc.*\n", "AllowPlaintext = true\n", text)
        self.worker.config.write_text(text)
        self.worker.start()
        client = imaplib.IMAP4("127.0.0.1", self.worker.port, CLIENT_SECONDS_MAX)
        self.addCleanup(_quietly, client.shutdown)
        ok(client.login("user1", "secret1"))


class StopTests(WorkerCase):
    def test_clients_are_told(self) -> None:
        self.worker.start()
        client = self.imapclient()
        client.select_folder("INBOX")
        client.idle()
        self.worker.terminate()
        told = client.idle_check(timeout=CLIENT_SECONDS_MAX)
        client.shutdown()
        self.assertIn(
            (b"BYE", b"[UNAVAILABLE]", b"The", b"server", b"is", b"shutting", b"down"), told
        )
        self.worker.stopped()

    def test_what_was_kept_is_there_again(self) -> None:
        self.worker.start()
        client = self.imapclient()
        client.create_folder("Archive")
        client.append("INBOX", b"Subject: one\r\n\r\n", flags=(b"\\Flagged", b"$Later"))
        before = client.select_folder("INBOX")
        client.logout()
        self.worker.stop()
        self.worker.start()
        client = self.imapclient()
        after = client.select_folder("INBOX")
        for item in (b"EXISTS", b"UIDVALIDITY", b"UIDNEXT"):
            self.assertEqual(after[item], before[item])
        self.assertLessEqual({b"\\Flagged", b"$Later"}, set(client.get_flags([1])[1]))
        self.assertIn("Archive", [name for _, _, name in client.list_folders()])


class ReloadTests(WorkerCase):
    def reload(self) -> None:
        self.worker.hang_up()
        self.worker.event("reloaded")

    def test_users(self) -> None:
        self.worker.start()
        self.worker.users.write_text("#deleted\nuser2;secret2\nuser3;secret3\n")
        self.reload()
        self.imapclient("user3", "secret3")
        with self.assertRaisesRegex(LoginError, "AUTHENTICATIONFAILED"):
            self.imapclient()

    def test_certificates(self) -> None:
        self.worker.start()
        old = self.worker.client_tls
        self.worker.renew_certificate()
        self.reload()
        self.imapclient()
        self.worker.client_tls = old
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.imapclient()

    def test_level_of_the_log(self) -> None:
        self.worker.start()
        text = self.worker.config.read_text()
        self.worker.config.write_text(text.replace("Shards", 'LogLevel = "debug"\nShards'))
        self.reload()
        self.imapclient()
        # Python's client asks for the capabilities first.
        while self.worker.event("command")["command"] != "LOGIN":
            pass

    def test_a_mistake_changes_nothing(self) -> None:
        self.worker.start()
        self.worker.users.write_text("user3 without a separator\n")
        self.worker.hang_up()
        self.assertIn("line 1: no separator", self.worker.event("reload-refused")["error"])
        self.imapclient()

    def test_what_needs_a_restart_is_told(self) -> None:
        self.worker.start()
        text = self.worker.config.read_text()
        self.worker.config.write_text(text.replace("Shards = 2", "Shards = 3"))
        self.worker.hang_up()
        self.worker.event("restart-needed")


class KillTests(WorkerCase):
    CLIENTS = 4
    #: Acknowledged messages before the process is killed.
    MESSAGES = 120

    def test_every_acknowledged_message_is_there_once(self) -> None:
        """With the UID that was told; also what was not acknowledged is there once at most."""
        self.worker.start()
        validity = self.imapclient().select_folder("INBOX")[b"UIDVALIDITY"]
        acknowledged: dict[str, int] = {}
        enough = threading.Event()
        threads = [
            threading.Thread(target=self._append, args=(number, acknowledged, enough))
            for number in range(self.CLIENTS)
        ]
        for thread in threads:
            thread.start()
        self.assertTrue(enough.wait(PROCESS_SECONDS_MAX))
        self.worker.kill()
        for thread in threads:
            thread.join(PROCESS_SECONDS_MAX)
        self.assertGreaterEqual(len(acknowledged), self.MESSAGES)

        self.worker.start()
        client = self.imapclient()
        selected = client.select_folder("INBOX")
        self.assertEqual(selected[b"UIDVALIDITY"], validity)
        found = list(_subjects(client))
        self.assertEqual(len(found), len({subject for subject, _ in found}))
        self.assertEqual(acknowledged.items() - set(found), set())
        self.assertLessEqual(len(found), len(acknowledged) + self.CLIENTS)
        self.assertGreater(selected[b"UIDNEXT"], max(uid for _, uid in found))

    def _append(self, number: int, acknowledged: dict[str, int], enough: threading.Event) -> None:
        """Appends until the server is gone."""
        client = self.imapclient()
        turn = 0
        with contextlib.suppress(Exception):
            while True:
                subject = f"{number}.{turn}"
                message = f"Subject: {subject}\r\n\r\n{'x' * 1000}\r\n".encode("ascii")
                answer = client.append("INBOX", message)
                uid = re.match(rb"\[APPENDUID \d+ (\d+)\]", answer)
                assert uid is not None, answer
                acknowledged[subject] = int(uid[1])
                if len(acknowledged) >= self.MESSAGES:
                    enough.set()
                turn += 1


def _subjects(client: IMAPClient) -> Iterator[tuple[str, int]]:
    """The subject and the UID of each message."""
    item = b"BODY[HEADER.FIELDS (SUBJECT)]"
    fetched = client.fetch(client.search(), ["UID", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
    for uid, message in fetched.items():
        yield message[item].decode("ascii").removeprefix("Subject: ").strip(), uid


class MbsyncTests(WorkerCase):
    """mbsync (isync), which many use to keep a Maildir equal to an account."""

    MESSAGES = 300

    def setUp(self) -> None:
        super().setUp()
        self.near = Mbsync(self.worker.directory)
        self.worker.start()

    def test_both_ways_and_then_nothing_is_left_to_do(self) -> None:
        for number in range(self.MESSAGES):
            folder = "Archive" if number % 3 == 0 else "INBOX"
            self.near.put(folder, number, "FS" if number % 2 else "")
        client = self.imapclient()
        for number in range(50):
            client.append("INBOX", f"Subject: far {number}\r\n\r\ntext\r\n".encode("ascii"))

        self.sync()
        self.assertEqual(client.select_folder("INBOX")[b"EXISTS"], 200 + 50)
        self.assertEqual(len(client.search(["FLAGGED", "SEEN"])), 100)
        self.assertEqual(client.select_folder("Archive")[b"EXISTS"], 100)
        self.assertEqual(len(self.near.messages("INBOX")), 250)

        self.change(client)
        self.assert_nothing_to_do()

    def change(self, client: IMAPClient) -> None:
        """Each side changes flags and removes messages; a sync makes both equal."""
        client.select_folder("INBOX")
        client.add_flags([1, 2, 3], [b"\\Answered"])
        client.delete_messages(client.search(["SUBJECT", "far 7"]))
        client.expunge()
        [removed] = [
            path for path in self.near.messages("Archive") if "near 9\n" in path.read_text()
        ]
        removed.unlink()
        self.sync()
        self.assertEqual(len(self.near.messages("INBOX")), 249)
        self.assertEqual(
            len([path for path in self.near.messages("INBOX") if "R" in flags_of(path)]), 3
        )
        self.assertEqual(client.select_folder("Archive")[b"EXISTS"], 99)

    def assert_nothing_to_do(self) -> None:
        before = self.near.files()
        client = self.imapclient()
        status = ("MESSAGES", "UIDNEXT", "HIGHESTMODSEQ")
        far = [client.folder_status(folder, status) for folder in ("INBOX", "Archive")]
        self.sync()
        self.assertEqual(self.near.files(), before)
        self.assertEqual(
            [client.folder_status(folder, status) for folder in ("INBOX", "Archive")], far
        )

    def sync(self) -> None:
        self.near.sync(self.worker.port, self.worker.directory / "public.pem")
