# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.dots import make_dot
from pluto_tw.crdt.ops import (
    Add,
    Annotate,
    Bn,
    Body,
    Cl,
    Del,
    Ep,
    Exp,
    FlagChange,
    MemberAdd,
    MemberRemove,
    Message,
    Mk,
    Mv,
    Op,
    Ren,
    Rv,
    St,
    Sub,
)
from pluto_tw.crdt.pids import birth_pid
from pluto_tw.crdt.validate import check_body, check_vector
from tests.crdt.strategies import ops

_PID = birth_pid(make_dot(0, 1), 0)
_FINE = Message(b"hash", 1, 0, 0)

#: One fault each.
_WRONG: tuple[Body, ...] = (
    Mk(0, "N"),
    Mk(2**32, "N"),
    Mk(1, ""),
    Mk(1, "x" * 1001),
    Mk(1, "N", ("",)),
    Mk(1, "N", ("\\Sent",) * 17),
    Rv(-1, 5),
    Rv(0, 0),
    Rv(0, 5, False, -1),
    Ren(()),
    Ren(((0, "N"),)),
    Ren(((64, "N"), (64, "M"))),
    Ren(((64, ""),)),
    Del(()),
    Del((0,)),
    Add(0, ()),
    Add(2**63, (_FINE,)),
    Add(0, (Message(b"", 1, 0, 0),)),
    Add(0, (Message(b"x" * 65, 1, 0, 0),)),
    Add(0, (Message(b"hash", -1, 0, 0),)),
    Add(0, (Message(b"hash", 1, 2**62, 0),)),
    Add(0, (Message(b"hash", 1, 0, 1440),)),
    Add(0, (Message(b"hash", 1, 0, 0, ("a", "A")),)),
    Add(0, (Message(b"hash", 1, 0, 0, ("é",)),)),
    Add(0, (Message(b"hash", 1, 0, 0, (), b"email"),)),
    # An EMAILID is what an APPEND made.
    Add(0, (Message(b"hash", 1, 0, 0, (), b"M" + bytes(15)),)),
    Exp(()),
    Exp((_PID, _PID)),
    Mv(0, (), ()),
    Mv(0, (_PID,), (("",),)),
    St((), True),
    St((FlagChange("", True, (_PID,)),), True),
    St((FlagChange("a", True, ()),), True),
    Cl(0, 0, 32, (_PID,), (0,)),
    Cl(0, 0, 32, (_PID,), (2**32,)),
    Cl(0, 0, 2**31, (_PID,), (1,)),
    Cl(0, -1, 32, (_PID,), (1,)),
    Bn(0, 0, 0, (_PID,), (1,)),
    Bn(0, 0, 5, (_PID,), (32 << 32,)),
    Sub("", True),
    Annotate(-2, "/private/x", None),
    Annotate(0, "", None),
    Annotate(0, "/private/x", b"x" * (128 * 1024 + 1)),
    Ep(0),
    Ep(2**31),
    MemberAdd(32, b"id", "N"),
    MemberAdd(0, b"", "N"),
    MemberRemove(-1, False),
)


class BodyTests(SynchronousTestCase):
    def test_what_no_replica_makes_is_refused(self) -> None:
        for body in _WRONG:
            with self.assertRaises(ValueError, msg=repr(body)):
                check_body(body)

    @given(ops())
    def test_what_replicas_make_is_taken(self, op: Op) -> None:
        check_body(op.body)
        check_vector(op.vector)

    def test_vectors_have_one_form(self) -> None:
        for vector in ((1, 0), (0,), (-1, 2), (2**58,), (1,) * 33):
            with self.assertRaises(ValueError):
                check_vector(vector)
