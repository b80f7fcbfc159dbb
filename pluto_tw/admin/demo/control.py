# SPDX-License-Identifier: GPL-3.0-or-later
"""
How a running demo is told to cut, heal, delay, throttle, kill and start: a line each.

A line on a UNIX socket in the demo's directory has words in JSON; the answer is one line too, an
object with `text`, and `error` if it could not be done.
"""

import json
import os
import re
import socket
from pathlib import Path
from typing import Final

from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineOnlyReceiver

from pluto_tw.admin.demo.links import DELAY_SECONDS_MAX, RATE_MIN, Links
from pluto_tw.admin.demo.supervisor import Node, Supervisor
from pluto_tw.admin.failures import CommandFailed

SOCKET: Final = Path("run", "control")

#: An answer comes at once: nothing is waited for.
ANSWER_SECONDS_MAX: Final = 10.0

_ANSWER_OCTETS_MAX: Final = 64 * 1024
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s)")


class Control:
    """Does what *links* and *supervisor* are told."""

    def __init__(self, links: Links, supervisor: Supervisor) -> None:
        self._links = links
        self._supervisor = supervisor

    def do(self, words: list[str]) -> str:
        """What was done, for people. ValueError says what is wrong."""
        match words:
            case ["cut", *ends]:
                return self._change("cut", ends, cut=True)
            case ["heal", *ends]:
                return self._change("healed", ends, cut=False, delay=0.0, rate=0)
            case ["delay", *ends, duration]:
                seconds = read_duration(duration)
                return self._change(f"delayed by {duration} each way", ends, delay=seconds)
            case ["throttle", *ends, rate]:
                if not rate.isdecimal() or int(rate) < RATE_MIN:
                    raise ValueError(f"expected octets a second, {RATE_MIN} or more: {rate!r}")
                return self._change(f"throttled to {rate} octets/s", ends, rate=float(rate))
            case ["kill", name]:
                was = "was killed" if self._node(name).kill() else "is down, and stays so"
                return f"{name} {was}; start it with `pluto demo start {name}`"
            case ["start", name]:
                self._node(name)
                starts = self._supervisor.revive(name)
                return f"{name} is started" if starts else f"{name} runs already"
            case ["status"]:
                return self._status()
            case _:
                raise ValueError(f"not understood: {' '.join(words)}")

    def _change(
        self,
        what: str,
        ends: list[str],
        *,
        cut: bool | None = None,
        delay: float | None = None,
        rate: float | None = None,
    ) -> str:
        links = self._links.named(ends)
        for link in links:
            link.change(cut=cut, delay=delay, rate=rate)
        return f"{what}: " + ", ".join(" - ".join(link.ends) for link in links)

    def _node(self, name: str) -> Node:
        try:
            return self._supervisor.nodes[name]
        except KeyError:
            known = ", ".join(self._supervisor.nodes)
            raise ValueError(f"{name!r} is none of the nodes: {known}") from None

    def _status(self) -> str:
        lines = [
            f"{name}: {'serves' if node.is_up else 'starts' if node.pid else 'down'}"
            for name, node in self._supervisor.nodes.items()
        ]
        for link in self._links.all():
            state = "cut" if link.cut else "whole"
            slow = f", {link.delay * 1000:.0f} ms each way" if link.delay else ""
            slow += f", {link.rate:.0f} octets/s" if link.rate else ""
            lines.append(f"{link.ends[0]} - {link.ends[1]}: {state}{slow}")
        return "\n".join(lines)


def read_duration(text: str) -> float:
    """Seconds, of `80ms` or `1.5s`. ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a duration such as 80ms or 1.5s: {text!r}")
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
    if seconds > DELAY_SECONDS_MAX:
        raise ValueError(f"at most {DELAY_SECONDS_MAX:.0f}s: {text!r}")
    return seconds


class ControlFactory(ServerFactory):
    """Listens for who tells *control*."""

    noisy = False

    def __init__(self, control: Control) -> None:
        self.control = control

    def buildProtocol(self, addr: object) -> "_Connection":
        """One line, one answer."""
        return _Connection(self.control)


class _Connection(LineOnlyReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 4096

    def __init__(self, control: Control) -> None:
        self._control = control

    def lineReceived(self, line: bytes) -> None:
        try:
            words = json.loads(line)
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ValueError("expected a list of words")
            answer = {"text": self._control.do(words)}
        except ValueError as error:
            answer = {"error": str(error)}
        self.sendLine(json.dumps(answer).encode("utf-8"))


def tell(directory: Path, words: list[str]) -> str:
    """Tells the demo that runs in *directory*; its answer. Raises `CommandFailed`."""
    path = directory / SOCKET
    try:
        # By the directory's descriptor, since the kernel takes only short names of sockets.
        place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _nobody(directory, error) from None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(ANSWER_SECONDS_MAX)
            asking.connect(f"/proc/self/fd/{place}/{path.name}")
            asking.sendall(json.dumps(words).encode("utf-8") + b"\n")
            octets = b""
            while not octets.endswith(b"\n") and len(octets) < _ANSWER_OCTETS_MAX:
                some = asking.recv(_ANSWER_OCTETS_MAX)
                if not some:
                    break
                octets += some
        answer = json.loads(octets)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        # There was one, and it may have been killed before it could take its socket away.
        raise _nobody(directory, error) from None
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{directory}: the demo here does not answer ({error})") from None
    finally:
        os.close(place)
    if "error" in answer:
        raise CommandFailed(str(answer["error"]))
    return str(answer["text"])


def _nobody(directory: Path, error: OSError) -> CommandFailed:
    return CommandFailed(
        f"{directory}: no demo runs here ({error.strerror}): `make run` starts one, and DEMO_DIR "
        "names the directory of one that runs elsewhere"
    )
