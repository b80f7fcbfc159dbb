# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto demo`: a cluster of two regions on one machine, and plugs that one may pull.

`run` stays in the foreground: it makes what is missing, starts all nodes as processes, carries what
they send each other between regions over a relay, and stops them at the end. The other commands
tell the one that runs. Everything is in `DEMO_DIR`, and mail stays there.
"""

import argparse
import os
import signal
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TextIO

from pluto_tw.admin import authority
from pluto_tw.admin.configured import placed_by, root_by
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.pairs import Keeper
from pluto_tw.admin.places import DEMO, demo_directory, node_files, public_files
from pluto_tw.admin.public_command import HOSTS, care_for_public
from pluto_tw.admin.root_pair import care_for_root

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands
    from pluto_tw.admin.demo.plan import Plan

PORT_BASE: Final = 10_000

#: What ends a demo in order: Ctrl-C, a supervisor's word, a terminal that is closed.
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What is told to a demo that runs: words behind the command, and what it does.
TOLD: Final = (
    ("cut", "END", "*", "pulls the plug between two places or nodes, or of one, or of all"),
    ("heal", "END", "*", "puts it back, and takes delays and throttles off"),
    ("delay", "WORD", "+", "delays what goes between them each way: eu us 80ms"),
    ("throttle", "WORD", "+", "lets so many octets a second through: eu us 100000"),
    ("kill", "NODE", 1, "ends a node at once, as a power cut would; it stays down"),
    ("start", "NODE", 1, "starts it again"),
    ("status", "", 0, "tells which nodes serve, and how the links are"),
)


def add_parser(commands: "Commands") -> None:
    """Adds `demo` and what is below it."""
    demo = commands.add_parser(
        "demo",
        help="run two regions on this machine, and pull plugs",
        description=(
            "Runs two regions with a distributor and a worker each, and one storage. DEMO_DIR "
            f"(./{DEMO}) has all files, DEMO_PORT_BASE ({PORT_BASE}) is added to all ports, "
            "DEMO_RESTART=0 leaves nodes down that die."
        ),
    )
    below = demo.add_subparsers(required=True, metavar="command", title="commands")
    text = "starts all and stays, until Ctrl-C"
    running = below.add_parser("run", help=text, description=text.capitalize() + ".")
    running.set_defaults(run=run)
    for name, metavar, count, told in TOLD:
        parser = below.add_parser(name, help=told, description=told.capitalize() + ".")
        if count:
            parser.add_argument("words", metavar=metavar, nargs=count)
        parser.set_defaults(run=partial(_tell, name))


def _tell(name: str, arguments: argparse.Namespace, out: TextIO) -> int:
    from pluto_tw.admin.demo.control import tell

    out.write(tell(demo_directory(), [name, *getattr(arguments, "words", [])]) + "\n")
    return 0


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Returns when it was told to stop, and all nodes have ended."""
    from pluto_tw.admin.demo.claim import check_ports, claim
    from pluto_tw.admin.demo.plan import OFFSET_MAX, Plan

    base = _number("DEMO_PORT_BASE", PORT_BASE)
    if not 0 <= base <= 65535 - OFFSET_MAX:
        raise CommandFailed(f"DEMO_PORT_BASE: expected 0 to {65535 - OFFSET_MAX}: {base}")
    plan = Plan(demo_directory(), base)
    with claim(plan.directory):
        check_ports(plan)
        _prepare(plan)
        _run(plan, os.environ.get("DEMO_RESTART") != "0", out)
    return 0


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()):
        raise CommandFailed(f"{name}: expected a number: {text!r}")
    return int(text)


def _prepare(plan: "Plan") -> None:
    """Makes what is missing: directories, configurations, users, certificates."""
    from pluto_tw.admin.demo.plan import USERS

    root = plan.directory
    try:
        for name in ("log", "certs", "eu", "us", "storage"):
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, text in plan.configs().items():
            path.write_text(text, encoding="utf-8")
        users = root / "users.txt"
        if not users.exists():
            users.touch(mode=0o600)
            users.write_text("".join(f"{name};{password}\n" for name, password in USERS))
        now = datetime.now(UTC)
        configs = list(plan.configs())
        trusted = root_by(configs)
        assert trusted is not None, "the configurations name it"
        found = care_for_root(trusted, now, lambda line: None, renew=True, make=True)
        keeper = Keeper(
            found.certificate, found.authority, now, authority.NODE_DAYS, renew=True, force=False
        )
        for placed in placed_by(configs):
            keeper.care(placed.files or node_files(placed.node, root / "certs"), placed.node)
        public = public_files(root / "certs")
        care_for_public(public, list(HOSTS), now, authority.PUBLIC_DAYS, force=False)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None


def _run(plan: "Plan", restarts: bool, out: TextIO) -> None:
    from twisted.internet import reactor as installed

    from pluto_tw.admin.demo.control import SOCKET, Control, ControlFactory
    from pluto_tw.admin.demo.links import Links
    from pluto_tw.admin.demo.plan import NODES, PLACES
    from pluto_tw.admin.demo.relay import Relay
    from pluto_tw.admin.demo.supervisor import Supervisor

    reactor: Any = installed
    links = Links(PLACES, [(way.source, way.target) for way in plan.ways], reactor.seconds)
    relays = []
    for way in plan.ways:
        link = links.of(way.source, way.target)
        relay = Relay(reactor, link, way.source, way.target, way.to)
        reactor.listenTCP(way.port, relay, interface="127.0.0.1")
        relays.append(relay)
    supervisor = Supervisor(reactor, plan, NODES, restarts, partial(_welcome, plan, out))
    control = plan.directory / SOCKET
    control.unlink(missing_ok=True)
    place = os.open(control.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # By the directory's descriptor, since the kernel takes only short names of sockets.
    reactor.listenUNIX(
        f"/proc/self/fd/{place}/{control.name}",
        ControlFactory(Control(links, supervisor)),
        mode=0o600,
    )

    def stop(*_: object) -> None:
        reactor.callFromThread(end)

    def end() -> None:
        for relay in relays:
            relay.stop()
        supervisor.stop().addBoth(lambda _: reactor.stop())
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    def begin() -> None:
        for number in STOPPING:
            signal.signal(number, stop)
        out.write(f"pluto: {len(NODES)} nodes start; their logs are in {plan.directory}/log\n")
        out.flush()
        supervisor.start()

    reactor.callWhenRunning(begin)
    reactor.run()
    control.unlink(missing_ok=True)
    os.close(place)


def _welcome(plan: "Plan", out: TextIO) -> None:
    from pluto_tw.admin.demo.plan import MAIL_OFFSETS

    ports = {region: [plan.base + o for o in both] for region, both in MAIL_OFFSETS.items()}
    eu, us = ports["eu"], ports["us"]
    out.write(
        f"pluto: ready: eu on 127.0.0.1:{eu[0]} (TLS) and :{eu[1]} (STARTTLS), "
        f"us on :{us[0]} and :{us[1]}\n"
        "Log in at either as user1 to user10 with secret1 to secret10, for example:\n"
        f"  curl -k -u user1:secret1 imaps://127.0.0.1:{eu[0]}/INBOX -X 'STATUS INBOX (MESSAGES)'\n"
        "Pull a plug and put it back: pluto demo cut eu us; pluto demo heal; "
        "pluto demo kill eu-worker-1; pluto demo start eu-worker-1\n"
        "Ctrl-C stops everything; mail stays.\n"
    )
    out.flush()
