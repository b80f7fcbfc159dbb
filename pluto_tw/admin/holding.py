# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an account holds mail, as far as the replicas of a configuration can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pluto_tw.admin.asking import AskFailed, Asking
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.sockets import answering


@dataclass(frozen=True, slots=True)
class Held:
    """
    The account holds *messages*, as many as any replica knows of.

    *is_known*: of each subnet some replica has answered. *reasons*: why others have not.
    """

    messages: int
    is_known: bool
    reasons: tuple[str, ...]


def held(files: Sequence[Path], key: str) -> Held:
    """Of the account *key*, by the replicas of the configurations *files* on this machine."""
    try:
        nodes = answering(files)
    except CommandFailed as failed:
        return Held(0, is_known=False, reasons=(str(failed),))
    messages = 0
    reasons = []
    unknown = {subnet for node in nodes for subnet in node.peers}
    is_known = bool(unknown)
    for node in nodes:
        if node.socket is None or not node.peers:
            continue
        try:
            with Asking(node.socket) as asking:
                for subnet in node.peers:
                    found = asking.ask({"ask": "account", "subnet": subnet, "key": key})
                    messages = max(messages, int(found.get("messages", 0)))
                    unknown.discard(subnet)
        except AskFailed as failed:
            reasons.append(f"{node.name}: {failed}")
    return Held(messages, is_known and not unknown, tuple(reasons))
