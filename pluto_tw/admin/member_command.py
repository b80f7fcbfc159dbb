# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto member`: who belongs to a subnet, and how a replica leaves it.

A planned removal is asked of the node that leaves: it serves nobody from then on, sends all that it
has, and takes itself out; this command tells how far it is, and has it serve again if that takes
too long. A forced one is asked of another member, for a node that does not come back.

Exit status: 0, done; 1, the node is not removed and serves again; 2, nothing could be done.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TextIO

from pluto_tw.admin.arguments import add_cluster, cluster_files
from pluto_tw.admin.asking import AskFailed, Asking, NobodyThere
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.sockets import Answering, answering

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands

#: How long a planned removal may take unless `--timeout` says otherwise: a peer that has nearly
#: all is there in ten seconds, and an operator who waits for longer wants to know why.
TIMEOUT_SECONDS: Final = 120

#: How often the node is asked how far it is.
LOOK_SECONDS: Final = 0.5

_LEFT: Final = "left"


def add_parser(commands: "Commands") -> None:
    """Adds `member`."""
    member = commands.add_parser(
        "member",
        help="tell who belongs to a subnet, and take a replica out",
        description="Tells which replicas belong to a subnet, and takes one out of it.",
    )
    actions = member.add_subparsers(required=True, metavar="command", title="commands")
    listing = actions.add_parser(
        "list",
        help="tell who belongs to each subnet",
        description=(
            "Tells all that ever belonged to each subnet of the configuration: slot, Name, state "
            "and replica id. Exit status: 0, or 2 if no replica on this machine answers."
        ),
    )
    add_cluster(listing)
    listing.set_defaults(run=run_list)
    remove = actions.add_parser(
        "remove",
        help="take a replica out of its subnet, for ever",
        description=(
            "Takes the replica NAME out of its subnet. Run it on the machine of NAME: it serves "
            "nobody from then on, sends all that it has to all other members, and leaves; nothing "
            "is lost. With --forced, on the machine of another member, for a replica that does not "
            "come back: what it had sent to nobody is lost to the others. A slot that was taken "
            "away is never given again; a subnet has 32. Exit status: 0 removed, 1 not removed, "
            "and serving again, 2 nothing could be done."
        ),
    )
    remove.add_argument("name", metavar="NAME", help="its Name")
    add_cluster(remove)
    remove.add_argument(
        "--subnet", metavar="SUBNET", help="only in this one, of a node that has several"
    )
    remove.add_argument(
        "--forced",
        action="store_true",
        help="without it: what it had sent to nobody is lost, unless its database is kept",
    )
    remove.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=TIMEOUT_SECONDS,
        help="how long the others may take to have all (default: %(default)s)",
    )
    remove.set_defaults(run=run_remove)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 86_400:
        raise argparse.ArgumentTypeError("expected a number of seconds from 1 to 86400")
    return int(text)


# list


def run_list(arguments: argparse.Namespace, out: TextIO) -> int:
    """Tells the members of each subnet, as the first replica of it that answers has them."""
    nodes = answering(cluster_files(arguments))
    failures: list[str] = []
    is_told = False
    for subnet in _subnets(nodes):
        for node in nodes:
            if subnet not in node.peers:
                continue
            try:
                members = _ask(node, {"ask": "members", "subnet": subnet})["members"]
            except AskFailed as failed:
                failures.append(f"{node.name}: {failed}")
                continue
            out.write(f"{subnet}, by {node.name}:\n")
            for row in members:
                replica = row["replica"] or "not met yet"
                out.write(f"  {row['slot']:>2}  {row['name']:<24} {row['state']:<8} {replica}\n")
            is_told = True
            break
    if not is_told:
        raise CommandFailed("\n".join(failures) or "there is no worker and no storage")
    return 0


# remove


def run_remove(arguments: argparse.Namespace, out: TextIO) -> int:
    """Takes a replica out of its subnets."""
    nodes = answering(cluster_files(arguments))
    name: str = arguments.name
    if arguments.forced:
        return _force(nodes, name, arguments.subnet, out)
    own = next((node for node in nodes if node.name == name and node.peers), None)
    subnets = () if own is None else _wanted(own, arguments.subnet)
    if own is None:
        raise CommandFailed(
            f"{name} is no replica of this configuration: run this where {name} runs; if it does "
            "not come back, --forced removes it without it"
        )
    pause = Event().wait
    statuses = [_drain(own, subnet, arguments.timeout, out, monotonic, pause) for subnet in subnets]
    return max(statuses)


