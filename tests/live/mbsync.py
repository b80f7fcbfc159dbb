# SPDX-License-Identifier: GPL-3.0-or-later
"""mbsync (isync), which many use to keep a Maildir equal to an account, as a person runs it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.live.process import PROCESS_SECONDS_MAX
from tests.live.server import CLIENT_SECONDS_MAX

#: Set where a missing program is a mistake, as in CI.
NOTHING_SKIPPED = bool(os.environ.get("PLUTO_TW_NOTHING_SKIPPED"))

_CONFIGURATION = """\
IMAPAccount worker
Host localhost
Port {port}
User {user}
Pass {password}
{tls}
CertificateFile {certificate}
SystemCertificates no
Timeout {timeout}

IMAPStore far
Account worker

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState {state}/
"""


class Mbsync:
    """A Maildir of *user* with INBOX and Archive, and what mbsync knows of it, in *directory*."""

    def __init__(self, directory: Path, user: str = "user1") -> None:
        """SkipTest if the program is not here."""
        found = shutil.which("mbsync")
        if found is None:
            assert not NOTHING_SKIPPED, "mbsync is missing: apt-get install isync"
            raise SkipTest("mbsync is missing: apt-get install isync")
        version = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
        # The option was renamed in 1.5.
        older = re.match(r"isync 1\.[0-4]\.", version) is not None
        self._program = found
        self._user = user
        self._tls = "SSLType IMAPS" if older else "TLSType IMAPS"
        self._config = directory / "mbsyncrc"
        self.maildir = directory / "maildir"
        self._state = directory / "state"
        self._state.mkdir(parents=True)
        for folder in ("INBOX", "Archive"):
            for part in ("cur", "new", "tmp"):
                (self.maildir / folder / part).mkdir(parents=True)

    def put(self, folder: str, number: int, flags: str = "") -> None:
        """A message `near NUMBER` into *folder*."""
        text = f"Subject: near {number}\nMessage-ID: <{number}@near>\n\n{'text ' * number}\n"
        path = self.maildir / folder / "cur" / f"{number}.near:2,{flags}"
        path.write_text(text, encoding="ascii")

    def messages(self, folder: str) -> list[Path]:
        """The files of all messages in *folder*."""
        return [
            path for part in ("cur", "new") for path in (self.maildir / folder / part).iterdir()
        ]

    def files(self) -> dict[str, int]:
        """Each message's file, and when it was changed last."""
        return {str(path): path.stat().st_mtime_ns for path in self.maildir.rglob("*:2,*")}

    def sync(self, port: int, certificate: Path) -> None:
        """Both ways with *port*. AssertionError unless it has no complaint."""
        self._config.write_text(
            _CONFIGURATION.format(
                port=port,
                user=self._user,
                password=self._user.replace("user", "secret"),
                tls=self._tls,
                certificate=certificate,
                timeout=int(CLIENT_SECONDS_MAX),
                maildir=self.maildir,
                state=self._state,
            )
        )
        done = subprocess.run(
            [self._program, "--config", str(self._config), "--all"],
            capture_output=True,
            text=True,
            timeout=PROCESS_SECONDS_MAX,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout


def flags_of(path: Path) -> str:
    """The flags in the name of a message's file."""
    return path.name.rpartition(":2,")[2]
