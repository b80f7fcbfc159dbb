# SPDX-License-Identifier: GPL-3.0-or-later
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pluto_tw.imap.commands
from pluto_tw.imap.command import ExpungeRule, State
from pluto_tw.imap.table import COMMANDS, ROWS

#: RFC 9051 §6.1, "Any State"; ID by RFC 2971 §3.1.
ANY = {"CAPABILITY", "ID", "LOGOUT", "NOOP"}
#: RFC 9051 §6.2.
NOT_AUTHENTICATED = {"AUTHENTICATE", "LOGIN", "STARTTLS"}
#: RFC 9051 §6.3, "Authenticated State", which also work when selected; LSUB by RFC 3501 §6.3.9.
AUTHENTICATED = {
    "APPEND",
    "CREATE",
    "DELETE",
    "ENABLE",
    "EXAMINE",
    "IDLE",
    "LIST",
    "LSUB",
    "NAMESPACE",
    "RENAME",
    "SELECT",
    "STATUS",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
}
#: RFC 9051 §6.4, but for UID, which is a prefix here; CHECK by RFC 3501 §6.4.1.
SELECTED = {
    "CHECK",
    "CLOSE",
    "COPY",
    "EXPUNGE",
    "FETCH",
    "MOVE",
    "SEARCH",
    "STORE",
    "UNSELECT",
}


def possible_in(state: State) -> set[str]:
    """The names of the commands that are possible in *state*."""
    return {row.name for row in ROWS if state in row.states}


class RowTests(SynchronousTestCase):
    maxDiff = None

    def test_rows_are_in_alphabetical_order(self) -> None:
        names = [row.name for row in ROWS]
        self.assertEqual(names, sorted(set(names)))

    def test_commands_are_found_by_name(self) -> None:
        self.assertEqual(len(COMMANDS), len(ROWS))
        for name, row in COMMANDS.items():
            self.assertEqual(name, row.name.upper().encode("ascii"))

    def test_every_command_has_a_file_and_every_file_a_command(self) -> None:
        files = {
            path.stem.upper()
            for path in Path(pluto_tw.imap.commands.__path__[0]).glob("*.py")
            if path.stem != "__init__"
        }
        self.assertEqual(files, {row.name for row in ROWS})

    def test_every_row_is_of_its_file(self) -> None:
        """`parse` and `run` are those of the module that has the command's name."""
        for row in ROWS:
            module = f"pluto_tw.imap.commands.{row.name.lower()}"
            self.assertEqual((row.parse.__module__, row.run.__module__), (module, module))
            if row.offer is not None:
                self.assertEqual(row.offer.__module__, module)

    def test_every_row_names_a_section(self) -> None:
        for row in ROWS:
            self.assertRegex(row.source, re.compile(r"\ARFC \d{4} §\d+(\.\d+)*\Z"), row.name)


class StateTests(SynchronousTestCase):
    """RFC 9051 §3: "Most commands are only valid in certain states"."""

    def test_before_login(self) -> None:
        self.assertEqual(possible_in(State.NOT_AUTHENTICATED), ANY | NOT_AUTHENTICATED)

    def test_after_login(self) -> None:
        self.assertEqual(possible_in(State.AUTHENTICATED), ANY | AUTHENTICATED)

    def test_in_a_mailbox(self) -> None:
        self.assertEqual(possible_in(State.SELECTED), ANY | AUTHENTICATED | SELECTED)

    def test_nothing_is_possible_after_logout(self) -> None:
        self.assertEqual(possible_in(State.LOGOUT), set())


class UidTests(SynchronousTestCase):
    def test_commands_with_a_uid_form(self) -> None:
        """RFC 9051 §6.4.9."""
        self.assertEqual(
            {row.name for row in ROWS if row.has_uid_form},
            {"COPY", "EXPUNGE", "FETCH", "MOVE", "SEARCH", "STORE"},
        )

    def test_expunge_is_not_told_where_numbers_are_used(self) -> None:
        """
        RFC 9051 §7.5.1: "MUST NOT be sent when no command is in progress, nor while responding to
        a FETCH, STORE, or SEARCH command".
        """
        self.assertEqual(
            {row.name for row in ROWS if row.expunge is ExpungeRule.UID_FORM_ONLY},
            {"FETCH", "SEARCH", "STORE"},
        )

    def test_a_uid_search_may_name_numbers(self) -> None:
        """RFC 7162 §3.2.10.2 warns of it; no other command can."""
        self.assertEqual({row.name for row in ROWS if row.names_numbers is not None}, {"SEARCH"})


class LiteralTests(SynchronousTestCase):
    def test_only_messages_are_not_held_in_memory(self) -> None:
        self.assertEqual({row.name for row in ROWS if row.offer is not None}, {"APPEND"})
