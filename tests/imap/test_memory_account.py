# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that other tests stand on keeps the contract; and what only it can do."""

from pluto_tw.imap.ports import Account
from tests.contract import appends, histories, names, views, writes
from tests.contract.case import ANY, AccountCase, Wanted
from tests.support.account import MemoryAccount


class InMemory(AccountCase):
    """Accounts in memory."""

    def make_account(self, wanted: Wanted = ANY) -> Account:
        account = MemoryAccount(waiting=self.waiting)
        if wanted.octets_max is not None:
            account.limits.octets_max = wanted.octets_max
        if wanted.log_changes_max is not None:
            account.limits.log_changes_max = wanted.log_changes_max
        return account

    def another_session(self, account: Account) -> Account:
        return account


class MemoryNamesTests(InMemory, names.NamesContract):
    pass


class MemoryAppendsTests(InMemory, appends.AppendsContract):
    pass


class MemoryViewsTests(InMemory, views.ViewsContract):
    pass


class MemoryWritesTests(InMemory, writes.WritesContract):
    pass


class MemoryHistoriesTests(InMemory, histories.HistoriesContract):
    pass
