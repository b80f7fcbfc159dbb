# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that the configuration names, read and looked at before they are used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pluto_tw.net.tls import KeyPair
from pluto_tw.node.problems import Problems

#: Programs that renew certificates do so a month before the end; a week later they have failed.
EXPIRY_WARNED: Final = timedelta(days=21)


def read_pair(problems: Problems, certificates: Path, key: Path, now: float) -> KeyPair | None:
    """
    The pair in the files *certificates* and *key*; None and a problem if it cannot be used.

    One that is not valid at *now*, POSIX seconds, is used all the same, since clients that ignore
    it are better off than without any, and is warned of.
    """
    try:
        pair = KeyPair.from_files(certificates, key)
    except OSError as error:
        problems.unusable(error.filename, [error.strerror or str(error)])
        return None
    except ValueError as error:
        problems.errors.append(str(error))
        return None
    for warning in validity(pair, now):
        problems.warnings.append(f"{certificates}: {warning}")
    return pair


def validity(pair: KeyPair, now: float) -> list[str]:
    """What an operator should know of the time in which *pair* is valid."""
    time = datetime.fromtimestamp(now, UTC)
    begin, end = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
    if time < begin:
        return [f"the certificate is not valid before {begin:%Y-%m-%d %H:%M} UTC"]
    if time > end:
        return [f"the certificate has expired at {end:%Y-%m-%d %H:%M} UTC"]
    if time > end - EXPIRY_WARNED:
        return [f"the certificate expires at {end:%Y-%m-%d %H:%M} UTC"]
    return []
