# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto user`: adds, lists and deletes users where a node of the configuration looks them up.

Passwords are asked for, or come in one line of standard input: never as an argument, which every
user of the machine could read. What is kept of them is a hash. Mail is not this command's: it stays
when a user goes.
"""

import argparse
import getpass
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from pluto_tw.admin.arguments import add_config, config_files
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.holding import held
from pluto_tw.auth.adapters import AdapterUnknown, adapter
from pluto_tw.auth.directory import Directory, key_of
from pluto_tw.auth.passwords import hash_password, read_password
from pluto_tw.auth.refusals import SettingsRefused, UsersRefused
from pluto_tw.node.config import load
from pluto_tw.node.settings import Adapter

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

RELOAD = "A node that reads users from a file takes the change up at a reload (SIGHUP)."


def add_parser(commands: "Commands") -> None:
    """Adds `user` and what is below it."""
    user = commands.add_parser(
        "user",
        help="add, list and delete users",
        description="Changes users where the nodes of a configuration look them up.",
    )
    below = user.add_subparsers(required=True, metavar="command", title="commands")
    for name, act, text in (
        ("add", _add, "adds a user, whose password is asked for"),
        ("passwd", _passwd, "gives a user another password, which is asked for"),
        ("delete", _delete, "deletes a user; the mail stays, and so does the ID"),
        ("list", _list, "lists users: ID, how the password is kept, name"),
        ("init-db", _init, "makes the database's table of users, or the index that it lacks"),
    ):
        parser = below.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}. {RELOAD}"
        )
        add_config(parser, several=False)
        parser.add_argument(
            "--node",
            metavar="NAME",
            help="the node whose users they are; else the distributor, else the only one with some",
        )
        if name in ("add", "passwd"):
            parser.add_argument(
                "--stdin",
                action="store_true",
                help="read the password from standard input, one line, instead of asking twice",
            )
            parser.add_argument(
                "--hashed",
                action="store_true",
                help="what is given is no password but an entry, such as {SHA512-CRYPT}...",
            )
        if name == "add":
            parser.add_argument(
                "--keep-mail",
                action="store_true",
                help="give the user the mail that an earlier user of this name has left",
            )
        if name in ("add", "passwd", "delete"):
            parser.add_argument("user", metavar="USER", help="the name that the user logs in with")
        parser.set_defaults(run=_runner(act))


def _runner(
    act: Callable[[Directory, argparse.Namespace, TextIO], None],
) -> Callable[[argparse.Namespace, TextIO], int]:
    def run(arguments: argparse.Namespace, out: TextIO) -> int:
        try:
            act(_directory(arguments), arguments, out)
        except UsersRefused as refused:
            raise CommandFailed("\n".join(refused.problems), 1) from None
        return 0

    return run


def _directory(arguments: argparse.Namespace) -> Directory:
    [file] = config_files(arguments)
    configuration = load(file)
    if not configuration.is_readable:
        raise CommandFailed("\n".join(configuration.problems.errors))
    nodes = [configuration.distributor, *configuration.workers.values()]
    having = [node for node in nodes if node is not None and node.adapter is not None]
    if arguments.node is not None:
        having = [node for node in having if arguments.node in (node.key, node.name)]
    if not having:
        named = f"node {arguments.node!r}" if arguments.node is not None else "node"
        raise CommandFailed(f"{file}: there is no {named} with an AuthAdapter")
    if len(having) > 1 and having[0] is not configuration.distributor:
        names = ", ".join(node.name for node in having)
        raise CommandFailed(f"{file}: which node's users? Say it by --node: {names}")
    found = having[0].adapter
    assert found is not None
    return _opened(found, having[0].table.path)


def _opened(found: Adapter, section: str) -> Directory:
    try:
        return adapter(found.name)(found.settings).directory()
    except AdapterUnknown as unknown:
        raise CommandFailed(f"{section}.AuthAdapter: expected {unknown}") from None
    except SettingsRefused as refused:
        lines = [f"{section}.{found.name}.{problem}" for problem in refused.problems]
        raise CommandFailed("\n".join(lines)) from None


def _add(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    if not arguments.keep_mail:
        _refuse_mail(directory, arguments, out)
    number = directory.add(arguments.user, _entry(arguments))
    out.write(f"user {arguments.user} has ID {number}\n")


def _refuse_mail(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    """
    Raises `CommandFailed` if the account of the new user holds mail, as far as anybody here knows.

    An account is found by its key for ever, and its mail outlives its user.
    """
    key = key_of(arguments.user)
    found = held(config_files(arguments), key)
    if found.messages and not any(key_of(user.name) == key for user in directory.users()):
        raise CommandFailed(
            f"the account {key!r} holds {found.messages} messages of an earlier user: --keep-mail "
            "gives them to the new one, or choose another name",
            1,
        )
    if not found.is_known:
        reasons = "; ".join(found.reasons) or "the configuration has none"
        out.write(f"no replica could be asked for mail of an earlier user: {reasons}\n")


def _passwd(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    number = directory.set_password(arguments.user, _entry(arguments))
    out.write(f"user {arguments.user}, ID {number}, has another password\n")


def _delete(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    number = directory.delete(arguments.user)
    out.write(f"user {arguments.user}, ID {number}, is deleted; the mail is still there\n")


def _list(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    for listed in directory.users():
        out.write(f"{listed.id}\t{listed.scheme or 'unreadable'}\t{listed.name}\n")


def _init(directory: Directory, arguments: argparse.Namespace, out: TextIO) -> None:
    directory.prepare()
    out.write("users can be kept there\n")


def _entry(arguments: argparse.Namespace) -> str:
    """What is to be kept of the password that is given."""
    if arguments.stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = getpass.getpass("Password: ")
        if given != getpass.getpass("Again: "):
            raise CommandFailed("the two are not the same", 1)
    if not given:
        raise CommandFailed("an empty password is none", 1)
    if not arguments.hashed:
        return hash_password(given.encode("utf-8"))
    try:
        read_password(given)
    except ValueError as error:
        raise CommandFailed(str(error), 1) from None
    return given
