# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is installed is what is in the tree, and `twistd` finds the commands.

A plugin that lies in the tree but is not found after an installation cannot be noticed from inside
the tree; only a virtual environment of its own shows it. Nothing is downloaded here: a wheel is
built with the setuptools of the environment that runs the tests, which also lends its libraries.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]

#: What the build reads; tests and benchmarks as well, to see that they stay out.
SOURCES = (
    "LICENSE",
    "README.md",
    "benchmarks",
    "pluto_tw",
    "pyproject.toml",
    "setup.cfg",
    "tests",
    "twisted",
)

#: A command that the tree does not have, so that finding commands is tested from the first day.
SAMPLE = """
from twisted.application.service import ServiceMaker

sample = ServiceMaker("sample", "pluto_tw", "A sample of a command.", "pluto-packaging-sample")
"""

#: The commands of each of our plugin modules that is named as an argument, as JSON.
COMMANDS = """
import importlib, json, sys
from twisted.application.service import IServiceMaker

print(json.dumps({
    name: [
        plugin.tapname
        for plugin in vars(importlib.import_module(f"twisted.plugins.{name}")).values()
        if IServiceMaker.providedBy(plugin)
    ]
    for name in sys.argv[1:]
}))
"""

#: The script `twistd`, which only the environment that has Twisted for its own has in `bin`.
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"

#: Seconds for one of the programs here; the slowest, a build, takes two.
PROGRAM_SECONDS_MAX = 120


def run(arguments: Sequence[str | Path], where: Path, **environment: str) -> str:
    """What the program prints; AssertionError with all its output if it fails."""
    inherited: Mapping[str, str] = {
        # Nothing may be found in the tree that the tests run in.
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PIP_", "COV_"))
    }
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=where,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(
            f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


class Environment:
    """A fresh virtual environment that has one package: ours, installed from *requirement*."""

    def __init__(self, directory: Path, requirement: Sequence[str | Path]) -> None:
        self.directory = directory
        run([sys.executable, "-m", "venv", "--without-pip", directory], directory.parent)
        self.python = directory / "bin" / "python"
        lent = sysconfig.get_path("purelib")
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", self.python]
        options = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed")
        run([*pip, "install", *options, *requirement], directory, PYTHONPATH=lent)
        # Lent by a path entry, not by PYTHONPATH: what is installed here comes first, and path
        # entries of the lending environment (an editable pluto_tw) are not followed.
        site = self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        Path(site, "zz_lent.pth").write_text(f"{lent}\n")

    def run(self, *arguments: str) -> str:
        """What this environment's Python prints, started outside of any tree."""
        return run([self.python, *arguments], self.directory)

    def where(self) -> Path:
        """The directory of `pluto_tw.imap` as this environment imports it."""
        return Path(
            self.run("-c", "import pluto_tw.imap; print(pluto_tw.imap.__path__[0])").strip()
        )

    def version(self) -> str:
        """The version that the metadata says."""
        return self.run(
            "-c", "from importlib.metadata import version; print(version('pluto_tw'))"
        ).strip()


class PackagingTests(SynchronousTestCase):
    """One copy of the tree, one wheel and two installations for all tests: they take the time."""

    work: ClassVar[Path]
    tree: ClassVar[Path]
    #: The files of `pluto_tw` and the plugins, relative to the tree, before anything ran.
    sources: ClassVar[set[str]]
    wheel: ClassVar[Path]
    installed: ClassVar[Environment]
    editable: ClassVar[Environment]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.work = Path(tempfile.mkdtemp(prefix="pluto_tw_packaging_"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.tree = cls.work / "tree"
        cls.tree.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name,
                    cls.tree / name,
                    ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"),
                )
            else:
                shutil.copy(ROOT / name, cls.tree)
        (cls.tree / "twisted" / "plugins" / "pluto_tw_packaging_sample.py").write_text(SAMPLE)
        cls.sources = {
            str(path.relative_to(cls.tree))
            for path in [
                *(cls.tree / "pluto_tw").rglob("*"),
                *(cls.tree / "twisted" / "plugins").glob("*.py"),
            ]
            if path.is_file()
        }
        build = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", cls.work)
        run([sys.executable, "-m", "pip", "wheel", *build, cls.tree], cls.work)
        (cls.wheel,) = cls.work.glob("*.whl")
        cls.installed = Environment(cls.work / "installed", [cls.wheel])
        cls.editable = Environment(cls.work / "editable", ["-e", cls.tree])

    def wheel_files(self) -> set[str]:
        """The files of the wheel, without its metadata."""
        with zipfile.ZipFile(self.wheel) as wheel:
            return {name for name in wheel.namelist() if ".dist-info/" not in name}

    def test_wheel_has_every_file_of_the_package_and_no_other(self) -> None:
        """Data files too: one that `options.package_data` does not name is missing here."""
        self.assertEqual(self.wheel_files(), self.sources)

    def test_installed_package_is_imported_from_its_environment(self) -> None:
        self.assertTrue(self.installed.where().is_relative_to(self.installed.directory))

    def test_editable_package_is_imported_from_the_tree(self) -> None:
        self.assertEqual(self.editable.where(), self.tree / "pluto_tw" / "imap")

    def test_both_know_the_version_of_the_metadata(self) -> None:
        version = self.wheel.name.split("-")[1]
        self.assertEqual(self.installed.version(), version)
        self.assertEqual(self.editable.version(), version)

    def test_twistd_finds_the_commands_of_every_plugin(self) -> None:
        """Where discovery fails, `twistd --help` is silent about it: no error, no command."""
        names = sorted(Path(name).stem for name in self.sources if name.startswith("twisted/"))
        for environment in (self.installed, self.editable):
            commands: dict[str, list[str]] = json.loads(environment.run("-c", COMMANDS, *names))
            self.assertEqual(commands["pluto_tw_packaging_sample"], ["pluto-packaging-sample"])
            shown = environment.run("-c", TWISTD, "--help").split()
            for name in names:
                self.assertNotEqual(commands[name], [], f"{name} has no command")
                for command in commands[name]:
                    self.assertIn(command, shown)
