# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail programs that append without pause, and remember what they were told of each message."""

import contextlib
import random
import threading

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.live.demo import REGIONS, SECONDS_MAX, Demo, close
from tests.live.mailbox import message

#: Between a failed try and the next one, and between messages: a person's program does not spin.
PAUSE_SECONDS = 0.05


class Writer(threading.Thread):
    """
    Appends messages `NAME-0`, `NAME-1`, ... for *user*, first at *region*. When it loses its
    connection it logs in again at a region that *chance* picks, and repeats what was not answered.
    """

    def __init__(
        self, demo: Demo, name: str, user: str, region: str, chance: random.Random
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._demo = demo
        self._user = user
        self._region = region
        self._chance = chance
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        #: Messages that were answered by OK.
        self.acknowledged: list[str] = []
        #: Those that were sent more than once, since an answer never came.
        self.repeated: set[str] = set()
        #: Why connections ended.
        self.losses: list[str] = []
        self._client: IMAPClient | None = None

    @property
    def user(self) -> str:
        """Whose mail it writes."""
        return self._user

    def run(self) -> None:
        """Until `stop`; then what was begun has been answered."""
        number = 0
        while not self._stopping.is_set():
            self._append(f"{self.name}-{number}")
            number += 1
            self._stopping.wait(PAUSE_SECONDS)
        if self._client is not None:
            close(self._client)

    def wait_for(self, count: int) -> None:
        """Until *count* messages more were acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + count
            progressed = self._changed.wait_for(
                lambda: len(self.acknowledged) >= wanted, SECONDS_MAX
            )
        assert progressed, f"{self.name} cannot write: {self.losses[-3:]}"

    def stop(self) -> None:
        """Ends it, when its last message was answered."""
        self._stopping.set()
        self.join(SECONDS_MAX)
        assert not self.is_alive(), f"{self.name} cannot write: {self.losses[-3:]}"

    def _append(self, name: str) -> None:
        tried = False
        while True:
            try:
                client = self._client or self._log_in()
                if tried:
                    self.repeated.add(name)
                tried = True
                client.append("INBOX", message(name))
            except (IMAPClientError, OSError) as error:
                self._lost(error)
            else:
                with self._changed:
                    self.acknowledged.append(name)
                    self._changed.notify_all()
                return

    def _log_in(self) -> IMAPClient:
        client = self._demo.connect(self._region)
        self._client = client
        client.login(self._user, self._user.replace("user", "secret"))
        return client

    def _lost(self, error: Exception) -> None:
        self.losses.append(f"{self._region}: {error}")
        if self._client is not None:
            with contextlib.suppress(OSError):
                close(self._client)
        self._client = None
        self._region = self._chance.choice(REGIONS)
        self._stopping.wait(PAUSE_SECONDS)
