# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept passwords: samples that other programs made, and entries that are refused."""

import base64
import hashlib

import argon2
from argon2 import PasswordHasher as Hasher
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.passwords import hash_password, password_forms, read_password
from pluto_tw.mail.errors import No

#: The password `secret`, as the reference implementation of Argon2, `openssl passwd -6`, libxcrypt,
#: and by hand.
SECRET = {
    "ARGON2ID": (
        "{ARGON2ID}$argon2id$v=19$m=256,t=1,p=1$c29tZXNhbHQ"
        "$0YvBN0Sc/YbmfJzljfOHMRSJX/6JRQ0m/NBs2g2uhzs"
    ),
    "SHA512-CRYPT": (
        "{SHA512-CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT"
        "0Y77vwPZN.Pq.H91p5hVO1"
    ),
    "BLF-CRYPT": "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "SSHA512": "{SSHA512}"
    + base64.b64encode(hashlib.sha512(b"secretsalt").digest() + b"salt").decode("ascii"),
    "PLAIN": "{PLAIN}secret",
}

#: RFC 7677 §3: the password is `pencil`. StoredKey and ServerKey follow from the example.
PENCIL = (
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


class ReadPasswordTests(SynchronousTestCase):
    def test_samples_of_each_scheme(self) -> None:
        for scheme, text in SECRET.items():
            password = read_password(text)
            self.assertEqual((password.scheme, password.text), (scheme, text))
            self.assertTrue(password.matches(b"secret"), scheme)
            for wrong in (b"", b"Secret", b"secret ", b"secret\0", b"\xff"):
                self.assertFalse(password.matches(wrong), (scheme, wrong))

    def test_scram_example(self) -> None:
        password = read_password(PENCIL)
        self.assertTrue(password.matches(b"pencil"))
        self.assertFalse(password.matches(b"pen"))

    def test_without_a_scheme_it_is_the_password(self) -> None:
        for text in ("secret", "{", "{}x", "a{SSHA512}", "{not a scheme}"):
            password = read_password(text)
            self.assertEqual(password.scheme, "PLAIN")
            self.assertTrue(password.matches(text.encode("utf-8")))

    def test_schemes_in_any_case(self) -> None:
        self.assertTrue(read_password("{plain}{PLAIN}").matches(b"{PLAIN}"))

    def test_an_unknown_scheme_is_refused(self) -> None:
        """As a password in the clear it would lock its user out."""
        with self.assertRaisesRegex(ValueError, r"^\{MD5\} is no scheme"):
            read_password("{MD5}abcdef")

    def test_malformed_entries_are_refused_without_telling_them(self) -> None:
        for text in (
            "{PLAIN}",
            "{ARGON2ID}hunter2",
            "{ARGON2ID}$argon2i$v=19$m=256,t=1,p=1$c29tZXNhbHQ$hRnCNYhHPv0B8Fuw9lZ3xw",
            "{SHA512-CRYPT}hunter2",
            "{SHA512-CRYPT}$5$saltsalt$hunter2",
            "{BLF-CRYPT}$2y$04$hunter2",
            "{SSHA512}hunter2",
            "{SSHA512}" + base64.b64encode(bytes(64)).decode("ascii"),
            "{SHA512}hunter2",
            "{SCRAM-SHA-256}hunter2",
            "{SCRAM-SHA-256}0,AAAA,AAAA,AAAA",
            "{SCRAM-SHA-256}é,AAAA,AAAA,AAAA",
        ):
            with self.assertRaisesRegex(ValueError, "is not of its form$") as raised:
                read_password(text)
            self.assertNotIn("hunter2", str(raised.exception))

    def test_entries_that_cost_too_much_are_refused(self) -> None:
        """One entry must not stop all logins."""
        for text in (
            SECRET["ARGON2ID"].replace("m=256", "m=4194304"),
            SECRET["ARGON2ID"].replace("t=1", "t=1000"),
            SECRET["SHA512-CRYPT"].replace("$6$", "$6$rounds=999999999$"),
            SECRET["BLF-CRYPT"].replace("$04$", "$31$"),
            PENCIL.replace("4096", "999999999"),
        ):
            with self.assertRaisesRegex(ValueError, "too costly"):
                read_password(text)

    def test_bcrypt_reads_72_octets(self) -> None:
        """As all that made such hashes did; the library by itself refuses longer ones."""
        salt = "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu"
        password = read_password(salt + "bzadhGtS2zEF.gu0yd0opP6cVzb.e0i")
        self.assertTrue(password.matches(b"x" * 80))
        self.assertFalse(password.matches(b"x" * 71))

    def test_want_of_memory_is_no_wrong_password(self) -> None:
        def verify(*arguments: object) -> bool:
            raise argon2.exceptions.VerificationError("Memory allocation error")

        self.patch(argon2.low_level, "verify_secret", verify)
        with self.assertRaises(No):
            read_password(SECRET["ARGON2ID"]).matches(b"secret")

    def test_hashes_of_the_original_have_no_salt(self) -> None:
        digest = base64.b64encode(hashlib.sha512(b"secret").digest()).decode("ascii")
        password = read_password("{SHA512}" + digest)
        self.assertTrue(password.matches(b"secret"))
        self.assertFalse(password.matches(b"Secret"))

    def test_new_passwords_are_hashed_in_the_form_that_they_are_checked_in(self) -> None:
        self.patch(argon2, "PasswordHasher", lambda: Hasher(time_cost=1, memory_cost=64))
        password = read_password(hash_password("e\u0301".encode()))
        self.assertEqual(password.scheme, "ARGON2ID")
        self.assertTrue(password.matches("é".encode()))

    def test_shown_without_itself(self) -> None:
        self.assertEqual(repr(read_password("hunter2")), "<a password as {PLAIN}>")


class PasswordFormsTests(SynchronousTestCase):
    def test_ascii_has_one_form(self) -> None:
        self.assertEqual(password_forms(b"secret "), (b"secret ",))

    def test_accents_and_spaces_have_the_form_of_opaque_strings_too(self) -> None:
        """RFC 8265 §4.2.2: non-ASCII spaces to U+0020, then NFC; case is kept."""
        sent = "E\u0301\u00a0x".encode()
        self.assertEqual(password_forms(sent), (sent, "É x".encode()))
        self.assertEqual(password_forms("É x".encode()), ("É x".encode(),))

    def test_what_is_no_text_stays_as_it_is(self) -> None:
        self.assertEqual(password_forms(b"\xe9"), (b"\xe9",))
