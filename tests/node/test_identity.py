# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a replica is, and the file that keeps it."""

import json
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.identity import (
    Former,
    Identity,
    IdentityRefused,
    Member,
    decode,
    encode,
    found,
    joining,
    read,
    write,
)

#: As docs/spec/identity.md shows it: format 1.
SAMPLE = b"""\
{
  "format": 1,
  "name": "eu-worker-1",
  "replica": "000102030405060708090a0b0c0d0e0f",
  "subnet": "subnet-1",
  "slot": 0,
  "shards": 4,
  "members": {
    "eu-worker-1": {
      "slot": 0,
      "replica": "000102030405060708090a0b0c0d0e0f"
    },
    "us-worker-1": {
      "slot": 1,
      "replica": ""
    }
  },
  "complete": true,
  "joined": true,
  "former": []
}
"""
IDENTITY = Identity(
    "eu-worker-1",
    bytes(range(16)).hex(),
    "subnet-1",
    0,
    4,
    {"eu-worker-1": Member(0, bytes(range(16)).hex()), "us-worker-1": Member(1)},
    complete=True,
)


class FoundTests(SynchronousTestCase):
    def test_slots_are_places_in_the_order_of_names(self) -> None:
        """All members find the same, whoever they are."""
        names = {"us-worker-1", "storage", "eu-worker-1"}
        for slot, name in enumerate(sorted(names)):
            own = found(name, "s", dict.fromkeys(names - {name}), 4, bytes)
            self.assertEqual(own.slot, slot)
            slots = {member: found.slot for member, found in own.members.items()}
            self.assertEqual(slots, {"eu-worker-1": 0, "storage": 1, "us-worker-1": 2})
            ids = {member for member, found in own.members.items() if found.replica}
            self.assertEqual(ids, {name})
            self.assertFalse(own.complete)

    def test_replica_is_random(self) -> None:
        self.assertEqual(found("a", "s", {}, 4, lambda n: b"\xab" * n).replica, "ab" * 16)


class JoiningTests(SynchronousTestCase):
    def test_slot_comes_with_admission_and_mail_later(self) -> None:
        """It serves when all has come, not before."""
        asking = joining("new", "s", 4, lambda n: b"\xab" * n)
        self.assertEqual((asking.slot, asking.joined), (None, False))
        self.assertEqual(decode(encode(asking)), asking)
        admitted = asking.admitted(3, {"old": Member(0, "01" * 16)}).completed()
        self.assertEqual(decode(encode(admitted)), admitted)
        self.assertEqual(dict(admitted.members)["new"], Member(3, "ab" * 16))
        self.assertFalse(admitted.joined)
        self.assertTrue(admitted.having_joined().joined)

    def test_who_was_removed_before_is_kept_apart(self) -> None:
        """A node that came back has its Name again: both are needed, by slot."""
        asking = joining("new", "s", 4, lambda n: b"\xab" * n)
        former = Former(1, "old", "02" * 16, 2)
        admitted = asking.admitted(3, {"old": Member(2, "01" * 16)}, [former])
        self.assertEqual(decode(encode(admitted)), admitted)
        self.assertEqual(admitted.former, (former,))

    def test_file_without_former_members_is_read(self) -> None:
        asking = joining("new", "s", 4, lambda n: b"\xab" * n)
        older = json.loads(encode(asking))
        del older["former"]
        self.assertEqual(decode(json.dumps(older).encode()), asking)

    def test_who_has_nothing_to_join_founds_under_the_id_it_asked_with(self) -> None:
        asking = joining("b", "s", 4, lambda n: b"\xab" * n)
        founding = asking.founding({"a": None})
        self.assertEqual((founding.slot, founding.replica), (1, "ab" * 16))
        self.assertTrue(founding.joined)
        self.assertFalse(founding.complete)

    def test_id_of_a_member_is_kept_when_it_is_met(self) -> None:
        known = IDENTITY.knowing(1, "ff" * 16)
        self.assertEqual(known.members["us-worker-1"], Member(1, "ff" * 16))
        self.assertEqual(known.members["eu-worker-1"], IDENTITY.members["eu-worker-1"])
        self.assertEqual(decode(encode(known)), known)


class FormTests(SynchronousTestCase):
    def test_sample_of_format_1(self) -> None:
        self.assertEqual(decode(SAMPLE), IDENTITY)
        self.assertEqual(encode(IDENTITY), SAMPLE)

    def test_what_is_no_identity_is_refused(self) -> None:
        for octets in (
            b"",
            b"[]",
            b"\xff",
            SAMPLE[:-5],
            SAMPLE.replace(b'"format": 1', b'"format": 2'),
            SAMPLE.replace(b'"slot": 0', b'"slot": 1', 1),
            SAMPLE.replace(b'"slot": 0', b'"slot": false'),
            SAMPLE.replace(b'"shards": 4', b'"shards": 0'),
            SAMPLE.replace(b"0001", b"01"),
            SAMPLE.replace(b'"subnet"', b'"subnets"'),
        ):
            with self.assertRaises((ValueError, TypeError, KeyError), msg=octets):
                decode(octets)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_written_and_read(self) -> None:
        self.assertIsNone(read(self.path))
        write(self.path, replace(IDENTITY, complete=False))
        write(self.path, IDENTITY)
        self.assertEqual(read(self.path), IDENTITY)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_damage_is_refused_with_advice(self) -> None:
        self.path.write_bytes(SAMPLE[:40])
        with self.assertRaisesRegex(IdentityRefused, "restore it from a backup"):
            read(self.path)

    def test_another_name_or_subnet_is_refused(self) -> None:
        self.assertEqual(IDENTITY.check("eu-worker-1", "subnet-1"), [])
        self.assertEqual(len(IDENTITY.check("eu-worker-2", "subnet-2")), 2)
