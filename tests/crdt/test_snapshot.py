# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import snapshot
from pluto_tw.crdt.snapshot import Cursor, Header, Piece, Trailer
from tests.crdt.samples import HEADER, PIECE, TRAILER
from tests.support.cluster import Cluster, observable, shown
from tests.support.histories import History, random_steps

_SAMPLES = Path(__file__).parent / "samples"


@cache
def _encoded() -> list[bytes]:
    return [snapshot.encode(piece) for piece in _pieces(_cluster(6), 300)[1]]


def _cluster(seed: int) -> Cluster:
    cluster = Cluster("AB")
    History(cluster, snapshots=False).play(random_steps(seed, 120))
    cluster.settle()
    return cluster


def _pieces(cluster: Cluster, octets: int) -> tuple[Header, list[Piece], Trailer]:
    site = cluster.sites["A"]
    first = snapshot.header(site.account())
    pieces = []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        piece, cursor = snapshot.read_piece(
            site.records, first, cursor, octets_most=octets, read_most=3
        )
        pieces.append(piece)
    return first, pieces, snapshot.trailer(site.account())


class ReadTests(SynchronousTestCase):
    def test_pieces_hold_everything_once(self) -> None:
        """However it is cut; a cursor survives a broken connection."""
        cluster = _cluster(3)
        _, fine, _ = _pieces(cluster, 100)
        _, coarse, _ = _pieces(cluster, 10**9)
        self.assertGreater(len(fine), 10)
        self.assertEqual(len(coarse), 1)
        for part in ("boxes", "placements", "subscriptions", "metas", "members", "log"):
            found = [record for piece in fine for record in getattr(piece, part)]
            self.assertEqual(found, list(getattr(coarse[0], part)))

    def test_a_joiner_shows_what_the_others_show(self) -> None:
        """UIDs are the same, without any renumbering."""
        for seed in range(5):
            cluster = _cluster(seed)
            before = cluster.renumbered
            cluster.join("J", "A")
            cluster.settle()
            a, j = cluster.sites["A"], cluster.sites["J"]
            self.assertEqual(observable(a.records), observable(j.records))
            self.assertEqual(shown(a.records), shown(j.records))
            self.assertEqual(cluster.renumbered, before)


class SampleTests(SynchronousTestCase):
    """Octets of version 1 as they were first written."""

    def test_parts(self) -> None:
        decoders: dict[str, Callable[[bytes], Header | Piece | Trailer]] = {
            "header1": snapshot.decode_header,
            "piece1": snapshot.decode_piece,
            "trailer1": snapshot.decode_trailer,
        }
        parts: tuple[Header | Piece | Trailer, ...] = (HEADER, PIECE, TRAILER)
        for (name, decode), part in zip(decoders.items(), parts, strict=True):
            data = bytes.fromhex((_SAMPLES / f"{name}.hex").read_text())
            self.assertEqual(decode(data), part, name)
            self.assertEqual(snapshot.encode(part), data, name)


class CodecTests(SynchronousTestCase):
    def test_decoding_inverts_encoding(self) -> None:
        first, pieces, last = _pieces(_cluster(4), 500)
        self.assertEqual(snapshot.decode_header(snapshot.encode(first)), first)
        self.assertEqual(snapshot.decode_trailer(snapshot.encode(last)), last)
        for piece in pieces:
            self.assertEqual(snapshot.decode_piece(snapshot.encode(piece)), piece)

    @given(st.binary(max_size=200))
    def test_any_octets_are_a_part_or_an_error(self, data: bytes) -> None:
        for decode in (
            snapshot.decode_header,
            snapshot.decode_trailer,
            snapshot.decode_piece,
        ):
            try:
                decode(data)
            except ValueError:
                continue

    @given(st.data())
    def test_damaged_pieces_are_pieces_or_errors(self, data: st.DataObject) -> None:
        octets = bytearray(data.draw(st.sampled_from(_encoded())))
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        try:
            snapshot.decode_piece(bytes(octets))
        except ValueError:
            return

    def test_other_versions_are_errors(self) -> None:
        first, pieces, last = _pieces(_cluster(4), 10**9)
        for part, decode in (
            (first, snapshot.decode_header),
            (last, snapshot.decode_trailer),
            (pieces[0], snapshot.decode_piece),
        ):
            octets = bytearray(snapshot.encode(part))
            octets[1] = 2
            with self.assertRaisesRegex(ValueError, "version"):
                decode(bytes(octets))

    def test_lies_about_vectors_are_errors(self) -> None:
        for header in (
            Header(1, (1, 0), (b"", b""), ()),
            Header(1, (1,), (), ()),
            Header(1, (1,), (b"short",), ()),
            Header(1, (1,), (bytes(8),), (2,)),
        ):
            with self.assertRaises(ValueError):
                snapshot.decode_header(snapshot.encode(header))
