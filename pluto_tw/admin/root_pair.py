# SPDX-License-Identifier: GPL-3.0-or-later
"""
The authority's certificate and key in files: found, made where there is none, renewed if told.

Never replaced by another authority: every node would have to learn of it at the same moment. Its
key may be kept elsewhere while nothing has to be signed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pluto_tw.admin import pairs
from pluto_tw.admin.authority import Authority
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.pairs import Files
from pluto_tw.net.tls import KeyPair


@dataclass(frozen=True, slots=True)
class Root:
    """A *certificate*, the *authority* if its key is here, and whether all is well with both."""

    certificate: x509.Certificate
    authority: Authority | None
    is_well: bool


def care_for_root(
    files: Files, now: datetime, tell: Callable[[str], object], *, renew: bool, make: bool
) -> Root:
    """
    The authority in *files*; a new one where there is none and *make* says so.

    *tell* gets the lines of the report. Raises `CommandFailed`, ValueError and OSError.
    """
    if not files.certificate.exists():
        if not make or files.key.exists():
            raise CommandFailed(
                f"{files.certificate} is missing: bring the authority's certificate, or name "
                "neither --root-cert nor --root-key, nor keep a key there, for a new authority"
            )
        return _make(files, now, tell)
    if not files.key.exists():
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        tell(
            f"{files.certificate}: kept: its key {files.key} is not here, so nothing can be signed"
        )
        return Root(certificate, None, is_well=True)
    found = Authority.of(KeyPair.from_files(files.certificate, files.key))
    is_private = pairs.is_private(files.key)
    if not is_private:
        tell(f"{files.key}: left: others may read it: chmod 600")
    certificate = found.certificate
    if pairs.about_to_end(certificate, now):
        if not renew:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
            tell(f"{files.certificate}: left: it ends on {end}: --renew renews it")
            return Root(certificate, found, is_well=False)
        found = found.renewed(now)
        pairs.write_certificate(files.certificate, found.certificate)
        tell(f"{_told(files, 'renewed', found.certificate)}; copy it to every node")
        return Root(found.certificate, found, is_private)
    tell(_told(files, "kept", certificate))
    return Root(certificate, found, is_private)


def _make(files: Files, now: datetime, tell: Callable[[str], object]) -> Root:
    made = Authority.new(now)
    pairs.write_key(files.key, made.key)
    pairs.write_certificate(files.certificate, made.certificate)
    tell(_told(files, "made", made.certificate))
    return Root(made.certificate, made, is_well=True)


def _told(files: Files, deed: str, certificate: x509.Certificate) -> str:
    return f"{files.certificate}: {deed}: valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
