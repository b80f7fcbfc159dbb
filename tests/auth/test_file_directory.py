# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a file of users: IDs are lines, and stay."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.file_directory import FileDirectory
from pluto_tw.auth.refusals import UsersRefused
from pluto_tw.auth.users_file import read_file

#: (what to do, whose name) in any order.
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "passwd", "delete"]), st.sampled_from("abc")), max_size=8
)


class FileDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.directory = FileDirectory(self.path, ";")

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode("utf-8"))

    def test_users_are_added_at_the_end(self) -> None:
        """Comments and blank lines count."""
        self.write("# users\n\nfred;x\n")
        self.assertEqual(self.directory.add("Frida", "{PLAIN}y"), 4)
        self.assertEqual(self.path.read_text(), "# users\n\nfred;x\nFrida;{PLAIN}y\n")

    def test_a_file_that_ends_without_a_newline(self) -> None:
        self.write("fred;x")
        self.assertEqual(self.directory.add("frida", "y"), 2)
        self.assertEqual(self.path.read_text(), "fred;x\nfrida;y\n")

    def test_a_deleted_user_leaves_the_line(self) -> None:
        self.write("fred;x\nfrida;y\n")
        self.assertEqual(self.directory.delete("FRED"), 1)
        self.assertEqual(self.path.read_text(), "#deleted\nfrida;y\n")
        self.assertEqual(self.directory.add("fred", "z"), 3)

    def test_another_password_keeps_name_and_line(self) -> None:
        self.write("Fred;x\nfrida;y\n")
        self.assertEqual(self.directory.set_password("fred", "{PLAIN}z"), 1)
        self.assertEqual(self.path.read_text(), "Fred;{PLAIN}z\nfrida;y\n")

    def test_lists_without_passwords(self) -> None:
        self.write("fred;hunter2\n")
        [listed] = self.directory.users()
        self.assertEqual((listed.id, listed.name, listed.scheme), (1, "fred", "PLAIN"))
        self.assertNotIn("hunter2", repr(listed))

    def test_refusals_change_nothing(self) -> None:
        text = "fred;x\n"
        for act in (
            lambda: self.directory.add("FRED", "y"),
            lambda: self.directory.add("a;b", "y"),
            lambda: self.directory.add("#a", "y"),
            lambda: self.directory.add("", "y"),
            lambda: self.directory.delete("frida"),
            lambda: self.directory.set_password("frida", "y"),
        ):
            self.write(text)
            self.assertRaises(UsersRefused, act)
            self.assertEqual(self.path.read_text(), text)

    def test_a_new_file_is_its_owners_alone(self) -> None:
        self.directory.prepare()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.directory.add("fred", "x"), 1)
        self.path.chmod(0o640)
        self.directory.add("frida", "x")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)

    def test_a_link_stays_a_link(self) -> None:
        self.write("fred;x\n")
        link = Path(self.mktemp())
        link.symlink_to(self.path.resolve())
        FileDirectory(link, ";").delete("fred")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_text(), "#deleted\n")

    @given(CHANGES)
    def test_ids_never_change_and_are_never_used_again(
        self, changes: list[tuple[str, str]]
    ) -> None:
        self.write("")
        known: dict[str, int] = {}
        used: set[int] = set()
        for what, name in changes:
            try:
                if what == "add":
                    known[name] = self.directory.add(name, "x")
                    self.assertNotIn(known[name], used)
                    used.add(known[name])
                elif what == "passwd":
                    self.assertEqual(self.directory.set_password(name, "y"), known[name])
                else:
                    self.assertEqual(self.directory.delete(name), known.pop(name))
            except UsersRefused:
                self.assertEqual(name in known, what == "add")
            users = read_file(self.path, ";")
            self.assertEqual({user.name: user.id for user in users.in_order}, known)
