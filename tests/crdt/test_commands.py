# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands
from pluto_tw.crdt.commands import Storing
from pluto_tw.crdt.ops import MESSAGES_MAX, Add, Exp, Message, Mv, St
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import BOX, META, PLACEMENT, VIEW
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Ended
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from tests.support.cluster import START_MS
from tests.support.records import MemoryRecords

_N, _M = MailboxName("N"), MailboxName("M")


class CommandCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = MemoryRecords()
        self.replica = Replica(0, [0])
        self.ms = START_MS
        self.tx: Transaction | None = None

    def run_command(self, command: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        self.ms += 1
        tx, result = self.replica.command(
            self.records,
            Moment(self.ms, self.ms / 1000),
            lambda r, t: command(r, t, *arguments, **more),
        )
        self.records.commit(tx)
        self.tx = tx
        return result

    def create(self, name: str, *use: str) -> int:
        found = self.run_command(commands.create, MailboxName(name), use, ".")
        assert isinstance(found, int)
        return found

    def append(self, *flags: str, count: int = 1, name: MailboxName = INBOX) -> list[bytes]:
        message = Message(b"hash", 10, 5, 60, flags)
        return list(self.run_command(commands.append, name, [message] * count).pids)

    def ops(self) -> list[Any]:
        assert self.tx is not None
        return [op.body for op in self.tx.ops]

    def flags(self, pid: bytes) -> frozenset[str]:
        placement = self.records.get(PLACEMENT, pid)
        assert placement is not None
        return flags_of(placement.entries)

    def refused(self, code: str, command: Callable[..., Any], *arguments: Any) -> None:
        with self.assertRaises(No) as caught:
            self.run_command(command, *arguments)
        self.assertEqual(caught.exception.code, code)


class MessageTests(CommandCase):
    def test_missing_targets(self) -> None:
        """RFC 9051 §6.3.12: NO with TRYCREATE."""
        pids = self.append()
        self.refused("TRYCREATE", commands.append, _N, [Message(b"hash", 1, 0, 0)])
        self.refused("TRYCREATE", commands.copy, pids, _N)
        self.refused("TRYCREATE", commands.move, pids, _N)

    def test_copy_keeps_facts(self) -> None:
        """EMAILID is carried unchanged, and so are flags and INTERNALDATE."""
        self.create("N")
        pids = self.append("\\Seen", "work", count=2)
        found = self.run_command(commands.copy, pids, _N)
        self.assertEqual([source for source, _ in found.pairs], pids)
        for source, target in found.pairs:
            placement = self.records.get(PLACEMENT, target)
            assert placement is not None
            self.assertEqual((placement.email, placement.date, placement.zone), (source, 5, 60))
            self.assertEqual(self.flags(target), {"\\Seen", "work"})
        again = self.run_command(commands.copy, [found.pairs[0][1]], INBOX)
        placement = self.records.get(PLACEMENT, again.pairs[0][1])
        assert placement is not None
        self.assertEqual(placement.email, pids[0])

    def test_move_within_a_mailbox(self) -> None:
        """RFC 6851: the target may be the source; the message has a new UID then."""
        pids = self.append(count=2)
        found = self.run_command(commands.move, pids[:1], INBOX)
        new = [target for _, target in found.pairs]
        self.assertEqual(commands.uids_of(self.records, [*pids, *new]), [0, 2, 3])

    def test_uids_ascend_in_the_order_of_the_command(self) -> None:
        self.create("N")
        pids = self.append(count=3)
        found = self.run_command(commands.move, [pids[2], pids[0]], _N)
        self.assertEqual(commands.uids_of(self.records, [t for _, t in found.pairs]), [1, 2])

    def test_gone_messages_are_left_out(self) -> None:
        """An operation names only what is visible; if nothing is left there is none."""
        pids = self.append(count=2)
        self.run_command(commands.remove, pids[:1])
        stored = self.run_command(commands.store, pids, StoreMode.ADD, frozenset({"\\Seen"}))
        self.assertEqual(stored, Storing((pids[1],), (), (pids[0],)))
        self.assertEqual(self.run_command(commands.remove, pids[:1]), ())
        self.assertEqual(self.ops(), [])
        self.assertEqual(self.run_command(commands.move, pids[:1], INBOX).pairs, ())

    def test_expunge_takes_deleted_ones(self) -> None:
        pids = self.append("\\Deleted") + self.append()
        self.assertEqual(self.run_command(commands.expunge, pids), (pids[0],))

    def test_long_commands_are_several_operations(self) -> None:
        """At most 4,096 messages each, in one transaction."""
        self.create("N")
        pids = self.append(count=9000)
        self.assertEqual(
            [len(b.messages) for b in self.ops() if isinstance(b, Add)], [4096, 4096, 808]
        )
        self.run_command(commands.store, pids, StoreMode.REPLACE, frozenset({"a", "b"}))
        sizes = [sum(len(c.pids) for c in b.changes) for b in self.ops() if isinstance(b, St)]
        self.assertEqual(sum(sizes), 18_000)
        self.assertLessEqual(max(sizes), MESSAGES_MAX)
        found = self.run_command(commands.move, pids, _N)
        self.assertEqual(sum(len(b.pids) for b in self.ops() if isinstance(b, Mv)), 9000)
        self.run_command(commands.remove, [target for _, target in found.pairs])
        self.assertEqual(sum(len(b.pids) for b in self.ops() if isinstance(b, Exp)), 9000)


class StoreTests(CommandCase):
    def store(self, pid: bytes, mode: StoreMode, *flags: str, **more: Any) -> Storing:
        found = self.run_command(commands.store, [pid], mode, frozenset(flags), **more)
        assert isinstance(found, Storing)
        return found

    def test_modes(self) -> None:
        (pid,) = self.append("\\Seen", "work")
        self.store(pid, StoreMode.ADD, "\\Flagged")
        self.assertEqual(self.flags(pid), {"\\Seen", "work", "\\Flagged"})
        self.store(pid, StoreMode.REMOVE, "\\Seen", "none")
        self.assertEqual(self.flags(pid), {"work", "\\Flagged"})
        self.store(pid, StoreMode.REPLACE, "\\Draft")
        self.assertEqual(self.flags(pid), {"\\Draft"})

    def test_no_change_is_no_operation(self) -> None:
        (pid,) = self.append("\\Seen")
        self.assertEqual(self.store(pid, StoreMode.ADD, "\\Seen").changed, ())
        self.assertEqual(self.ops(), [])

    def test_spellings_are_one_keyword(self) -> None:
        """RFC 9051 §9 note 1: a keyword is the same in any case; the spelling stays."""
        (pid,) = self.append("work")
        self.assertEqual(self.store(pid, StoreMode.ADD, "Work").changed, ())
        self.assertEqual(self.flags(pid), {"work"})
        self.store(pid, StoreMode.REMOVE, "WORK")
        self.assertEqual(self.flags(pid), set())
        self.store(pid, StoreMode.ADD, "Work")
        self.assertEqual(self.flags(pid), {"Work"})

    def test_interest(self) -> None:
        r"""`keep` is false for +\Deleted and for the implicit \Seen."""
        (pid,) = self.append()
        for more, flag, keep in (
            ({}, "\\Flagged", True),
            ({}, "\\Deleted", False),
            ({"implicit": True}, "\\Seen", False),
        ):
            self.store(pid, StoreMode.ADD, flag, **more)
            self.assertEqual([op.keep for op in self.ops()], [keep], flag)
        self.store(pid, StoreMode.REMOVE, "\\Deleted")
        self.assertEqual([op.keep for op in self.ops()], [True])

    def test_unchanged_since(self) -> None:
        """RFC 7162 §3.1.3: what changed meanwhile is left alone and named."""
        (pid,) = self.append()
        view = self.records.get(VIEW, 0)
        assert view is not None
        seen = view.hm
        self.assertEqual(self.store(pid, StoreMode.ADD, "a", unchanged_since=seen).changed, (pid,))
        self.assertEqual(self.store(pid, StoreMode.ADD, "b", unchanged_since=seen).modified, (pid,))
        self.assertEqual(self.flags(pid), {"a"})


class MailboxTests(CommandCase):
    def test_superiors_are_made(self) -> None:
        self.create("a.b.c", "\\Sent")
        self.assertIsNotNone(commands.mailbox(self.records, "a.b"))
        found = commands.mailbox(self.records, "a.b.c")
        assert found is not None
        self.assertEqual(found.boxes[0].use, ("\\Sent",))
        self.assertEqual(len(self.ops()), 3)

    def test_refusals(self) -> None:
        self.create("N")
        self.create("N.x")
        self.create("M")
        self.refused("ALREADYEXISTS", commands.create, _N, (), ".")
        self.refused("ALREADYEXISTS", commands.create, INBOX, (), ".")
        self.refused("NONEXISTENT", commands.delete, MailboxName("none"))
        self.refused("CANNOT", commands.delete, INBOX)
        self.refused("NONEXISTENT", commands.rename, MailboxName("none"), _N, ".")
        self.refused("ALREADYEXISTS", commands.rename, _N, _M, ".")
        self.refused("CANNOT", commands.rename, _N, MailboxName("N.y"), ".")
        self.create("Z.x")
        self.run_command(commands.delete, MailboxName("Z"))
        self.refused("ALREADYEXISTS", commands.rename, _N, MailboxName("Z"), ".")

    def test_rename_of_a_tree(self) -> None:
        for name in ("N", "N.x", "N.x.y", "Nx"):
            self.create(name)
        pids = self.append(name=MailboxName("N.x"))
        self.run_command(commands.rename, _N, MailboxName("a.b"), ".")
        names = sorted(box.name for box in self.records.tables[BOX.number].values())
        self.assertEqual(names, ["INBOX", "Nx", "a", "a.b", "a.b.x", "a.b.x.y"])
        self.assertEqual(commands.uids_of(self.records, pids), [1])
        assert self.tx is not None
        self.assertEqual(self.tx.changes, {}, "a rename does not end sessions")

    def test_delete_ends_sessions(self) -> None:
        self.create("N")
        self.append(name=_N)
        self.run_command(commands.delete, _N)
        assert self.tx is not None
        (changes,) = self.tx.changes.values()
        self.assertIsInstance(changes[0], Ended)
        self.assertIsNone(commands.mailbox(self.records, "N"))

    def test_a_name_that_comes_back_is_another_mailbox(self) -> None:
        """UIDVALIDITY rises, and nothing of the old one is in it."""
        self.create("N")
        first = commands.mailbox(self.records, "N")
        self.append(name=_N)
        self.run_command(commands.delete, _N)
        self.create("N")
        second = commands.mailbox(self.records, "N")
        assert first is not None and second is not None
        self.assertGreater(second.v, first.v)
        self.assertEqual(len(self.records.exposed(second.key, second.boxes[0].bid)), 0)

    def test_revalidate_ends_sessions_and_keeps_uids(self) -> None:
        pids = self.append()
        v = self.run_command(commands.revalidate, INBOX)
        found = commands.mailbox(self.records, INBOX)
        assert found is not None and self.tx is not None
        self.assertEqual((found.v, found.key), (v, 0))
        self.assertIsInstance(self.tx.changes[0][0], Ended)
        self.assertEqual(commands.uids_of(self.records, pids), [1])
        self.refused("NONEXISTENT", commands.revalidate, _N)

    def test_subscriptions(self) -> None:
        self.run_command(commands.subscribe, _N, True)
        self.assertTrue(commands.is_subscribed(self.records, "N"))
        self.run_command(commands.subscribe, _N, True)
        self.assertEqual(self.ops(), [])
        self.run_command(commands.subscribe, _N, False)
        self.assertFalse(commands.is_subscribed(self.records, "N"))

    def test_annotations(self) -> None:
        bid = self.create("N")
        self.run_command(commands.annotate, None, "/private/comment", b"all")
        self.run_command(commands.annotate, _N, "/private/comment", b"one")
        self.run_command(commands.annotate, _N, "/private/comment", b"two")
        self.refused("NONEXISTENT", commands.annotate, _M, "/private/comment", b"x")
        values = {at: meta.value for at, meta in self.records.tables[META.number].items()}
        self.assertEqual(
            values, {(-1, "/private/comment"): b"all", (bid, "/private/comment"): b"two"}
        )
