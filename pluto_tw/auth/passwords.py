# SPDX-License-Identifier: GPL-3.0-or-later
"""
How passwords are kept: one entry a user, its scheme in braces in front.

    {ARGON2ID}$argon2id$v=19$m=65536,t=3,p=4$salt$hash
    {SHA512-CRYPT}$6$rounds=5000$salt$hash
    {BLF-CRYPT}$2y$05$salt-and-hash
    {SSHA512}base64(SHA-512(password + salt) + salt)
    {SCRAM-SHA-256}iterations,base64(salt),base64(StoredKey),base64(ServerKey)
    {SHA512}base64(SHA-512(password)), as the original kept them: weak, for want of a salt
    {PLAIN}password, or the password without a scheme

The forms are those of Dovecot, so that its users can move in with their passwords. Hashes are
checked by kept libraries; what is written here is how an entry is read, and what it may cost.
`matches` takes up to a second of a thread: who calls it sees to where it runs.
"""

import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import argon2
import bcrypt
from passlib.hash import sha512_crypt

from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No

#: What each scheme may cost at most, so that one entry cannot stop all logins: a second or two.
ARGON2_KIBIBYTES_MAX: Final = 1024 * 1024
ARGON2_PASSES_MAX: Final = 50
SHA512_CRYPT_ROUNDS_MAX: Final = 1_000_000
BCRYPT_COST_MAX: Final = 15
SCRAM_ITERATIONS_MAX: Final = 5_000_000

#: bcrypt reads no more of a password. What made the hashes cut it there without a word.
BCRYPT_OCTETS: Final = 72

_SCHEME: Final = re.compile(r"\{([A-Za-z0-9.-]+)\}")
_BCRYPT: Final = re.compile(r"\$2[abxy]\$([0-9]{2})\$[./A-Za-z0-9]{53}")


class PasswordHash(Protocol):
    """A kept password, or what is left of it."""

    #: In upper case; `PLAIN` is the only one that keeps the password itself.
    scheme: str
    #: The entry as it is kept: equal entries are the same password.
    text: str

    def matches(self, password: bytes) -> bool:
        """
        Whether *password* is the one; it takes as long if it is not. Blocks.

        No(UNAVAILABLE) if that cannot be found out now.
        """


class _Entry:
    """An entry whose *check* was made from *text*."""

    __slots__ = ("_check", "scheme", "text")

    def __init__(self, scheme: str, text: str, check: Callable[[bytes], bool]) -> None:
        self.scheme = scheme
        self.text = text
        self._check = check

    def __repr__(self) -> str:
        return f"<a password as {{{self.scheme}}}>"

    def matches(self, password: bytes) -> bool:
        return self._check(password)


def read_password(text: str) -> PasswordHash:
    """
    The password that the entry *text* keeps.

    ValueError says what is wrong, without any of the entry but its scheme. What looks like a
    scheme but is none is refused: as a password it would lock its user out by surprise.
    """
    found = _SCHEME.match(text)
    if found is None:
        return _Entry("PLAIN", text, _plain(text))
    scheme = found[1].upper()
    make = _SCHEMES.get(scheme)
    if make is None:
        known = ", ".join(sorted(_SCHEMES))
        raise ValueError(
            f"{{{scheme}}} is no scheme of passwords known here; known are {known}. "
            "A password in the clear that begins so is written with {PLAIN} in front"
        )
    try:
        return _Entry(scheme, text, make(text[found.end() :]))
    except ValueError as error:
        # Libraries name what they were given; a hash does not belong into a log.
        reason = str(error) if isinstance(error, _Costly) else "not of its form"
        raise ValueError(f"the {{{scheme}}} entry is {reason}") from None


def password_forms(password: bytes) -> tuple[bytes, ...]:
    """
    The octets that *password*, as a client sent it, may have been hashed as.

    As it is; and where it is not ASCII, in the form of RFC 8265 §4.2 (OpaqueString), which took
    the place of SASLprep: spaces are U+0020, accents in NFC. Two keyboards send two forms.
    """
    if password.isascii():
        return (password,)
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return (password,)
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    prepared = unicodedata.normalize("NFC", spaced).encode("utf-8")
    return (password,) if prepared == password else (password, prepared)


