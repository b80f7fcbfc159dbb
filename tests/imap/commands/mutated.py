# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands with mistakes in them: what a parser must take or refuse, and never stumble over."""

from collections.abc import Iterator, Sequence
from random import Random

from pluto_tw.imap.cursor import Literal, Segment

_PIECES = (
    *(bytes((octet,)) for octet in b' ()"\\{}[]<>*$:,+-.\x00\r\n\x7f\x80\xff09aZ'),
    b"NIL",
    b"4294967295",
    b"4294967296",
    b"9223372036854775808",
    b'"\\"',
    b"((((",
    b"))))",
    b"NOT NOT ",
    b"OR ",
    b"\\Recent",
    b"\\Seen",
    b"1:*",
    b"\xc3\xa4",
)


def mutated(corpus: Sequence[bytes], inputs: int, seed: int) -> Iterator[Sequence[Segment]]:
    """
    So many *inputs*, each a text of *corpus* with a few of its octets exchanged, taken out, put
    elsewhere or doubled, and here and there a literal. The same *seed* gives the same ones.
    """
    random = Random(seed)
    for _ in range(inputs):
        text = random.choice(corpus)
        for _ in range(random.randint(1, 4)):
            start = random.randint(0, len(text))
            end = min(len(text), start + random.randint(0, 6))
            match random.randrange(4):
                case 0:
                    text = text[:start] + random.choice(_PIECES) + text[end:]
                case 1:
                    text = text[:start] + text[end:]
                case 2:
                    text = text[:end] + text[start:]
                case _:
                    other = random.choice(corpus)
                    text = text[:start] + other[random.randint(0, len(other)) :]
        if random.random() < 0.2:
            cut = random.randint(0, len(text))
            octets = random.choice(_PIECES) * random.randint(0, 3)
            yield text[:cut], Literal(octets, random.random() < 0.1), text[cut:]
        else:
            yield (text,)
