# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto test-public`: a certificate for mail programs that vouches for itself, for tests."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from pluto_tw.admin import authority, pairs
from pluto_tw.admin.arguments import add_days
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.nodes import hosts_of
from pluto_tw.admin.pairs import Files
from pluto_tw.admin.places import DIRECTORY, public_files
from pluto_tw.net.tls import KeyPair

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands

#: As the original's `make test-public`.
HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def add_parser(commands: "Commands") -> None:
    """Adds `test-public`."""
    parser = commands.add_parser(
        "test-public",
        help="make a certificate for mail programs that vouches for itself, for tests",
        description=(
            "Makes a key, and a certificate for localhost that vouches for itself, as a "
            "distributor shows it to mail programs. For tests: real ones come from an authority "
            "that mail programs know. A valid one that is there is left."
        ),
    )
    parser.add_argument(
        "--dir", metavar="DIR", type=Path, default=DIRECTORY, help="where to (default: %(default)s)"
    )
    parser.add_argument(
        "--host",
        metavar="HOST",
        action="append",
        help="for this host, by name or number, instead of localhost; may be given more than once",
    )
    add_days(parser, authority.PUBLIC_DAYS)
    parser.add_argument("--force", action="store_true", help="also in place of a valid one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Makes the pair, unless there is one that is valid."""
    files = public_files(arguments.dir)
    try:
        hosts = hosts_of(arguments.host or list(HOSTS))
        if not hosts:
            raise ValueError("--host: expected at least one that is an address of its own")
        now = datetime.now(UTC)
        told = care_for_public(files, hosts, now, arguments.days, force=arguments.force)
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    out.write(f"{files.certificate}: {told}\n")
    return 0


def care_for_public(
    files: Files, hosts: Sequence[str], now: datetime, days: int, *, force: bool
) -> str:
    """
    Has a pair for *hosts* in *files*; what was done about it.

    ValueError if there is something that only *force* replaces; OSError.
    """
    if not force and (files.certificate.exists() or files.key.exists()):
        try:
            found = KeyPair.from_files(files.certificate, files.key).certificate
        except ValueError as error:
            raise ValueError(f"{error}: --force makes both anew") from None
        end = found.not_valid_after_utc
        if end > now:
            return f"kept: valid until {end:%Y-%m-%d}"
        if found.issuer != found.subject:
            # Somebody's real one, which only its own authority renews.
            raise ValueError(f"{files.certificate}: not made by this command: --force replaces it")
    key = authority.new_key()
    certificate = authority.self_signed(hosts, key, now, days)
    pairs.write_key(files.key, key)
    pairs.write_certificate(files.certificate, certificate)
    return f"made for {', '.join(hosts)}: valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
