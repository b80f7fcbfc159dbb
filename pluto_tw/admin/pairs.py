# SPDX-License-Identifier: GPL-3.0-or-later
"""
Pairs of a certificate and its key in files: what is there, and what may be done about it.

The rules: what is missing is made; a certificate that ends soon, has ended, or lacks a name is
made anew for the same key, if told to *renew*; anything else that is there is left, whatever it is,
unless told to *force*. A key is never changed but by force, so that renewing is the change of one
file, and a node that reads the pair in between finds two that fit.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final, assert_never

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pluto_tw.admin import authority, private_files
from pluto_tw.admin.authority import Authority
from pluto_tw.admin.nodes import Node
from pluto_tw.net.tls import KeyPair, PrivateKey

#: A monthly job meets every certificate before nodes begin to warn, 30 days before the end.
RENEWED_BEFORE: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a pair lies."""

    certificate: Path
    key: Path


class State(Enum):
    """What is in the files of a pair."""

    MISSING = "neither certificate nor key is there"
    KEY_ALONE = "there is a key, and no certificate"
    #: It serves, and does not have to be touched.
    GOOD = "good"
    #: It serves, or did; a certificate for the same key would be better.
    AGED = "aged"
    #: Somebody has to look at it.
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Found:
    """The *state* of a pair; *text* says more where it is AGED or WRONG."""

    state: State
    text: str = ""
    key: PrivateKey | None = None
    end: datetime | None = None


class Deed(Enum):
    """What was done about a pair."""

    MADE = "made"
    RENEWED = "renewed"
    REPLACED = "replaced"
    KEPT = "kept"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a pair. *text* is for people; it needs them if the deed is LEFT."""

    deed: Deed
    text: str


def about_to_end(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether less than a third of its time is left, and less than `RENEWED_BEFORE`."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now < min(RENEWED_BEFORE, (end - begin) / 3)


def look(files: Files, node: Node, root: x509.Certificate, now: datetime) -> Found:
    """What is in *files*, for a certificate of *node* that *root* has signed. OSError as it is."""
    here, key_here = files.certificate.exists(), files.key.exists()
    if not here and not key_here:
        return Found(State.MISSING)
    if not key_here:
        return Found(State.WRONG, f"{files.key} is missing")
    if not here:
        return _key_alone(files.key)
    try:
        pair = KeyPair.from_files(files.certificate, files.key)
    except ValueError as error:
        return Found(State.WRONG, str(error))
    certificate = pair.certificate
    end = certificate.not_valid_after_utc
    if not authority.has_signed(root, certificate):
        return Found(State.WRONG, "another authority has signed it", pair.key, end)
    reasons = [f"it does not name {name}" for name in authority.lacking(certificate, node)]
    if end <= now:
        reasons.append(f"it has expired on {end:%Y-%m-%d}")
    elif about_to_end(certificate, now):
        reasons.append(f"it ends on {end:%Y-%m-%d}")
    return Found(State.AGED if reasons else State.GOOD, "; ".join(reasons), pair.key, end)


class NoRootKey(Exception):
    """Something is to be signed, and the root's key is not there."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """
    Looks after pairs: what it makes is valid for *days* from *now*, signed by *authority*.

    *authority* is None where the root's key is kept elsewhere, which looking at pairs, by the
    certificate *root*, does not need.
    """

    root: x509.Certificate
    authority: Authority | None
    now: datetime
    days: int
    renew: bool
    force: bool

    def care(self, files: Files, node: Node) -> Outcome:
        """
        Does what is to be done about the pair of *node* in *files*.

        Raises OSError, and `NoRootKey` if something would have to be signed and cannot be.
        """
        found = look(files, node, self.root, self.now)
        if self.force and found.state is not State.MISSING:
            return self._make(files, node, Deed.REPLACED)
        match found.state:
            case State.MISSING:
                return self._make(files, node, Deed.MADE)
            case State.KEY_ALONE:
                return self._sign(files, node, found, Deed.MADE)
            case State.GOOD:
                return Outcome(Deed.KEPT, f"valid until {found.end:%Y-%m-%d}")
            case State.AGED:
                if self.renew:
                    return self._sign(files, node, found, Deed.RENEWED)
                text = f"{found.text}: --renew makes a new one for the same key"
                return Outcome(Deed.LEFT, text)
            case State.WRONG:
                return Outcome(Deed.LEFT, f"{found.text}: --force makes key and certificate anew")
            case _:
                assert_never(found.state)

    def _make(self, files: Files, node: Node, deed: Deed) -> Outcome:
        key = authority.new_key()
        certificate = self._issue(node, key)
        # The key first: if this ends in between, the next run finds what it can tell of.
        write_key(files.key, key)
        return _write(files, certificate, deed)

    def _sign(self, files: Files, node: Node, found: Found, deed: Deed) -> Outcome:
        assert found.key is not None, "its state says that it was read"
        return _write(files, self._issue(node, found.key), deed)

    def _issue(self, node: Node, key: PrivateKey) -> x509.Certificate:
        if self.authority is None:
            raise NoRootKey
        return self.authority.issue(node, key.public_key(), self.now, self.days)


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """Puts *certificate* into the file *path*, in PEM form."""
    private_files.replace(path, certificate.public_bytes(Encoding.PEM), private_files.PUBLIC)


def write_key(path: Path, key: PrivateKey) -> None:
    """Puts *key* into the file *path*, in PEM form, for its owner alone."""
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private_files.replace(path, octets, private_files.PRIVATE)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may read or write the file *path*."""
    return path.stat().st_mode & 0o077 == 0


def _key_alone(path: Path) -> Found:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        return Found(State.WRONG, f"{path}: no private key in PEM form, or encrypted: {error}")
    if not isinstance(key, PrivateKey):
        return Found(State.WRONG, f"{path}: a node's key is RSA, ECDSA or Ed25519")
    return Found(State.KEY_ALONE, key=key)


def _write(files: Files, certificate: x509.Certificate, deed: Deed) -> Outcome:
    write_certificate(files.certificate, certificate)
    return Outcome(deed, f"valid until {certificate.not_valid_after_utc:%Y-%m-%d}")
