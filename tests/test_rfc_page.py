# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/rfc.md says what is true: of what is announced, of the command table, of the tree."""

import re
from collections import Counter
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.sasl import MECHANISMS
from pluto_tw.imap.capability import ALWAYS, AUTHENTICATED, capabilities
from pluto_tw.imap.table import ROWS
from tests.test_docs import DOCS, ROOT

STATES = {"yes", "partial", "no"}

#: LOGIN has no RFC, and so no row.
WITHOUT_RFC = {"AUTH=LOGIN"}


@dataclass(frozen=True)
class Row:
    """A row of the first table; *names* are those in `code`."""

    rfc: str
    title: str
    state: str
    file: str

    @property
    def names(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.title)


def table(heading: str) -> list[list[str]]:
    """The cells of the table under *heading*, without the table's own."""
    page = (DOCS / "rfc.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def extensions() -> list[Row]:
    return [Row(*cells[:4]) for cells in table("Extensions and formats")]


def announced() -> set[str]:
    """All names that some connection is told, without their values."""
    before = capabilities(
        authenticated=False,
        can_start_tls=True,
        login_allowed=False,
        mechanisms=tuple(MECHANISMS),
        append_octets_max=None,
    )
    after = capabilities(
        authenticated=True,
        can_start_tls=False,
        login_allowed=True,
        mechanisms=(),
        append_octets_max=1,
    )
    names = {*before.split(), *after.split(), *ALWAYS, *AUTHENTICATED}
    told = {re.sub(r"\A(APPENDLIMIT)=\d+\Z", r"\1", name.decode("ascii")) for name in names}
    return told - WITHOUT_RFC


class ExtensionTests(SynchronousTestCase):
    maxDiff = None

    def test_exactly_what_is_announced_has_the_state_yes(self) -> None:
        """Of the names that are capabilities."""
        supported = {name for row in extensions() if row.state == "yes" for name in row.names}
        self.assertEqual(supported, announced())

    def test_names_stand_once(self) -> None:
        names = Counter(name for row in extensions() for name in row.names)
        self.assertEqual([name for name, count in names.items() if count > 1], [])

    def test_rows_are_in_the_order_of_their_numbers(self) -> None:
        numbers = [int(row.rfc) for row in extensions()]
        self.assertEqual(numbers, sorted(numbers))

    def test_states_are_known(self) -> None:
        self.assertEqual({row.state for row in extensions()} - STATES, set())

    def test_what_is_there_has_a_file(self) -> None:
        """And what is not has none."""
        for row in extensions():
            if row.state == "no":
                self.assertEqual(row.file, "-", row)
            else:
                self.assertRegex(row.file, r"\A`[\w/.]+`\Z", str(row))
                self.assertTrue((ROOT / row.file.strip("`")).is_file(), row)


class CommandTests(SynchronousTestCase):
    maxDiff = None

    def test_the_commands_are_those_of_the_table(self) -> None:
        """Name, section, state, file."""
        self.assertEqual(
            table("Commands"),
            [
                [
                    f"`{row.name}`",
                    row.source,
                    "yes",
                    f"`pluto_tw/imap/commands/{row.name.lower()}.py`",
                ]
                for row in ROWS
            ],
        )

    def test_their_files_exist(self) -> None:
        for cells in table("Commands"):
            self.assertTrue((ROOT / cells[3].strip("`")).is_file(), cells)

    def test_the_uid_forms_are_named(self) -> None:
        page = (DOCS / "rfc.md").read_text(encoding="utf-8")
        forms = [row.name for row in ROWS if row.has_uid_form]
        self.assertIn(f"The UID forms of {', '.join(forms[:-1])} and {forms[-1]} ", page)
