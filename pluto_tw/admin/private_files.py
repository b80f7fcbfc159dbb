# SPDX-License-Identifier: GPL-3.0-or-later
"""
Files that are replaced as a whole, and whose octets nobody else can read in between.

A new file is written under another name beside the old one, with its final mode from its first
octet on, synced, and renamed. Who reads the name sees the old file or the new one.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

#: A private key's: its owner's alone.
PRIVATE: Final = 0o600

#: A certificate's: it is shown to everybody who connects.
PUBLIC: Final = 0o644

#: A directory that keys lie in.
PRIVATE_DIRECTORY: Final = 0o700


def make_directory(path: Path) -> None:
    """Makes the directory *path*, and those above it, for its owner alone; else leaves it."""
    path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)


def replace(path: Path, octets: bytes, mode: int) -> None:
    """
    Puts *octets* into the file *path*, durable on return; the directory is made if it is missing.

    The owner of a file that was there stays its owner, where we may give files away: a node that
    runs as somebody else could not read root's keys. OSError leaves all as it was.
    """
    make_directory(path.parent)
    # Made with mode 0600 and under a name that did not exist.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            _keep_owner(path, file.fileno())
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    _sync(path.parent)


def _keep_owner(path: Path, descriptor: int) -> None:
    if os.geteuid() != 0:
        return
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    os.fchown(descriptor, before.st_uid, before.st_gid)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