def _drain(
    node: Answering,
    subnet: str,
    seconds: float,
    out: TextIO,
    clock: Callable[[], float],
    pause: Callable[[float], object],
) -> int:
    """Has *node* leave *subnet* within *seconds*, and tells each step once."""
    question = {"ask": "member-drain", "subnet": subnet}
    until = clock() + seconds
    told = ""
    try:
        while True:
            progress = _ask(node, question)
            text = _progress(progress)
            if text != told:
                out.write(f"{subnet}: {node.name} {text}\n")
                out.flush()
                told = text
            if progress["stage"] == _LEFT:
                out.write(
                    f"{subnet}: {node.name} is removed. Stop it, take it out of Peers and "
                    "MailPeers of the other nodes, and reload these\n"
                )
                return 0
            if clock() >= until:
                return _give_up(node, subnet, seconds, out)
            pause(LOOK_SECONDS)
    except KeyboardInterrupt:
        return _give_up(node, subnet, seconds, out)
    except NobodyThere as nobody:
        raise CommandFailed(
            f"{node.name} does not answer: {nobody}. Start it again, and this command; if it does "
            "not come back, --forced removes it without it"
        ) from None
    except AskFailed as failed:
        raise CommandFailed(f"{node.name}: {failed}") from None


def _progress(progress: Mapping[str, Any]) -> str:
    lacking = [
        member["name"] if member["heard"] else f"{member['name']} (not heard)"
        for member in progress["lacking"]
    ]
    text = str(progress["text"])
    if lacking:
        text += f": {', '.join(lacking)}"
    if progress["error"]:
        text += f" ({progress['error']})"
    return text


def _give_up(node: Answering, subnet: str, seconds: float, out: TextIO) -> int:
    try:
        _ask(node, {"ask": "member-drain", "subnet": subnet, "cancel": True})
    except AskFailed as failed:
        out.write(f"{subnet}: {node.name} could not be told to stay: {failed}\n")
        return 1
    out.write(
        f"{subnet}: {node.name} is not removed, and serves again: the others did not have all "
        f"within {seconds:g} s\n"
    )
    return 1


def _force(nodes: Sequence[Answering], name: str, subnet: str | None, out: TextIO) -> int:
    """Has another member remove *name*."""
    failures: list[str] = []
    is_removed = False
    for candidate in _subnets(nodes) if subnet is None else [subnet]:
        for node in nodes:
            if node.name == name or candidate not in node.peers:
                continue
            try:
                _remove(node, name, candidate, out)
            except AskFailed as failed:
                failures.append(f"{node.name}: {failed}")
                continue
            is_removed = True
            break
    if not is_removed:
        raise CommandFailed(
            "\n".join(failures) or f"no other member than {name} is in the configuration"
        )
    return 0


def _remove(node: Answering, name: str, subnet: str, out: TextIO) -> None:
    heard = _heard(node, name, subnet)
    _ask(node, {"ask": "member-remove", "subnet": subnet, "name": name})
    out.write(
        f"{subnet}: {name} is removed by force; {node.name} {heard}. What it had sent to nobody "
        "is lost to the others: keep its StoreRoot. Take it out of Peers and MailPeers of the "
        "other nodes, and reload these. It must never be started again with this StoreRoot\n"
    )


def _heard(node: Answering, name: str, subnet: str) -> str:
    """When *node* has heard *name* last. Raises `AskFailed`."""
    for one in _ask(node, {"ask": "status"}).get("subnets", ()):
        for peer in one["peers"] if one["subnet"] == subnet else ():
            if peer["name"] == name and peer["heard_seconds"] is not None:
                return f"heard it last {peer['heard_seconds']:.0f} s ago"
    return "has not heard it since its own start"


def _subnets(nodes: Sequence[Answering]) -> list[str]:
    return sorted({subnet for node in nodes for subnet in node.peers})


def _wanted(node: Answering, subnet: str | None) -> Sequence[str]:
    if subnet is None:
        return sorted(node.peers)
    if subnet not in node.peers:
        raise CommandFailed(f"{node.name} has no subnet {subnet}: {', '.join(node.peers)}")
    return [subnet]


def _ask(node: Answering, question: Mapping[str, Any]) -> Mapping[str, Any]:
    if node.socket is None:
        raise NobodyThere("it has no admin socket: write AdminSocket")
    with Asking(node.socket) as asking:
        return asking.ask(question)
