# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the demo's nodes when they end, are killed, started and stopped."""

from pathlib import Path

from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.plan import NODES, Plan
from pluto_tw.admin.demo.supervisor import RESTART_SECONDS, Node, Supervisor

READY = b'{"event": "ready"}\n'


class Process:
    """The transport of a process that does nothing, until it is signalled."""

    pid = 4711

    def __init__(self, node: Node) -> None:
        self.node = node
        self.signals: list[str] = []
        self.runs = True

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def ends(self) -> None:
        self.runs = False
        self.node.processEnded(Failure(ProcessTerminated()))


class Processes(Clock):
    """A reactor that starts such processes."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Process] = []

    def spawnProcess(self, node: Node, *program: object) -> None:
        self.started.append(Process(node))
        node.makeConnection(self.started[-1])


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = Plan(Path(self.mktemp()).absolute(), 10_000)
        for name in ("run", "log"):
            (self.plan.directory / name).mkdir(parents=True)
        self.reactor = Processes()
        self.ready = 0

    def supervisor(self, *, restarts: bool) -> Supervisor:
        def ready() -> None:
            self.ready += 1

        supervisor = Supervisor(self.reactor, self.plan, NODES, restarts, ready)
        supervisor.start()
        self.addCleanup(self.end, supervisor)
        return supervisor

    def end(self, supervisor: Supervisor) -> None:
        stopped = supervisor.stop()
        for process in self.reactor.started:
            if process.runs:
                process.ends()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def pid_file(self, name: str) -> Path:
        return self.plan.directory / "run" / f"{name}.pid"

    def test_ready_is_told_once_when_all_serve(self) -> None:
        self.supervisor(restarts=True)
        for process in self.reactor.started:
            self.assertEqual(self.ready, 0)
            process.node.outReceived(READY[:9])
            process.node.outReceived(READY[9:])
        self.reactor.started[0].node.outReceived(READY)
        self.assertEqual(self.ready, 1)

    def test_a_node_that_dies_is_started_again_and_waits_longer_each_time(self) -> None:
        supervisor = self.supervisor(restarts=True)
        node = supervisor.nodes["storage"]
        for wait in (RESTART_SECONDS, 2 * RESTART_SECONDS):
            self.assertEqual(self.pid_file("storage").read_text(), "4711\n")
            self.reactor.started[-1 if wait > RESTART_SECONDS else 2].ends()
            self.assertFalse(self.pid_file("storage").exists())
            self.reactor.advance(wait * 0.9)
            self.assertIsNone(node.pid)
            self.reactor.advance(wait * 0.1)
            self.assertEqual(node.pid, 4711)

    def test_without_restarts_it_stays_down_until_it_is_started(self) -> None:
        supervisor = self.supervisor(restarts=False)
        self.reactor.started[0].ends()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(supervisor.revive("eu-worker-1"))
        self.assertFalse(supervisor.revive("eu-worker-1"))

    def test_one_that_is_killed_stays_down(self) -> None:
        supervisor = self.supervisor(restarts=True)
        node = supervisor.nodes["eu-worker-1"]
        self.assertTrue(node.kill())
        self.reactor.started[0].ends()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(node.kill())

    def test_one_that_is_started_while_it_is_killed_comes_back_when_it_has_ended(self) -> None:
        for restarts in (False, True):
            supervisor = self.supervisor(restarts=restarts)
            process = self.reactor.started[-len(NODES)]
            supervisor.nodes["eu-worker-1"].kill()
            self.assertTrue(supervisor.revive("eu-worker-1"))
            self.assertEqual(process.signals, ["KILL"])
            process.ends()
            self.assertEqual(supervisor.nodes["eu-worker-1"].pid, 4711)

    def test_a_stop_while_a_node_waits_to_be_started_again_leaves_it_down(self) -> None:
        supervisor = self.supervisor(restarts=True)
        self.reactor.started[0].ends()
        supervisor.nodes["eu-worker-1"].stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
