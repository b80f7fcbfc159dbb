# SPDX-License-Identifier: GPL-3.0-or-later
"""The account on SQLite, alone and its own sequencer, keeps the contract of the ports."""

from pluto_tw.account.log import CHANGES_MAX
from pluto_tw.account.site import Limits
from pluto_tw.imap.ports import Account
from tests.account.accounts import Node, in_memory
from tests.contract import appends, histories, logs, names, views, writes
from tests.contract.case import ANY, AccountCase, Wanted
from tests.support.hop import HeldHop


class OnSqlite(AccountCase):
    """Each account is one of a node; a node has only accounts of one kind."""

    #: A database takes a while; the log is in memory and the same whatever is behind it.
    histories = 20

    def setUp(self) -> None:
        super().setUp()
        self.nodes: dict[Wanted, Node] = {}
        self.users: dict[Account, tuple[Wanted, str]] = {}

    def node(self, wanted: Wanted) -> Node:
        """The node whose accounts are as *wanted*."""
        if wanted not in self.nodes:
            changes = wanted.log_changes_max
            limits = Limits(
                quota_octets_max=wanted.octets_max,
                log_changes_max=CHANGES_MAX if changes is None else changes,
            )
            self.nodes[wanted] = self.make_node(limits)
        return self.nodes[wanted]

    def make_node(self, limits: Limits) -> Node:
        return in_memory(self.clock, limits)

    def make_account(self, wanted: Wanted = ANY) -> Account:
        return self.session(wanted, f"user{len(self.users)}")

    def another_session(self, account: Account) -> Account:
        return self.session(*self.users[account])

    def session(self, wanted: Wanted, user: str) -> Account:
        account = self.node(wanted).store.session(user, user)
        self.users[account] = (wanted, user)
        return account


class Slow(OnSqlite):
    """Accounts whose commits and loads really wait."""

    histories = 5

    def setUp(self) -> None:
        super().setUp()
        self.hop = HeldHop()
        self.addCleanup(self.hop.finish)

    def make_node(self, limits: Limits) -> Node:
        node = in_memory(self.clock, limits)
        node.restart(self.hop)
        return node

    def drive(self) -> None:
        super().drive()
        self.hop.finish()


class NamesTests(OnSqlite, names.NamesContract):
    pass


class AppendsTests(OnSqlite, appends.AppendsContract):
    pass


class LogsTests(OnSqlite, logs.LogsContract):
    pass


class ViewsTests(OnSqlite, views.ViewsContract):
    pass


class WritesTests(OnSqlite, writes.WritesContract):
    pass


class HistoriesTests(OnSqlite, histories.HistoriesContract):
    pass


class SlowNamesTests(Slow, names.NamesContract):
    pass


class SlowAppendsTests(Slow, appends.AppendsContract):
    pass


class SlowLogsTests(Slow, logs.LogsContract):
    pass


class SlowViewsTests(Slow, views.ViewsContract):
    pass


class SlowWritesTests(Slow, writes.WritesContract):
    pass


class SlowHistoriesTests(Slow, histories.HistoriesContract):
    pass
