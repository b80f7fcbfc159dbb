# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of the real account, as clients of the simulation speak to them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pluto_tw.account.account import AccountSession
from pluto_tw.crdt import commands
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.messages import NewMessage
from pluto_tw.mail.names import MailboxName
from tests.simulation.node import Opened

if TYPE_CHECKING:
    from tests.simulation.account_node import AccountNode


class AccountServed:
    """A session of the real account; `Served` in `node.py`."""

    def __init__(self, session: AccountSession, node: "AccountNode") -> None:
        self._session = session
        self._node = node

    def names(self) -> Sequence[str]:
        return sorted(mailbox.name for mailbox in self._node.shown().values())

    async def create(self, name: str, special_use: tuple[str, ...]) -> None:
        await self._session.create(MailboxName(name), frozenset(special_use))

    async def delete(self, name: str) -> None:
        await self._session.delete(MailboxName(name))

    async def rename(self, old: str, new: str) -> None:
        await self._session.rename(MailboxName(old), MailboxName(new))

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._session.subscribe(MailboxName(name), subscribed)

    async def annotate(self, name: str | None, entry: str, value: bytes | None) -> None:
        # There is no port for it yet.
        where = None if name is None else MailboxName(name)
        await self._node.account.command(
            lambda rules, tx: commands.annotate(rules, tx, where, entry, value)
        )

    async def open(self, name: str) -> Opened:
        opened = await self._session.open(MailboxName(name), False, lambda: None)
        return AccountOpened(opened)

    async def append(self, name: str, blob: bytes, flags: Sequence[Flags]) -> Sequence[int]:
        messages = []
        bodies = []
        for place, these in enumerate(flags):
            octets = b"Subject: %s %d\r\n\r\n%s\r\n" % (blob, place, blob)
            bodies.append(octets)
            upload = self._session.upload(len(octets))
            await upload.write(octets)
            messages.append(NewMessage(upload, these, None))
        uids = (await self._session.append(MailboxName(name), messages)).uids
        for octets in bodies:
            self._node.require_durable(octets)
        return uids


class AccountOpened:
    """A mailbox of the real account, names as plain text."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.mailbox_id: str = opened.mailbox_id
        self.uid_validity: int = opened.uid_validity

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)
