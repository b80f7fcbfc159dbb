# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of messages on their way in, and of what is read of them afterwards.

What docstrings quote after "Ports" is said in `pluto_tw.imap.ports`.
"""

from hypothesis import example, given
from hypothesis import strategies as st

from pluto_tw.imap.ports import Account
from pluto_tw.mail.changes import Exposed
from pluto_tw.mail.codes import LIMIT, OVERQUOTA, TOOBIG, TRYCREATE
from pluto_tw.mail.messages import InternalDate
from pluto_tw.mail.names import INBOX
from pluto_tw.mime.facts import Facts
from pluto_tw.mime.scanner import Scanner
from tests.contract.case import MESSAGE, AccountCase, Mail, Wanted, flags, name, uids

#: More than a few chunks of 64 KiB, no two places of which look alike.
LONG = b"Subject: long\r\n\r\n" + b"".join(b"line %08d\r\n" % n for n in range(12_000))


def scanned(octets: bytes) -> Facts:
    scanner = Scanner()
    scanner.feed(octets)
    return scanner.finish()


class AppendsContract(AccountCase):
    """APPEND and the bodies that it leaves."""

    # Before the octets come.

    def test_admit_says_what_append_would_say(self) -> None:
        """Ports, `admit`: "No: TRYCREATE, TOOBIG"; the largest size itself is allowed."""
        account = self.make_account()
        self.now(account.admit(INBOX, [1]))
        self.now(account.admit(INBOX, [100, 200]))
        self.refuses(TRYCREATE, account.admit(name("Work"), [1]))
        self.refuses(TOOBIG, account.admit(INBOX, [account.append_octets_max + 1]))
        self.refuses(TOOBIG, account.admit(INBOX, [1, account.append_octets_max + 1]))
        self.now(account.admit(INBOX, [account.append_octets_max]))

    def test_admit_counts_all_messages_against_the_quota(self) -> None:
        """Ports, `admit`: "No: OVERQUOTA", for messages "of these sizes" together."""
        account = self.make_account(Wanted(octets_max=1000))
        self.now(account.admit(INBOX, [500, 500]))
        self.refuses(OVERQUOTA, account.admit(INBOX, [500, 501]))
        self.append(account, INBOX, Mail(b"x" * 600))
        self.now(account.admit(INBOX, [400]))
        self.refuses(OVERQUOTA, account.admit(INBOX, [401]))

    def test_upload_is_nowhere_to_be_seen(self) -> None:
        """Ports, `Upload`: "What is written may be durable, but is nowhere to be seen"."""
        account = self.make_account()
        viewer = self.view(account)
        message = self.new_message(account, Mail())
        status = self.now(account.status(INBOX))
        self.assertEqual((status.messages, status.size), (0, 0))
        self.assertEqual(viewer.news(), [])
        message.upload.abandon()
        message.upload.abandon()
        account.upload(10).abandon()
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    def test_abandon_is_harmless_after_append(self) -> None:
        """Ports, `abandon`: "harmless after the message was appended"."""
        account = self.make_account()
        message = self.new_message(account, Mail())
        [uid] = self.now(account.append(INBOX, [message])).uids
        message.upload.abandon()
        self.assertEqual(self.octets(self.view(account), uid), MESSAGE)

    # APPEND.

    def test_append_tells_where_messages_went(self) -> None:
        """Ports, `append`: "All or none, in this order"; `Appended`: "Where messages went"."""
        account = self.make_account()
        viewer = self.view(account)
        mails = [Mail(b"Subject: %d\r\n\r\n" % n) for n in range(3)]
        appended = self.append(account, INBOX, *mails)
        self.assertEqual(appended.uid_validity, viewer.mailbox.uid_validity)
        self.assertEqual(list(appended.uids), sorted(set(appended.uids)))
        self.assertEqual(list(viewer.mailbox.uids()), list(appended.uids))
        got = [self.octets(self.view(account), uid) for uid in appended.uids]
        self.assertEqual(got, [mail.octets for mail in mails])

    def test_log_has_the_message_when_append_returns(self) -> None:
        """Ports: "return after the change is durable, and after the log ... has it"."""
        account = self.make_account()
        viewer = self.view(account)
        appended = self.append(account, INBOX, Mail(), Mail())
        exposed = [
            uid for change in viewer.news() if isinstance(change, Exposed) for uid in change.uids
        ]
        self.assertEqual(exposed, list(appended.uids))
        viewer.catch_up()
        self.assertEqual(viewer.uids, list(viewer.mailbox.uids()))
        self.assertEqual(viewer.highest_modseq, viewer.mailbox.highest_modseq())

    def test_append_keeps_flags_and_date(self) -> None:
        """Ports, `NewMessage`; `InternalDate`: "POSIX seconds, and the zone that it is told in"."""
        account = self.make_account()
        dates = [
            InternalDate(1_000_000_000, 0),
            InternalDate(0, -1439),
            InternalDate(-86_400, 1439),
            InternalDate(2**33, 90),
        ]
        named = [
            flags("\\Seen \\Flagged $Forwarded"),
            flags("a-keyword"),
            flags(""),
            flags("\\Deleted"),
        ]
        pairs = zip(named, dates, strict=True)
        numbers = self.append(account, INBOX, *(Mail(flags=f, date=d) for f, d in pairs)).uids
        viewer = self.view(account)
        self.assertEqual(list(viewer.mailbox.flags(numbers)), named)
        self.assertEqual(list(viewer.mailbox.internal_dates(numbers)), dates)

    def test_date_is_the_time_of_arrival_if_none_is_given(self) -> None:
        """Ports, `NewMessage`: "None: the time of arrival"; what comes at once has the same."""
        account = self.make_account()
        numbers = self.append(account, INBOX, Mail(), Mail()).uids
        first, second = self.view(account).mailbox.internal_dates(numbers)
        self.assertEqual(first, second)
        self.assertTrue(-1439 <= first.zone_minutes <= 1439)

    def test_append_over_quota_appends_nothing(self) -> None:
        """Ports, `append`: "All or none": of three messages, two would have room."""
        account = self.make_account(Wanted(octets_max=1000))
        viewer = self.view(account)
        messages = [self.new_message(account, Mail(b"x" * 400)) for _ in range(3)]
        self.refuses(OVERQUOTA, account.append(INBOX, messages))
        self.assertEqual((list(viewer.mailbox.uids()), viewer.news()), ([], []))
        self.append(account, INBOX, Mail(b"x" * 400))

    def test_append_to_a_missing_mailbox(self) -> None:
        """Ports, `append`: "No: as `admit`"."""
        account = self.make_account()
        message = self.new_message(account, Mail())
        self.refuses(TRYCREATE, account.append(name("Work"), [message]))
        self.assertNotIn("Work", self.names(account), "RFC 9051 §6.3.12: not created by itself")

    def test_append_with_too_many_keywords_appends_nothing(self) -> None:
        """Ports, `append`: "No: ... LIMIT"."""
        account = self.make_account()
        viewer = self.view(account)
        self.use_up_keywords(account)
        viewer.catch_up()
        before = list(viewer.mailbox.uids())
        messages = [self.new_message(account, Mail(flags=flags(f))) for f in ("", "one-more")]
        self.refuses(LIMIT, account.append(INBOX, messages))
        self.assertEqual((list(viewer.mailbox.uids()), viewer.news()), (before, []))

    def use_up_keywords(self, account: Account) -> None:
        """INBOX takes no new keyword any more."""
        viewer = self.view(account)
        number = 0
        while viewer.mailbox.takes_new_keywords():
            self.append(account, INBOX, Mail(flags=flags(f"k{number}")))
            number += 1
            self.assertLess(number, 1000, "keywords have a limit")

    # What is read.

    def test_status_counts_the_newest_state(self) -> None:
        """Ports, `MailboxStatus`: "The newest state of a mailbox in numbers"; size in octets."""
        account = self.make_account()
        for number, text in enumerate(("\\Seen", "\\Seen \\Deleted", "\\Deleted", "$a", "")):
            self.append(account, INBOX, Mail(b"x" * (number + 1), flags(text)))
        viewer = self.view(account, read_only=True)
        status = self.now(account.status(INBOX))
        self.assertEqual((status.messages, status.unseen, status.deleted), (5, 3, 2))
        self.assertEqual(status.size, 1 + 2 + 3 + 4 + 5)
        self.assertEqual(status.recent, 5)
        self.assertEqual(status.uid_next, viewer.mailbox.uid_next())
        self.assertEqual(status.uid_validity, viewer.mailbox.uid_validity)
        self.assertEqual(status.highest_modseq, viewer.mailbox.highest_modseq())
        self.assertEqual(status.mailbox_id, viewer.mailbox.mailbox_id)

    def test_values_come_in_the_order_of_the_uids(self) -> None:
        """Ports: "Facts of messages in the session's view, one value a UID, in their order"."""
        account = self.make_account()
        bodies = [b"x" * (n + 1) for n in range(4)]
        numbers = self.append(account, INBOX, *(Mail(octets) for octets in bodies)).uids
        mailbox = self.view(account).mailbox
        asked = [numbers[2], numbers[0], numbers[3]]
        self.assertEqual(list(mailbox.sizes(asked)), [3, 1, 4])
        self.assertEqual([f.size for f in self.now(mailbox.facts(asked))], [3, 1, 4])
        ids = dict(zip(numbers, mailbox.email_ids(numbers), strict=True))
        self.assertEqual(list(mailbox.email_ids(asked)), [ids[uid] for uid in asked])
        self.assertEqual(len(set(ids.values())), 4, "RFC 8474 §5.1: one content each")
        self.assertEqual([*mailbox.sizes([]), *mailbox.flags([]), *self.now(mailbox.facts([]))], [])

    def test_object_identifiers_have_their_form(self) -> None:
        """Ports, `email_ids`: "RFC 8474 §5.1: the form of `MailboxEntry.mailbox_id`"."""
        account = self.make_account()
        numbers = self.fill(account, 2)
        mailbox = self.view(account).mailbox
        for email_id in mailbox.email_ids(numbers):
            self.assertRegex(email_id, r"\A[A-Za-z0-9_-]{1,255}\Z")
        for thread_id in mailbox.thread_ids(numbers):
            if thread_id is not None:
                self.assertRegex(thread_id, r"\A[A-Za-z0-9_-]{1,255}\Z")
                self.assertNotIn(thread_id, mailbox.email_ids(numbers), "RFC 8474 §6")

    def test_facts_are_those_of_the_scanner(self) -> None:
        """Ports, `facts`; whatever the chunks were in which the message came."""
        account = self.make_account()
        mails = [
            Mail(octets, chunk_octets=7) for octets in (MESSAGE, b"no header", b"\r\n", b"A:\n\n")
        ]
        numbers = self.append(account, INBOX, *mails).uids
        facts = self.now(self.view(account).mailbox.facts(numbers))
        self.assertEqual(list(facts), [scanned(mail.octets) for mail in mails])

    def test_message_comes_back_byte_for_byte(self) -> None:
        """Ports, `Body`: "The octets of one message, exactly as they were appended"."""

        @given(octets=st.binary(min_size=1, max_size=300), chunk=st.integers(1, 300))
        @example(octets=b"\r\n\x00\xff\n\r", chunk=1)
        def check(octets: bytes, chunk: int) -> None:
            account = self.make_account()
            [uid] = self.append(account, INBOX, Mail(octets, chunk_octets=chunk)).uids
            viewer = self.view(account)
            self.assertEqual(self.octets(viewer, uid), octets)
            self.assertEqual(list(viewer.mailbox.sizes([uid])), [len(octets)])
            viewer.mailbox.close()
            account.close()

        check()

    def test_every_stretch_of_a_body_can_be_read(self) -> None:
        """Ports, `read`: "in chunks of at most 64 KiB"; `octets` of the tests checks their size."""
        account = self.make_account()
        [uid] = self.append(account, INBOX, Mail(LONG)).uids
        viewer = self.view(account)
        size = len(LONG)
        self.assertEqual(viewer.mailbox.body(uid).size, size)
        edges = [0, 1, 4095, 4096, 65535, 65536, 65537, 131072, size - 1, size]
        for start in edges:
            for end in edges:
                if start <= end:
                    got = self.octets(viewer, uid, start, end - start)
                    self.assertTrue(got == LONG[start:end], f"the octets {start} to {end}")

    def test_bodies_are_read_side_by_side(self) -> None:
        """Ports, `Body`: one reader does not move another."""
        account = self.make_account()
        [uid] = self.append(account, INBOX, Mail(LONG)).uids
        body = self.view(account).mailbox.body(uid)

        async def read() -> tuple[bytes, bytes]:
            first, second = body.read(0, len(LONG)), body.read(10, len(LONG) - 10)
            gathered: tuple[list[bytes], list[bytes]] = ([], [])
            async for chunk in first:
                gathered[0].append(chunk)
                gathered[1].append(await anext(second, b""))
            gathered[1].extend([chunk async for chunk in second])
            return b"".join(gathered[0]), b"".join(gathered[1])

        self.assertTrue(self.now(read()) == (LONG, LONG[10:]), "too long to be shown")

    def test_reader_that_stops_early_leaves_no_trace(self) -> None:
        """Ports, `Body`: FETCH BODY[]<0.100> of a client that is gone in the middle."""
        account = self.make_account()
        [uid] = self.append(account, INBOX, Mail(LONG)).uids
        viewer = self.view(account)

        async def read() -> bytes:
            chunks = viewer.mailbox.body(uid).read(0, len(LONG))
            return await anext(chunks)

        self.assertEqual(LONG.find(self.now(read())), 0)
        self.assertTrue(self.octets(viewer, uid) == LONG, "too long to be shown")
        self.expunge(viewer, uid)
        self.assertEqual(self.now(viewer.mailbox.expunge(uids(uid))), uids())
