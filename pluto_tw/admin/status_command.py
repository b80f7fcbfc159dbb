# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto status`: how the nodes of this machine and their links stand, a line each.

Exit status: 0, all is well; 1, a node does not answer or does not serve, a shard has failed, or a
link to another node is down; 2, nobody answers.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from pluto_tw.admin.arguments import add_cluster, cluster_files
from pluto_tw.admin.asking import AskFailed, Asking
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.sockets import Answering, answering

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands

#: How a peer stands whose link is down; all else is on its way to be well.
_DOWN: Final = ("away", "refused")

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def add_parser(commands: "Commands") -> None:
    """Adds `status`."""
    status = commands.add_parser(
        "status",
        help="tell how nodes, peers and sessions stand",
        description=(
            "Tells how the nodes of the configuration stand that run on this machine: a line for "
            "each node with its sessions, and below it one for each link to another node with its "
            "lag and backlog. Exit status: 0 all well, 1 a node does not answer or serve, a shard "
            "has failed or a link is down, 2 nobody answers."
        ),
    )
    add_cluster(status)
    status.add_argument("--json", action="store_true", help="tell all that nodes say, as JSON")
    status.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Asks each node, and tells."""
    answers: list[Mapping[str, Any]] = []
    lines: list[str] = []
    is_well = True
    for node in answering(cluster_files(arguments)):
        answer = _ask(node)
        answers.append(answer)
        lines += _lines(answer)
        is_well &= _is_well(answer)
    if arguments.json:
        json.dump({"nodes": answers}, out, indent=1)
        out.write("\n")
    elif all("error" in answer for answer in answers):
        raise CommandFailed("\n".join(lines))
    else:
        out.writelines(line + "\n" for line in lines)
    return 0 if is_well else 2 if all("error" in answer for answer in answers) else 1


def _ask(node: Answering) -> Mapping[str, Any]:
    """What *node* says of itself, or its name, role and `error`."""
    who = {"name": node.name, "role": node.role.value}
    if node.socket is None:
        return {**who, "error": "cannot be asked: write AdminSocket"}
    try:
        with Asking(node.socket) as asking:
            return {**who, **asking.ask({"ask": "status"})}
    except AskFailed as failed:
        return {**who, "error": f"does not answer: {failed}"}


def _is_well(answer: Mapping[str, Any]) -> bool:
    if "error" in answer or answer.get("state") != "serving":
        return False
    if any(replica.get("state") == "down" for replica in answer.get("replicas", ())):
        return False
    return all(
        subnet["state"] == "serving"
        and all(shard["state"] == "open" for shard in subnet["shards"])
        and all(peer["state"] not in _DOWN for peer in subnet["peers"])
        for subnet in answer.get("subnets", ())
    )


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    if "error" in answer:
        yield f"{answer['name']}: {answer['role']}, {answer['error']}"
        return
    sessions = answer.get("sessions", 0)
    yield (
        f"{answer['name']}: {answer['role']}, {answer.get('state')}, "
        f"{sessions} session{'s' * (sessions != 1)}, up {_span(answer.get('up_seconds', 0))}"
    )
    for replica in answer.get("replicas", ()):
        yield f"  to {replica['name']}: {replica['state']}"
    for subnet in answer.get("subnets", ()):
        if subnet["state"] != "serving":
            yield f"  {subnet['subnet']}: {subnet['state']}"
        for shard in subnet["shards"]:
            if shard["state"] != "open":
                yield f"  {shard['name']}: {shard['state']}: {shard['reason']}"
        for peer in subnet["peers"]:
            yield f"  to {peer['name']} of {subnet['subnet']}: {_peer(peer)}"


def _peer(peer: Mapping[str, Any]) -> str:
    heard = peer.get("heard_seconds")
    told = [
        str(peer["state"]),
        "never heard" if heard is None else f"heard {_span(heard)} ago",
        f"lag {peer.get('lag_operations', 0)} operations, {peer.get('lag_seconds', 0):.1f} s",
        f"backlog {peer.get('backlog_accounts', 0)} accounts",
    ]
    if peer.get("error"):
        told.append(str(peer["error"]))
    return ", ".join(told)


def _span(seconds: float) -> str:
    """Roughly, for people."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"
