# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in a text file."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.file import AuthFile
from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.refusals import UsersRefused
from pluto_tw.auth.users import User
from pluto_tw.auth.users_file import PROBLEMS_TOLD_MAX, read_users

#: As in the README of the original.
ORIGINAL = b"username1;secret1\nusername2;secret2\nusername3;secret3\n"


#: What lines are made of.
PIECES = (
    *("a", ";", "\n", "\r", "#", " ", "{", "}", "é", ",", "=", "AAAA", "9999999999"),
    *("{SSHA512}", "{ARGON2ID}", "{BLF-CRYPT}", "{SHA512-CRYPT}", "{SCRAM-SHA-256}", "{PLAIN}"),
    *("$6$", "rounds=", "$argon2id$", "v=19$m=1,t=1,p=1$", "$2y$05$"),
)


class ReadUsersTests(SynchronousTestCase):
    def refused(self, octets: bytes) -> tuple[str, ...]:
        with self.assertRaises(UsersRefused) as raised:
            read_users(octets, ";")
        refused: UsersRefused = raised.exception
        return refused.problems

    def test_lines_of_the_original(self) -> None:
        users = read_users(ORIGINAL, ";")
        self.assertEqual(
            [(u.id, u.name) for u in users.in_order],
            [(1, "username1"), (2, "username2"), (3, "username3")],
        )
        self.assertTrue(users.by_key[AccountKey("username2")].password.matches(b"secret2"))
        self.assertEqual(users.warnings, ["3 of 3 passwords are in the clear: keep hashes instead"])

    def test_ids_are_numbers_of_lines(self) -> None:
        """Comments, deleted users and blank lines count; so does nothing but LF."""
        users = read_users("# users\r\n\r\na;1\r\n#deleted\n  \nb;2\u2028\x0c3\nc;4".encode(), ";")
        self.assertEqual([(u.id, u.name) for u in users.in_order], [(3, "a"), (6, "b"), (7, "c")])

    def test_the_password_is_all_behind_the_first_separator(self) -> None:
        users = read_users(b"a:: b:c ", ":")
        self.assertTrue(users.by_key[account_key("a")].password.matches(b": b:c "))

    def test_separators_may_be_longer(self) -> None:
        self.assertEqual([*read_users(b"a, b, c", ", ").by_key], ["a"])

    def test_byte_order_mark(self) -> None:
        self.assertEqual([*read_users(b"\xef\xbb\xbfa;b", ";").by_key], ["a"])

    def test_names_are_found_in_any_case(self) -> None:
        self.assertEqual(read_users("Ren\u00e9@X;b".encode(), ";").in_order[0].key, "ren\u00e9@x")

    def test_an_empty_file_has_no_users(self) -> None:
        self.assertEqual(len(read_users(b"", ";").in_order), 0)

    def test_all_that_is_wrong_is_told_with_its_line(self) -> None:
        self.assertEqual(
            self.refused(b"a\nB;x\nc;\n;x\nb;{MD4}\nb;y\n"),
            (
                "line 1: no separator ';'",
                "line 3: no password",
                "line 4: the name is empty",
                self.refused(b"b;{MD4}")[0].replace("line 1", "line 5"),
                "line 6: the same user as in line 2",
            ),
        )

    def test_not_all_lines_are_told_when_all_are_wrong(self) -> None:
        problems = self.refused(b"x\n" * 1000)
        self.assertEqual(len(problems), PROBLEMS_TOLD_MAX + 1)
        self.assertEqual(problems[-1], f"and {1000 - PROBLEMS_TOLD_MAX} lines more")

    def test_other_encodings_are_refused(self) -> None:
        self.assertEqual(self.refused(b"a;b\nRen\xe9;b"), ("line 2: not UTF-8",))

    def test_refusals_tell_no_passwords(self) -> None:
        self.assertNotIn("hunter2", str(self.refused(b"a:hunter2\nb;{ARGON2ID}hunter2")))


class AnyFileTests(SynchronousTestCase):
    @given(st.binary(max_size=60))
    def test_any_octets(self, octets: bytes) -> None:
        self.read(octets)

    @given(
        st.lists(
            st.sampled_from(PIECES),
            max_size=12,
        )
    )
    def test_any_pieces(self, pieces: list[str]) -> None:
        self.read("".join(pieces).encode())

    def read(self, octets: bytes) -> None:
        """Users with IDs of their lines, or a refusal; nothing else."""
        try:
            users = read_users(octets, ";")
        except UsersRefused as refused:
            self.assertTrue(refused.problems)
        else:
            lines = octets.decode("utf-8-sig").split("\n")
            for user in users.in_order:
                self.assertTrue(lines[user.id - 1].startswith(user.name + ";"))


class AuthFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(ORIGINAL)
        self.file = AuthFile(self.path, ";")

    def test_reload(self) -> None:
        self.file.load()
        self.path.write_bytes(b"#deleted\nusername2;other\n")
        self.file.load()
        self.assertIsNone(self.successResultOf(self.found("username1")))
        self.assertEqual(self.file.users.in_order[0].id, 2)

    def test_a_refused_file_changes_nothing(self) -> None:
        self.file.load()
        self.path.write_bytes(b"nonsense")
        self.assertRaises(UsersRefused, self.file.load)
        self.path.unlink()
        with self.assertRaises(UsersRefused) as raised:
            self.file.load()
        self.assertEqual(raised.exception.problems, ("No such file or directory",))
        self.assertEqual(len(self.file.users.in_order), 3)

    def test_a_stand_in_is_the_same_each_time(self) -> None:
        self.assertIsNone(self.file.stand_in(7))
        self.file.load()
        self.assertIs(self.file.stand_in(7), self.file.users.in_order[1].password)

    def found(self, name: str) -> Deferred[User | None]:
        return Deferred.fromCoroutine(self.file.find(account_key(name)))
