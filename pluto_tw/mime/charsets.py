# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which charsets are read, and how octets become text whatever the sender claimed.

Only the charsets named here are looked up. A message must not choose among everything that Python
calls a codec: some of those are no charsets (zlib, rot13), some take quadratic time (punycode,
idna) or unbounded memory when they are fed in chunks (utf-7).

Octets that their charset does not know become U+FFFD. Where the charset is UTF-8, US-ASCII,
missing or unknown, text is read as UTF-8, and octets that are not UTF-8 as Latin-1 (RFC 7103
§7.6: UTF-8 "has a very specific syntactic structure that other 8-bit charsets are unlikely to
follow").
"""

import codecs

#: Names in mail (lower case, "_" as "-") and the Python codec that reads them. Where a superset is
#: what senders of the name really use, that is taken, as browsers and mail clients do.
_CODECS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-1-windows-3.1-latin-1": "cp1252",
    "iso-8859-2": "iso8859-2",
    "iso8859-2": "iso8859-2",
    "latin2": "iso8859-2",
    "iso-8859-3": "iso8859-3",
    "iso-8859-4": "iso8859-4",
    "iso-8859-5": "iso8859-5",
    "iso-8859-6": "iso8859-6",
    "iso-8859-7": "iso8859-7",
    "iso-8859-8": "iso8859-8",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-10": "iso8859-10",
    "iso-8859-11": "cp874",
    "iso-8859-13": "iso8859-13",
    "iso-8859-14": "iso8859-14",
    "iso-8859-15": "iso8859-15",
    "iso8859-15": "iso8859-15",
    "latin9": "iso8859-15",
    "iso-8859-16": "iso8859-16",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "windows-1253": "cp1253",
    "windows-1254": "cp1254",
    "windows-1255": "cp1255",
    "windows-1256": "cp1256",
    "windows-1257": "cp1257",
    "windows-1258": "cp1258",
    "windows-874": "cp874",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1252": "cp1252",
    "cp437": "cp437",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "ibm437": "cp437",
    "ibm850": "cp850",
    "ibm852": "cp852",
    "ibm866": "cp866",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "cp936": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "cp950": "cp950",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "cp932": "cp932",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022-jp-ext",
    "iso-2022-jp-1": "iso2022-jp-1",
    "iso-2022-jp-2": "iso2022-jp-2",
    "iso-2022-jp-3": "iso2022-jp-3",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "ksc5601": "cp949",
    "cp949": "cp949",
    "uhc": "cp949",
    "iso-2022-kr": "iso2022-kr",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
}

#: The mark that may tell the order of octets (RFC 2781 §3.2), the codec if it does, and if not:
#: RFC 2781 §4.3, SHOULD. There Python's own codec for the plain name raises when fed in chunks.
_MARKS = {
    "utf-16": ({b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}, "utf-16-be"),
    "utf-32": ({b"\xff\xfe\0\0": "utf-32-le", b"\0\0\xfe\xff": "utf-32-be"}, "utf-32-be"),
}

_MARK_OCTETS = 4

#: The most frequent of the names that are not in the table.
_READ_AS_UTF_8 = frozenset({b"utf-8", b"us-ascii", b""})

#: What "surrogateescape" makes of an octet that is not UTF-8, to what Latin-1 makes of it.
_ESCAPED_TO_LATIN_1 = {0xDC00 + octet: octet for octet in range(0x80, 0x100)}


def codec(charset: bytes) -> str | None:
    """
    The Python codec for *charset* as a message names it, None for all that is read as UTF-8.

    The language that RFC 2231 §5 allows behind "*" is passed over.
    """
    if charset.lower() in _READ_AS_UTF_8:
        return None
    name = charset.split(b"*", 1)[0].strip(b" \t\"'").lower().replace(b"_", b"-")
    return _CODECS.get(name.decode("latin-1"))


def to_text(octets: bytes, charset: bytes = b"") -> str:
    """*octets* as text, whatever they are; see the head of this file. Never raises."""
    name = codec(charset)
    if name is not None:
        if name in _MARKS:
            name, octets = _unmarked(octets, name)
        return octets.decode(name, "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("utf-8", "surrogateescape").translate(_ESCAPED_TO_LATIN_1)


def _unmarked(octets: bytes, name: str) -> tuple[str, bytes]:
    """The codec that the mark at the beginning tells, and the octets without it."""
    marks, default = _MARKS[name]
    for mark, marked in marks.items():
        if octets.startswith(mark):
            return marked, octets[len(mark) :]
    return default, octets


class Reader:
    """Octets of one charset to text, in chunks: together what `to_text` gives for the whole."""

    def __init__(self, charset: bytes = b"") -> None:
        name = codec(charset)
        self._is_lenient = name is None
        #: The name whose mark has not come yet, and what has come of it.
        self._awaited = name if name in _MARKS else None
        self._first = b""
        self._start("utf-8" if name is None else name)

    def _start(self, name: str) -> None:
        errors = "surrogateescape" if self._is_lenient else "replace"
        self._decoder = codecs.getincrementaldecoder(name)(errors)

    def feed(self, octets: bytes) -> str:
        """The text that *octets* complete. A character cut in two comes with its last octet."""
        return self._read(octets, False)

    def finish(self) -> str:
        """What is left when no more octets come."""
        return self._read(b"", True)

    def _read(self, octets: bytes, final: bool) -> str:
        if self._awaited is not None:
            self._first += octets
            if len(self._first) < _MARK_OCTETS and not final:
                return ""
            name, octets = _unmarked(self._first, self._awaited)
            self._awaited = None
            self._start(name)
        text = self._decoder.decode(octets, final)
        if self._is_lenient and not text.isascii():
            return text.translate(_ESCAPED_TO_LATIN_1)
        return text
