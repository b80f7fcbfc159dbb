# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether the accounts that a store holds are still of its subnet, where users are spread by name.

Adding or renaming a subnet moves users from one to another, and their mail does not follow: they
would find nothing. So a node with such accounts does not start, and names the users.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from pluto_tw.account.store import Store
from pluto_tw.account.subnet import MEMBERS_KEY
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import subnet_by_key

#: Users that are named; of more, their number.
NAMED_MAX: Final = 10

#: Accounts in one read.
PAGE_ACCOUNTS: Final = 1000


class UsersMisplaced(Exception):
    """The configuration gives users with mail here to another subnet; the text says whom."""


def check_placed(store: Store, subnet: str, spread: Sequence[str]) -> None:
    """
    Raises `UsersMisplaced` if an account of *store*, which is of *subnet*, is not the one's to
    which a user of its key belongs, of all in *spread*.

    Reads the keys of all accounts: some 10 ms for 10,000.
    """
    named: list[str] = []
    count = 0
    for key in _keys(store):
        if subnet_by_key(spread, AccountKey(key)) != subnet:
            count += 1
            if count <= NAMED_MAX:
                named.append(key)
    if count:
        more = f" and {count - NAMED_MAX} more" if count > NAMED_MAX else ""
        raise UsersMisplaced(
            f"{count} accounts with mail in {subnet} belong to other subnets now, by the names in "
            f"Peers of all Workers ({', '.join(spread)}): {', '.join(named)}{more}. Accounts do "
            "not move by themselves: put the subnets back as they were"
        )


def _keys(store: Store) -> Iterator[str]:
    for shard in range(store.shards):
        after = ""
        while page := store.accounts_after(shard, after, PAGE_ACCOUNTS):
            yield from (key for key in page if key != MEMBERS_KEY)
            after = page[-1]
