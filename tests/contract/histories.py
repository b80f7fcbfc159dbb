# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of an account under any history: what two sessions do by turns, against a model.

The model is a dictionary for each mailbox: of each UID the message's flags and EMAILID. After each
step the newest state is that of the model. Each session is told of the log a little now and then;
what it shows must come from the log alone. And clients leave now and then, with what they know,
and come back at the end: by `changed_since` and `vanished_since` they must learn all the rest.
"""

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pluto_tw.imap.ports import Account
from pluto_tw.mail.flags import DELETED, Flags
from pluto_tw.mail.messages import Copied, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.contract.case import AccountCase, Mail, Viewer, Wanted, flags, name

BOXES = (INBOX, name("Work"))
FLAG_SETS = tuple(
    flags(text) for text in ("", "\\Seen", "\\Deleted", "\\Seen \\Deleted $a", "$a", "$b \\Flagged")
)


@dataclass(frozen=True)
class Step:
    """What a session does; which of the meanings the numbers have depends on *kind*."""

    kind: str
    #: Which of the sessions.
    session: int = 0
    #: Which messages of its view: the bits of this number, from the first message on.
    chosen: int = 1
    #: Which of `FLAG_SETS`, of the modes, of the targets, of the lengths.
    which: int = 0


KINDS = ("append", "store", "store", "unchanged", "expunge", "copy", "move", "tell", "leave")

steps = st.builds(
    Step,
    kind=st.sampled_from(KINDS),
    session=st.integers(0, 3),
    chosen=st.integers(0, 255),
    which=st.integers(0, 17),
)


#: Of a length that is drawn first: lists alone are nearly all of five steps or fewer.
histories = st.integers(1, 50).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))


@dataclass
class Model:
    """What a mailbox holds: flags and EMAILID of each UID."""

    messages: dict[int, tuple[Flags, str]] = field(default_factory=dict)


@dataclass
class Left:
    """A client that left: what it knew of which mailbox, and up to which mod-sequence."""

    box: int
    modseq: ModSeq
    flags: dict[int, Flags]


class World:
    """An account, its model, and four sessions: two for each mailbox."""

    def __init__(self, case: AccountCase, account: Account) -> None:
        self.case = case
        self.account = account
        case.create(account, BOXES[1])
        other = case.another_session(account)
        self.sessions = [
            case.view(account, BOXES[0]),
            case.view(other, BOXES[0]),
            case.view(account, BOXES[1]),
            case.view(other, BOXES[1]),
        ]
        self.models = [Model(), Model()]
        self.left: list[Left] = []

    def run(self, step: Step) -> None:
        viewer = self.sessions[step.session]
        box = step.session // 2
        shown = [uid for bit, uid in enumerate(viewer.uids) if step.chosen >> bit & 1]
        getattr(self, step.kind)(step, viewer, box, shown)
        self.compare()

    # The steps.

    def append(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        mails = [Mail(flags=FLAG_SETS[step.which % len(FLAG_SETS)])] * (1 + step.chosen % 3)
        appended = self.case.append(self.account, BOXES[box], *mails)
        ids = viewer.mailbox.email_ids(appended.uids)
        for uid, mail, email_id in zip(appended.uids, mails, ids, strict=True):
            self.models[box].messages[uid] = (mail.flags, email_id)

    def store(
        self, step: Step, viewer: Viewer, box: int, shown: list[int], since: ModSeq | None = None
    ) -> None:
        mode = list(StoreMode)[step.which % 3]
        named = FLAG_SETS[step.which // 3]
        modseqs = dict(zip(shown, viewer.mailbox.modseqs(shown), strict=True))
        work = viewer.mailbox.store(NumberSet.of(shown), mode, named, since)
        stored = self.case.now(work)
        messages = self.models[box].messages
        for uid in shown:
            if uid not in messages:
                assert uid in stored.gone
                continue
            before, email_id = messages[uid]
            after = {
                StoreMode.ADD: before | named,
                StoreMode.REMOVE: before - named,
                StoreMode.REPLACE: named,
            }[mode]
            if since is not None and modseqs[uid] > since:
                assert uid in stored.modified
            else:
                assert (uid in stored.changed) == (before != after)
                messages[uid] = (after, email_id)
        assert not (stored.changed | stored.modified | stored.gone) - NumberSet.of(shown)
        assert bool(stored.modseq) == bool(stored.changed)

    def unchanged(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        self.store(step, viewer, box, shown, since=viewer.highest_modseq)

    def expunge(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        removed = self.case.now(viewer.mailbox.expunge(NumberSet.of(shown)))
        messages = self.models[box].messages
        expected = [uid for uid in shown if uid in messages and DELETED in messages[uid][0]]
        assert list(removed) == expected
        for uid in expected:
            del messages[uid]

    def copy(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        copied = self.case.now(viewer.mailbox.copy(NumberSet.of(shown), self.target(step)))
        self.copied(copied, box, shown, step.which % 2)

    def move(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        moved = self.case.now(viewer.mailbox.move(NumberSet.of(shown), self.target(step)))
        for uid in self.copied(moved, box, shown, step.which % 2):
            del self.models[box].messages[uid]

    def target(self, step: Step) -> MailboxName:
        return BOXES[step.which % 2]

    def copied(self, copied: Copied, box: int, shown: list[int], target: int) -> list[int]:
        """Puts what was copied into the model; the UIDs of the sources."""
        source = [uid for uid in shown if uid in self.models[box].messages]
        assert list(copied.source) == source
        for uid, new in zip(source, copied.target, strict=True):
            self.models[target].messages[new] = self.models[box].messages[uid]
        return source

    def tell(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        if viewer.mailbox.changes(viewer.position) is not None:
            viewer.catch_up(step.which or None)
        else:
            viewer.catch_up()

    def leave(self, step: Step, viewer: Viewer, box: int, shown: list[int]) -> None:
        viewer.catch_up()
        self.left.append(Left(box, viewer.highest_modseq, viewer.flags()))

    # What holds.

    def compare(self) -> None:
        """The newest state is the model's, and what each session shows can be read."""
        for number, viewer in enumerate(self.sessions):
            messages = self.models[number // 2].messages
            exposed = viewer.mailbox.uids()
            assert list(exposed) == sorted(messages)
            newest = list(viewer.mailbox.flags(exposed))
            assert newest == [messages[uid][0] for uid in exposed]
            ids = list(viewer.mailbox.email_ids(exposed))
            assert ids == [messages[uid][1] for uid in exposed]
            assert len(viewer.flags()) == len(viewer.uids)

    def finish(self) -> None:
        """Everybody is told everything; who has left comes back."""
        for number, viewer in enumerate(self.sessions):
            viewer.catch_up()
            assert viewer.uids == sorted(self.models[number // 2].messages)
            assert viewer.highest_modseq == viewer.mailbox.highest_modseq()
        for client in self.left:
            viewer = self.sessions[2 * client.box]
            known = NumberSet.of(client.flags)
            newest = viewer.flags()
            for asked in (None, known):
                view = dict(client.flags)
                for uid in self.case.now(viewer.mailbox.vanished_since(client.modseq, asked)):
                    assert uid not in newest
                    view.pop(uid, None)
                changed = self.case.now(viewer.mailbox.changed_since(client.modseq))
                view.update({uid: newest[uid] for uid in changed.select(list(newest))})
                assert view == newest
        for viewer in self.sessions:
            viewer.mailbox.close()
        self.account.close()


class HistoriesContract(AccountCase):
    """Any history at all."""

    def check(self, history: list[Step], wanted: Wanted) -> None:
        world = World(self, self.make_account(wanted))
        for step in history:
            world.run(step)
        world.finish()

    def test_sessions_see_what_the_model_has(self) -> None:
        """See the module's docstring; the log is long enough."""

        @settings(max_examples=self.histories)
        @given(history=histories)
        @example(history=[Step("append", 0, 2), Step("leave"), Step("tell", 0), Step("move", 0, 3)])
        @example(history=[Step("append", 2, 2, 2), Step("tell", 2), Step("expunge", 2, 5)])
        def check(history: list[Step]) -> None:
            self.check(history, Wanted())

        check()

    def test_sessions_see_it_with_a_short_log(self) -> None:
        """The same where the log forgets at once what more than three changes lie behind."""

        @settings(max_examples=self.histories)
        @given(history=histories)
        def check(history: list[Step]) -> None:
            self.check(history, Wanted(log_changes_max=3))

        check()
