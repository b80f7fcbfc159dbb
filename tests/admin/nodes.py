# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that answer on sockets which are none, and a configuration that names them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin import replicas, status_command
from pluto_tw.admin.asking import AskFailed, NobodyThere, ReplicaAway

Node = Callable[[Mapping[str, Any]], Mapping[str, Any]]

CONFIGURATION = """
[Distributor]
Name = "eu-distributor"
AdminSocket = "/run/eu-distributor"

[Workers.eu]
Name = "eu"
ListenMailAddr = "127.0.0.1:1"
StoreRoot = "/mail/eu"
AdminSocket = "/run/eu"
  [Workers.eu.Peers.subnet]
  us = "127.0.0.1:2"
  storage = "127.0.0.1:3"

[Storage]
Name = "storage"
StoreRoot = "/mail/storage"
  [Storage.SyncAddrs.subnet]
  Public = "127.0.0.1:3"
  Listen = "127.0.0.1:3"
  [Storage.Peers.subnet]
  eu = "127.0.0.1:4"
  us = "127.0.0.1:2"
"""

MEMBERS = {"members": [{"name": name, "state": "live"} for name in ("eu", "us", "storage")]}


class FakeAsking:
    """As `Asking`, of the node that *nodes* have at its path."""

    nodes: ClassVar[dict[str, Node]] = {}

    def __init__(self, path: Path) -> None:
        if str(path) not in self.nodes:
            raise NobodyThere(f"{path}: Connection refused")
        self._path = str(path)
        self._asked: list[Mapping[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._asked.clear()

    def ask(self, question: Mapping[str, Any], seconds: float = 0) -> Mapping[str, Any]:
        self.send(question)
        return self.receive(seconds)

    def send(self, question: Mapping[str, Any]) -> None:
        if self._path not in self.nodes:
            raise NobodyThere(f"{self._path}: Broken pipe")
        self._asked.append(question)

    def receive(self, seconds: float = 0) -> Mapping[str, Any]:
        if self._path not in self.nodes:
            raise NobodyThere(f"{self._path}: the node has ended the connection")
        return self.nodes[self._path](self._asked.pop(0))


class Accounts:
    """A replica of the subnet, with answers to `digest` by key; *others* it has a link to."""

    def __init__(self, name: str, **accounts: Mapping[str, Any]) -> None:
        self.name = name
        self.accounts = dict(accounts)
        self.others: dict[str, Accounts] = {}
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(question)
        name = question.get("replica", self.name)
        if name != self.name:
            if name not in self.others:
                raise ReplicaAway(f"{name} is away")
            return self.others[name]({**question, "replica": name})
        match question["ask"]:
            case "members":
                return MEMBERS
            case "accounts":
                keys = sorted(key for key in self.accounts if key > question["after"])
                rows = [{"key": key} for key in keys[:1]]
                return {"accounts": rows, "next": keys[0] if len(keys) > 1 else None}
            case "digest":
                found = self.accounts.get(question["key"], told(()))
                if "error" in found:
                    raise AskFailed(str(found["error"]))
                return found
            case _:
                raise AskFailed("not understood")


def told(vector: tuple[int, ...], digest: str = "aa", **more: object) -> Mapping[str, Any]:
    """An answer to `digest`."""
    return {
        "vector": list(vector),
        "outstanding": False,
        "digest": digest,
        "messages": sum(vector),
        "mailboxes": [{"name": "INBOX", "digest": digest}, {"name": "Work", "digest": "ww"}],
        **more,
    }


class NodesCase(SynchronousTestCase):
    """Has a configuration, and `nodes` by the paths of their sockets."""

    def setUp(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.patch(FakeAsking, "nodes", self.nodes)
        self.patch(replicas, "Asking", FakeAsking)
        self.patch(status_command, "Asking", FakeAsking)
        directory = Path(self.mktemp())
        directory.mkdir()
        self.config = directory / "config.toml"
        self.config.write_text(CONFIGURATION)
