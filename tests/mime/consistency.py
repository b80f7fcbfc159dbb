# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of the facts of any message, however broken: the invariants of `facts`."""

import itertools

from pluto_tw.mime import preview, scanner, structure
from pluto_tw.mime.facts import FACTS_VERSION, Envelope, Facts, Part, decode, encode
from pluto_tw.mime.scanner import Scanner


def scan_in_chunks(message: bytes, sizes: list[int]) -> Facts:
    """The facts of *message* fed in chunks of *sizes*, over and over."""
    fed = Scanner()
    position = turn = 0
    while position < len(message):
        size = sizes[turn % len(sizes)]
        fed.feed(memoryview(message)[position : position + size])
        position += size
        turn += 1
    return fed.finish()


def check(message: bytes, facts: Facts) -> None:
    """Fails with an `AssertionError` that names what does not hold."""
    assert facts.version == FACTS_VERSION
    assert facts.size == len(message), "size"
    assert facts.binary == (b"\0" in message), "binary"
    assert facts.eight_bit == (not message.isascii()), "eight_bit"
    assert decode(encode(facts)) == facts, "encoding"
    assert len(facts.preview) <= preview.PREVIEW_CHARACTERS_MAX, "preview"
    assert 1 <= len(facts.parts) <= structure.PARTS_MAX, "number of parts"
    top = facts.parts[0]
    assert top.parent == -1
    assert top.header.start == 0, "the message does not begin with its header"
    assert top.body.end == len(message), "the message does not end with its body"
    whole = message[top.header.start : top.header.end]
    assert facts.header == whole[: scanner.HEADER_KEPT_OCTETS_MAX], "header"
    assert facts.header_complete == (len(whole) <= scanner.HEADER_KEPT_OCTETS_MAX), (
        "header_complete"
    )
    _check_envelope(facts.envelope)
    depths = [0] * len(facts.parts)
    for index, part in enumerate(facts.parts):
        assert part.header.start <= part.header.end == part.body.start <= part.body.end
        assert part.lines == message.count(b"\n", part.body.start, part.body.end), "lines"
        _check_strings(part)
        if part.is_multipart:
            assert part.children, "a multipart without parts"
        elif part.is_message:
            assert len(part.children) == 1, "an embedded message is one"
        else:
            assert not part.children
        if part.envelope is not None:
            _check_envelope(part.envelope)
        else:
            embeds = (b"message", b"rfc822"), (b"message", b"global")
            assert (part.media_type, part.subtype) not in embeds
        if index:
            parent = facts.parts[part.parent]
            assert part.parent < index, "a part before its parent"
            assert index in parent.children
            assert parent.body.start <= part.header.start, "a part begins outside its parent"
            assert part.body.end <= parent.body.end, "a part ends outside its parent"
            depths[index] = depths[part.parent] + 1
            assert depths[index] <= structure.DEPTH_MAX, "depth"
        ends = part.body.start
        for child in part.children:
            assert facts.parts[child].parent == index
            assert ends <= facts.parts[child].header.start, "parts overlap"
            ends = facts.parts[child].body.end


def _check_envelope(envelope: Envelope) -> None:
    texts = [envelope.date, envelope.subject, envelope.in_reply_to, envelope.message_id]
    lists = (envelope.from_, envelope.sender, envelope.reply_to)
    for address in itertools.chain(*lists, envelope.to, envelope.cc, envelope.bcc):
        texts += [address.name, address.route, address.mailbox, address.host]
    for text in texts:
        assert text is None or _is_one_line(text), text
    assert envelope.sender or not envelope.from_
    assert envelope.reply_to or not envelope.from_


def _check_strings(part: Part) -> None:
    texts = [part.media_type, part.subtype, part.encoding, part.content_id, part.description]
    texts += [part.md5, part.location, *part.language]
    pairs = list(part.parameters)
    if part.disposition is not None:
        texts.append(part.disposition.kind)
        pairs += part.disposition.parameters
    for name, value in pairs:
        assert name == name.lower()
        texts += [name, value]
    for text in texts:
        assert text is None or _is_one_line(text), text
    assert part.media_type == part.media_type.lower()
    assert part.subtype == part.subtype.lower()
    assert part.encoding == part.encoding.upper()


def _is_one_line(text: bytes) -> bool:
    return not any(octet in text for octet in b"\r\n\0")
