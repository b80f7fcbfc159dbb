# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages name exists: links, paths of this tree, decisions, kinds of news."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

#: `[text](target)`, where the target is not an address of the web or a place of the same page.
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)(?:#[^)\s]*)?\)")

#: `code` that begins like a path of this tree and holds nothing that stands for something else.
PATH = re.compile(
    r"`((?:\.ci|benchmarks|certs|docs|pluto_tw|tests|twisted)/[\w./-]*"
    r"|[\w.-]+\.(?:md|cfg|ini|toml))`"
)

#: Files that an operator writes.
OPERATORS = {"config.toml"}

#: Blocks of commands and examples, which may name what is yet to be made.
BLOCK = re.compile(r"^```.*?^```$|^(?: {4}.*\n)+", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page of the project, the built ones left out."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), ROOT / "twisted/plugins/README.md"]
    found += [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    return sorted(set(found))


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


class LinkTests(SynchronousTestCase):
    maxDiff = None

    def test_every_relative_link_leads_to_a_file(self) -> None:
        dead = [
            f"{page.relative_to(ROOT)}: {target}"
            for page in pages()
            for target in LINK.findall(prose(page))
            # Sphinx takes links without the suffix.
            if not any((page.parent / name).exists() for name in (target, f"{target}.md"))
        ]
        self.assertEqual(dead, [])

    def test_every_path_in_code_exists(self) -> None:
        """From the root of the tree, or beside the page."""
        missing = [
            f"{page.relative_to(ROOT)}: {path}"
            for page in pages()
            for path in set(PATH.findall(prose(page))) - OPERATORS
            if not (ROOT / path).exists() and not (page.parent / path).exists()
        ]
        self.assertEqual(missing, [])


class DecisionTests(SynchronousTestCase):
    def records(self) -> Iterator[Path]:
        return DOCS.glob("decisions/[0-9]*.md")

    def test_every_record_is_in_the_index(self) -> None:
        index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8").splitlines()
        self.assertEqual(
            sorted(record.stem for record in self.records()),
            [line for line in index if re.match(r"\d{4}-", line)],
        )

    def test_every_record_has_its_parts(self) -> None:
        """Its number in the title, its state, and context, choice and price in this order."""
        for record in self.records():
            text = record.read_text(encoding="utf-8")
            self.assertRegex(text, rf"\A# {record.stem[:4]}: \S", record.name)
            self.assertRegex(text, r"(?m)^State: \S", record.name)
            self.assertEqual(
                re.findall(r"(?m)^## (.*)$", text), ["Context", "Choice", "Price"], record.name
            )

    def test_numbers_are_used_once(self) -> None:
        numbers = [record.stem[:4] for record in self.records()]
        self.assertEqual(len(numbers), len(set(numbers)))


class NewsTests(SynchronousTestCase):
    def test_every_fragment_has_a_known_kind(self) -> None:
        """towncrier leaves out a file whose kind it does not know, and says nothing."""
        configuration = tomllib.loads((ROOT / "towncrier.toml").read_text(encoding="utf-8"))
        kinds = {kind["directory"] for kind in configuration["tool"]["towncrier"]["type"]}
        for fragment in (DOCS / "newsfragments").iterdir():
            if fragment.name != "README.md":
                self.assertRegex(fragment.name, rf"\A[\w-]+\.(?:{'|'.join(sorted(kinds))})\.md\Z")
