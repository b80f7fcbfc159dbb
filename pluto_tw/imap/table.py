# SPDX-License-Identifier: GPL-3.0-or-later
"""
The index of the server: one row a command, with the states it is possible in, whether EXPUNGE may
be told before its answer (RFC 9051 §7.5.1), its module, and where it is specified.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pluto_tw.imap.command import (
    AFTER_LOGIN,
    ANY_STATE,
    BEFORE_LOGIN,
    IN_MAILBOX,
    Command,
    ExpungeRule,
    Offer,
    Reply,
    State,
)
from pluto_tw.imap.commands import (
    append,
    authenticate,
    capability,
    check,
    close,
    copy,
    create,
    delete,
    enable,
    examine,
    expunge,
    fetch,
    id,
    idle,
    list,
    login,
    logout,
    lsub,
    move,
    namespace,
    noop,
    rename,
    search,
    select,
    starttls,
    status,
    store,
    subscribe,
    unselect,
    unsubscribe,
)
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session

ALLOWED = ExpungeRule.ALLOWED
UID_FORM_ONLY = ExpungeRule.UID_FORM_ONLY


class CommandModule(Protocol):
    """What each module of `pluto_tw.imap.commands` has."""

    def parse(self, arguments: Arguments, uid: bool, /) -> Any:
        """The command's value. Bad if the arguments have no such form."""

    def run(self, session: Session, value: Any, /) -> Awaitable[Reply]:
        """Does it."""


def row(
    name: str,
    states: frozenset[State],
    expunge: ExpungeRule,
    module: CommandModule,
    source: str,
    *,
    has_uid_form: bool = False,
    names_numbers: Callable[[Any], bool] | None = None,
    offer: Offer | None = None,
) -> Command:
    """The row of *name*, which *module* parses and runs."""
    return Command(
        name,
        states,
        expunge,
        module.parse,
        module.run,
        source,
        has_uid_form,
        names_numbers=names_numbers,
        offer=offer,
    )


ROWS: tuple[Command, ...] = (
    row("APPEND", AFTER_LOGIN, ALLOWED, append, "RFC 9051 §6.3.12", offer=append.offer),
    row("AUTHENTICATE", BEFORE_LOGIN, ALLOWED, authenticate, "RFC 9051 §6.2.2"),
    row("CAPABILITY", ANY_STATE, ALLOWED, capability, "RFC 9051 §6.1.1"),
    row("CHECK", IN_MAILBOX, ALLOWED, check, "RFC 3501 §6.4.1"),
    row("CLOSE", IN_MAILBOX, ALLOWED, close, "RFC 9051 §6.4.1"),
    row("COPY", IN_MAILBOX, ALLOWED, copy, "RFC 9051 §6.4.7", has_uid_form=True),
    row("CREATE", AFTER_LOGIN, ALLOWED, create, "RFC 9051 §6.3.4"),
    row("DELETE", AFTER_LOGIN, ALLOWED, delete, "RFC 9051 §6.3.5"),
    row("ENABLE", AFTER_LOGIN, ALLOWED, enable, "RFC 9051 §6.3.1"),
    row("EXAMINE", AFTER_LOGIN, ALLOWED, examine, "RFC 9051 §6.3.3"),
    row("EXPUNGE", IN_MAILBOX, ALLOWED, expunge, "RFC 9051 §6.4.3", has_uid_form=True),
    row("FETCH", IN_MAILBOX, UID_FORM_ONLY, fetch, "RFC 9051 §6.4.5", has_uid_form=True),
    row("ID", ANY_STATE, ALLOWED, id, "RFC 2971 §3.1"),
    row("IDLE", AFTER_LOGIN, ALLOWED, idle, "RFC 9051 §6.3.13"),
    row("LIST", AFTER_LOGIN, ALLOWED, list, "RFC 9051 §6.3.9"),
    row("LOGIN", BEFORE_LOGIN, ALLOWED, login, "RFC 9051 §6.2.3"),
    row("LOGOUT", ANY_STATE, ALLOWED, logout, "RFC 9051 §6.1.3"),
    row("LSUB", AFTER_LOGIN, ALLOWED, lsub, "RFC 3501 §6.3.9"),
    row("MOVE", IN_MAILBOX, ALLOWED, move, "RFC 9051 §6.4.8", has_uid_form=True),
    row("NAMESPACE", AFTER_LOGIN, ALLOWED, namespace, "RFC 9051 §6.3.10"),
    row("NOOP", ANY_STATE, ALLOWED, noop, "RFC 9051 §6.1.2"),
    row("RENAME", AFTER_LOGIN, ALLOWED, rename, "RFC 9051 §6.3.6"),
    row(
        "SEARCH",
        IN_MAILBOX,
        UID_FORM_ONLY,
        search,
        "RFC 9051 §6.4.4",
        has_uid_form=True,
        names_numbers=search.names_numbers,
    ),
    row("SELECT", AFTER_LOGIN, ALLOWED, select, "RFC 9051 §6.3.2"),
    row("STARTTLS", BEFORE_LOGIN, ALLOWED, starttls, "RFC 9051 §6.2.1"),
    row("STATUS", AFTER_LOGIN, ALLOWED, status, "RFC 9051 §6.3.11"),
    row("STORE", IN_MAILBOX, UID_FORM_ONLY, store, "RFC 9051 §6.4.6", has_uid_form=True),
    row("SUBSCRIBE", AFTER_LOGIN, ALLOWED, subscribe, "RFC 9051 §6.3.7"),
    row("UNSELECT", IN_MAILBOX, ALLOWED, unselect, "RFC 9051 §6.4.2"),
    row("UNSUBSCRIBE", AFTER_LOGIN, ALLOWED, unsubscribe, "RFC 9051 §6.3.8"),
)

#: By name, upper case, as `pluto_tw.imap.session` looks commands up.
COMMANDS = {row.name.encode("ascii"): row for row in ROWS}