class _Costly(ValueError):
    """The entry's parameters ask for more than we spend."""


def hash_password(password: bytes) -> str:
    """The entry for a new *password*: Argon2id of today's cost. Blocks a quarter of a second."""
    forms = password_forms(password)
    return "{ARGON2ID}" + argon2.PasswordHasher().hash(forms[-1])


def _limit(what: str, value: int, maximum: int) -> None:
    if value > maximum:
        raise _Costly(f"too costly: {what} is {value}, at most {maximum} is allowed")


def _plain(text: str) -> Callable[[bytes], bool]:
    if not text:
        raise ValueError("an empty password is none")
    kept = text.encode("utf-8")
    return lambda password: hmac.compare_digest(kept, password)


def _argon2id(text: str) -> Callable[[bytes], bool]:
    parameters = argon2.extract_parameters(text)
    if parameters.type is not argon2.Type.ID:
        raise ValueError("another variant of Argon2")
    _limit("m", parameters.memory_cost, ARGON2_KIBIBYTES_MAX)
    _limit("t", parameters.time_cost, ARGON2_PASSES_MAX)
    kept = text.encode("ascii")

    def check(password: bytes) -> bool:
        try:
            return argon2.low_level.verify_secret(kept, password, argon2.Type.ID)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except argon2.exceptions.VerificationError as error:
            # For want of memory; nobody is to be told that the password was wrong.
            raise No(UNAVAILABLE, "passwords cannot be checked now") from error

    return check


def _sha512_crypt(text: str) -> Callable[[bytes], bool]:
    _limit("rounds", sha512_crypt.from_string(text).rounds, SHA512_CRYPT_ROUNDS_MAX)

    def check(password: bytes) -> bool:
        # C's strings end at a NUL, so no password that was hashed has one.
        return b"\0" not in password and bool(sha512_crypt.verify(password, text))

    return check


def _blowfish_crypt(text: str) -> Callable[[bytes], bool]:
    found = _BCRYPT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    _limit("the cost", int(found[1]), BCRYPT_COST_MAX)
    kept = text.encode("ascii")

    def check(password: bytes) -> bool:
        return b"\0" not in password and bcrypt.checkpw(password[:BCRYPT_OCTETS], kept)

    return check


def _salted_sha512(text: str) -> Callable[[bytes], bool]:
    kept = _base64(text)
    digest, salt = kept[:64], kept[64:]
    if not salt:
        raise ValueError(text)
    return lambda password: hmac.compare_digest(digest, hashlib.sha512(password + salt).digest())


def _unsalted_sha512(text: str) -> Callable[[bytes], bool]:
    kept = _base64(text)
    if len(kept) != 64:
        raise ValueError(text)
    return lambda password: hmac.compare_digest(kept, hashlib.sha512(password).digest())


def _scram_sha256(text: str) -> Callable[[bytes], bool]:
    """RFC 5802 §3, RFC 7677; the password itself is checked, without an exchange."""
    count, *encoded = text.split(",")
    salt, stored_key, server_key = map(_base64, encoded)
    iterations = int(count)
    if iterations < 1 or not salt or len(stored_key) != 32 or len(server_key) != 32:
        raise ValueError(text)
    _limit("the number of iterations", iterations, SCRAM_ITERATIONS_MAX)

    def check(password: bytes) -> bool:
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return hmac.compare_digest(stored_key, hashlib.sha256(client_key).digest())

    return check


def _base64(text: str) -> bytes:
    return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)


_SCHEMES: Final[Mapping[str, Callable[[str], Callable[[bytes], bool]]]] = {
    "ARGON2ID": _argon2id,
    "BLF-CRYPT": _blowfish_crypt,
    "PLAIN": _plain,
    "SCRAM-SHA-256": _scram_sha256,
    "SHA512": _unsalted_sha512,
    "SHA512-CRYPT": _sha512_crypt,
    "SSHA512": _salted_sha512,
}
