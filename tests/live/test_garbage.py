# SPDX-License-Identifier: GPL-3.0-or-later
"""
Octets that are nobody's protocol, on every port and socket of the demo.

No process ends or grows, what was sent is not in a log, and a mail program is served all the time.
What is sent is drawn from a seed that is printed; PLUTO_TW_SEED gives another.
"""

import contextlib
import os
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pluto_tw.admin.demo.plan import NODES, Plan
from tests.live.demo import REGIONS, DemoCase
from tests.live.mailbox import message

SEED = int(os.environ.get("PLUTO_TW_SEED", "1"))

#: What a process may grow by: pages that are touched for the first time, and no more.
GROWTH_KIB_MAX = 30 * 1024

#: A secret that a mail program sent to the wrong port.
SECRET = b"correct-horse-battery"

#: Each send, and each wait for an end: who waits for more is left alone.
SECONDS_MAX = 0.5

#: Connections that send at a time.
AT_A_TIME = 16

#: Connections that say nothing, to each port.
SILENT = 20


def payloads(chance: random.Random) -> Iterator[bytes]:
    """What is sent: protocols that are spoken elsewhere, beginnings, noise, and too much."""
    yield b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + SECRET + b"\r\n\r\n"
    yield b"a LOGIN user1 " + SECRET + b"\r\n" * 1000
    yield b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\na LOGIN user1 " + SECRET + b"\r\n"
    # PROXY version 2 that says it has 65,535 octets, and one that has none.
    yield b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + chance.randbytes(2000)
    yield b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x00" + SECRET
    # A TLS record with a ClientHello that says more than there is, and one of no known type.
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(300)
    yield b"\xff\x03\x03\x00\x10" + chance.randbytes(16)
    yield b"{" * 10_000
    yield b"A" * (1 << 20)
    yield b"\0" * 70_000
    for _ in range(5):
        yield chance.randbytes(4096)


class GarbageTests(DemoCase):
    def places(self) -> list[int | str]:
        """Every port of a node, and every UNIX socket."""
        ports = [
            port
            for port, what in Plan(self.demo.directory, self.demo.base).ports().items()
            if "relay" not in what
        ]
        sockets = [str(path) for path in self.demo.directory.rglob("*") if path.is_socket()]
        self.assertGreater(len(sockets), len(NODES) - 1)
        return [*ports, *sockets]

    def connect(self, place: int | str) -> socket.socket:
        if isinstance(place, int):
            return socket.create_connection(("127.0.0.1", place), SECONDS_MAX)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS_MAX)
        connection.connect(place)
        return connection

    def send(self, place: int | str, octets: bytes) -> None:
        """Sends it, and reads what comes until our side is closed too."""
        with contextlib.suppress(OSError), self.connect(place) as connection:
            connection.sendall(octets)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def sending(self, places: list[int | str], chance: random.Random) -> Iterator[None]:
        """Sends all to all, some at a time; gives the turn back now and then."""
        whole = [(place, octets) for octets in payloads(chance) for place in places]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for at, _ in enumerate(pool.map(self.send, *zip(*whole, strict=True))):
                if at % len(places) == 0:
                    yield

    def resident_kib(self, node: str) -> int:
        status = Path(f"/proc/{self.demo.pid(node)}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1])

    def test_nothing_comes_of_it(self) -> None:
        print(f"seed {SEED}")
        chance = random.Random(SEED)
        clients = {region: self.client(region, "user8") for region in REGIONS}
        places = self.places()
        # Once, so that what is read and made at the first time is there.
        for _ in self.sending(places, chance):
            pass
        pids = {node: self.demo.pid(node) for node in NODES}
        before = {node: self.resident_kib(node) for node in NODES}

        with contextlib.ExitStack() as silent:
            for place in places * SILENT:
                with contextlib.suppress(OSError):
                    silent.enter_context(self.connect(place))
            served = 0
            for _ in self.sending(places, chance):
                for region, client in clients.items():
                    client.append("INBOX", message(f"{region}-{served}"))
                served += 1
        grown = {node: self.resident_kib(node) - before[node] for node in NODES}
        self.assertEqual({node: kib for node, kib in grown.items() if kib > GROWTH_KIB_MAX}, {})
        self.assertEqual({node: self.demo.pid(node) for node in NODES}, pids, "a node has ended")

        for region, client in clients.items():
            client.select_folder("INBOX")
            own = client.search(["SUBJECT", f"{region}-"])
            self.assertEqual(len(own), served)
        for log in (self.demo.directory / "log").iterdir():
            octets = log.read_bytes()
            self.assertNotIn(SECRET, octets, log.name)
            self.assertNotIn(b'"event":"fault"', octets.replace(b'": "', b'":"'), log.name)
