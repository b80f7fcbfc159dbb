# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/bad-input.md names limits and tests that exist, with the values that they have."""

import ast
import re
from decimal import Decimal
from functools import cache
from importlib import import_module
from operator import attrgetter

from twisted.trial.unittest import SynchronousTestCase

from tests.test_docs import DOCS, ROOT

LIMIT = re.compile(r"`(pluto_tw/[\w/]+)\.py` `([\w.]+)` = ([\d,.]+)")
PROOF = re.compile(r"`(tests/[\w/]+\.(?:py|txt))` `([^`]+)`")


def rows() -> list[list[str]]:
    """The cells of all tables of the page, headings left out."""
    page = (DOCS / "bad-input.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[1] != "Limit"]


@cache
def proofs(path: str) -> frozenset[str]:
    """The names of the tests, or the titles of the dialogues, in the file *path*."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".txt"):
        return frozenset(re.findall(r"(?m)^== (.*?)\s*$", text))
    return frozenset(
        f"{case.name}.{test.name}"
        for case in ast.parse(text).body
        if isinstance(case, ast.ClassDef)
        for test in case.body
        if isinstance(test, ast.FunctionDef)
    )


class PageTests(SynchronousTestCase):
    def test_rows_are_whole(self) -> None:
        for row in rows():
            self.assertEqual(len(row), 4, row)

    def test_limits_have_the_values_told(self) -> None:
        named = 0
        for row in rows():
            match = LIMIT.fullmatch(row[1])
            if match is None:
                self.assertIn(row[1], ("-", "the account's"), row)
                continue
            named += 1
            limit = attrgetter(match[2])(import_module(match[1].replace("/", ".")))
            self.assertEqual(Decimal(str(limit)), Decimal(match[3].replace(",", "")), row)
        self.assertGreater(named, 30)

    def test_every_row_is_proven(self) -> None:
        for row in rows():
            match = PROOF.fullmatch(row[3])
            assert match is not None, row
            self.assertTrue((ROOT / match[1]).is_file(), row)
            self.assertIn(match[2], proofs(match[1]), row)
