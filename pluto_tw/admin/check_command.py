# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto check`: whether all replicas of each account have the same mail.

Exit status: 0, all are equal; 1, some replica is behind or cannot be asked; 2, some show something
else although they have applied the same, or have lost a body, or nobody could be asked.
"""

import argparse
import json
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING, TextIO

from pluto_tw.admin.arguments import add_cluster, cluster_files
from pluto_tw.admin.check_report import json_of, last_lines, line_of
from pluto_tw.admin.checking import Checking, Result
from pluto_tw.admin.comparison import Verdict
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.replicas import Replicas
from pluto_tw.admin.sockets import answering
from pluto_tw.auth.names import account_key

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Adds `check`."""
    check = commands.add_parser(
        "check",
        help="compare the mail of all replicas",
        description=(
            "Asks all replicas of each account what clients can see of it, and says which are "
            "equal, behind (by how many operations) or different, and where. Replicas on other "
            "machines are asked by way of one on this machine. Exit status: 0 all equal, 1 a "
            "replica is behind or cannot be asked, 2 different, or a message is lost, or nobody "
            "could be asked."
        ),
    )
    add_cluster(check)
    check.add_argument(
        "--user", metavar="NAME", help="only the account of this user, by the name of the login"
    )
    check.add_argument(
        "--bodies",
        action="store_true",
        help="read and hash all messages again, at all replicas; this takes time",
    )
    check.add_argument("--quiet", action="store_true", help="leave out the accounts that are equal")
    check.add_argument("--json", action="store_true", help="tell it all in one JSON object")
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Compares, and tells."""
    key = _key(arguments.user)
    nodes = answering(cluster_files(arguments))
    subnets = sorted({subnet for node in nodes for subnet in node.peers})
    if not subnets:
        raise CommandFailed("there is no worker and no storage in the configuration")

    def settled(key: str, result: Result) -> None:
        is_told = result.verdict is not Verdict.EQUAL or result.away or not arguments.quiet
        if is_told and (result.is_known or result.failures) and not arguments.json:
            out.write(line_of(key, result) + "\n")

    with ExitStack() as stack:
        checks = [
            Checking(stack.enter_context(Replicas(subnet, nodes)), settled, _wait)
            for subnet in subnets
        ]
        for check in checks:
            check.find()
        if all(check.failure for check in checks):
            texts = dict.fromkeys(check.failure for check in checks)
            raise CommandFailed(f"nobody could be asked: {'; '.join(texts)}")
        for check in checks:
            if not check.failure and key is None:
                check.all(bodies=arguments.bodies)
            elif not check.failure and key is not None:
                check.one(key, bodies=arguments.bodies)
        if key is not None and not any(check.results or check.failure for check in checks):
            raise CommandFailed(f"none of the replicas that could be asked has an account {key!r}")
        if arguments.json:
            json.dump({"subnets": [json_of(check) for check in checks]}, out, indent=1)
            out.write("\n")
        else:
            for check in checks:
                for line in last_lines(check):
                    out.write(line + "\n")
    return int(max(check.verdict for check in checks))


def _wait(seconds: float) -> None:
    """There is no reactor here that would stand still."""
    Event().wait(seconds)


def _key(user: str | None) -> str | None:
    """As `auth` makes it of a login's name."""
    if user is None:
        return None
    try:
        return account_key(user)
    except ValueError as error:
        raise CommandFailed(f"--user {user!r}: {error}") from None
