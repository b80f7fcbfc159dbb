# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a worker or storage answers on its admin socket: how it stands, its accounts, its members.

Decides the shape of each answer, which `docs/reference/admin-socket.md` describes; lines and
connections are `admin.py`'s. It reads the tables of the node that has it, so a subnet can be asked
about from the moment at which the node has opened its store.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from twisted.logger import Logger

from pluto_tw.account.members import DRAINING, REMOVED_HERE, Members
from pluto_tw.account.shard import Shard
from pluto_tw.account.store import Store, identity_of
from pluto_tw.account.survey import survey
from pluto_tw.node import admin
from pluto_tw.node.admin import Answers
from pluto_tw.node.identity import Identity
from pluto_tw.replication.relay import NotRelayed, Relay
from pluto_tw.replication.status import Status
from pluto_tw.replication.surveys import page_of_accounts

log = Logger()

#: Accounts in one answer: some 60 KiB, and a read of the database that nobody notices.
ACCOUNTS_MAX: Final = 1000

#: What a subnet that is not served is called, by the reason.
_STATES: Final = {DRAINING: "draining", REMOVED_HERE: "removed"}


class Stored(Protocol):
    """The mail of one subnet; `StoredAccounts`."""

    members: Members

    @property
    def store(self) -> Store:
        """Its accounts."""

    @property
    def shards(self) -> Sequence[Shard]:
        """Where they are kept."""


class Replicated(Protocol):
    """What connects a subnet's store with its peers; `Replicating`."""

    def status(self) -> Status:
        """As `Replication.status`."""

    def relay(self, name: str) -> Relay | None:
        """As `Replication.relay`."""


class ReplicaAnswers:
    """
    Of a node that says of itself what *own_status* gives.

    Of each subnet it has an identity, and by name a store and, where there are peers, what
    replicates it: the node's own tables, as they are at each question.
    """

    def __init__(
        self,
        own_status: Callable[[], Mapping[str, Any]],
        identities: Callable[[], Sequence[Identity]],
        stores: Mapping[str, Stored],
        replicated: Mapping[str, Replicated],
    ) -> None:
        self._own_status = own_status
        self._identities = identities
        self._stores = stores
        self._replicated = replicated

    def by_question(self) -> Answers:
        """The answers, by what is asked."""
        return {
            "status": self._status,
            "accounts": self._accounts,
            "account": self._account,
            "digest": self._digest,
            "members": self._members,
            "member-remove": self._remove_member,
        }

    async def _status(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnets = [self._subnet_status(own) for own in self._identities()]
        return {**self._own_status(), "subnets": subnets}

    def _subnet_status(self, own: Identity) -> Mapping[str, Any]:
        stored = self._stores.get(own.subnet)
        return {
            "subnet": own.subnet,
            "replica": own.replica,
            "slot": own.slot,
            "state": _state(stored),
            "shards": [
                {"name": shard.name, "state": shard.state.value, "reason": shard.reason}
                for shard in ([] if stored is None else stored.shards)
            ],
            "peers": self._peer_status(own.subnet),
        }

    def _peer_status(self, subnet: str) -> list[Mapping[str, Any]]:
        replicated = self._replicated.get(subnet)
        if replicated is None:
            return []
        peers: list[Mapping[str, Any]] = msgspec.to_builtins(replicated.status().peers)
        return peers

    def _asked(self, question: Mapping[str, Any]) -> tuple[str, Stored]:
        """The subnet that a question is about: the first one, unless it names another."""
        subnet = admin.text(question, "subnet", next(iter(self._stores), ""))
        if subnet not in self._stores:
            here = ", ".join(self._stores) or "none yet"
            raise admin.Refused(f"no subnet {subnet!r}: here are {here}")
        return subnet, self._stores[subnet]

    def _relay(self, subnet: str, question: Mapping[str, Any]) -> Relay | None:
        """Who asks the replica that a question names; None if it is this one."""
        own = next((one.name for one in self._identities() if one.subnet == subnet), None)
        name = admin.text(question, "replica", own or "")
        if name == own:
            return None
        replicated = self._replicated.get(subnet)
        relay = None if replicated is None else replicated.relay(name)
        if relay is None:
            raise admin.Refused(f"{name!r} is not among the peers of {own} in {subnet}")
        return relay

    async def _accounts(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        limit = admin.number(question, "limit", ACCOUNTS_MAX, ACCOUNTS_MAX)
        after = admin.text(question, "after", "")
        relay = self._relay(subnet, question)
        try:
            if relay is None:
                keys, cursor = page_of_accounts(stored.store, after, limit)
            else:
                keys, cursor = await relay.accounts(after, limit)
        except ValueError:
            raise admin.Refused('expected is a "next" of an earlier answer as "after"') from None
        except NotRelayed as why:
            raise admin.Refused(str(why), away=why.is_away) from None
        accounts = [{"key": key, "identity": identity_of(subnet, key).hex()} for key in keys]
        return {"subnet": subnet, "accounts": accounts, "next": cursor or None}

    async def _account(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        key = admin.text(question, "key")
        with stored.store.lease(key) as account:
            messages = account.commits.stored.quota_messages
        identity = identity_of(subnet, key).hex()
        return {"subnet": subnet, "key": key, "identity": identity, "messages": messages}

    async def _digest(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        key = admin.text(question, "key")
        bodies = admin.truth(question, "bodies", False)
        mailboxes = admin.truth(question, "mailboxes", True)
        relay = self._relay(subnet, question)
        try:
            if relay is None:
                with stored.store.lease(key) as account:
                    found = await survey(account, bodies=bodies)
            else:
                found = await relay.survey(key, bodies=bodies, mailboxes=mailboxes)
        except NotRelayed as why:
            raise admin.Refused(str(why), away=why.is_away) from None
        parts = found.mailboxes if mailboxes else ()
        return {
            "subnet": subnet,
            "key": key,
            "identity": identity_of(subnet, key).hex(),
            "vector": list(found.vector),
            "outstanding": found.outstanding,
            "steady": found.steady,
            "digest": found.digest.hex(),
            "messages": found.messages,
            "mailboxes": [{"name": part.name, "digest": part.digest.hex()} for part in parts],
            "unfit": found.unfit,
            "places": [{"mailbox": place.mailbox, "uid": place.uid} for place in found.places],
        }

    async def _members(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        members = [
            {
                "name": row.name,
                "slot": row.slot,
                "replica": row.replica.hex(),
                "state": row.state.name.lower(),
            }
            for row in stored.members.table()
        ]
        return {"subnet": subnet, "members": members}

    async def _remove_member(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        name = admin.text(question, "name")
        if not await stored.store.subnet.remove(name, forced=True):
            raise admin.Refused(f"no member {name!r} in {subnet}")
        log.warn("{member} was removed", event="member-removed", member=name, subnet=subnet)
        return {"subnet": subnet, "removed": name}


def _state(stored: Stored | None) -> str:
    """Whether a subnet is served here, and why not. Who waits to be admitted has no store yet."""
    if stored is None:
        return "joining"
    if stored.members.serves:
        return "serving"
    return _STATES.get(stored.members.why, "joining")
