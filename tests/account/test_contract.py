# SPDX-License-Identifier: GPL-3.0-or-later
"""The account on SQLite, alone and its own sequencer, keeps the contract of the ports."""

from pluto_tw.account.site import Limits
from pluto_tw.imap.ports import Account
from tests.account.accounts import Node, in_memory
from tests.contract import appends, histories, logs, names, views, writes
from tests.contract.case import ANY, AccountCase, Wanted


class OnSqlite(AccountCase):
    """Each account is one of a node; a node has only accounts of one kind."""

    #: A database takes a while; the log is in memory and the same whatever is behind it.
    histories = 20

    def setUp(self) -> None:
        super().setUp()
        self.nodes: dict[Wanted, Node] = {}
        self.made = 0

    def node(self, wanted: Wanted) -> Node:
        node = self.nodes.get(wanted)
        if node is None:
            node = self.nodes[wanted] = in_memory(self.clock)
            defaults = Limits()
            changes = wanted.log_changes_max
            node.limit(
                Limits(
                    quota_octets_max=wanted.octets_max,
                    log_changes_max=defaults.log_changes_max if changes is None else changes,
                )
            )
        return node

    def make_account(self, wanted: Wanted = ANY) -> Account:
        self.made += 1
        user = f"user{self.made}"
        account = self.node(wanted).store.session(user, user)
        self.users = getattr(self, "users", {})
        self.users[account] = (wanted, user)
        return account

    def another_session(self, account: Account) -> Account:
        wanted, user = self.users[account]
        other = self.node(wanted).store.session(user, user)
        self.users[other] = (wanted, user)
        return other


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
