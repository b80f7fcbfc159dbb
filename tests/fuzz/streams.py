# SPDX-License-Identifier: GPL-3.0-or-later
r"""
Command streams made from the grammar: valid, nearly valid, and spoiled.

A rule is a list of alternatives; `<name>` in one of them stands for another rule. `WAIT` marks
where a client waits for "+" before it goes on. What `command` gives always keeps to the framing,
so that it must be answered exactly once, however little sense it makes; what `spoiled` gives
keeps to nothing.
"""

import re
from functools import cache
from random import Random

#: Stands where the client waits for a continuation request; occurs in no command otherwise.
WAIT = b"\x1f\x1e\x1f"

#: The arguments of each command of the table, most of them valid.
COMMANDS: dict[bytes, list[bytes]] = {
    b"APPEND": [
        b" <name> <message>",
        b" INBOX <message>",
        b" INBOX (<flags>) <message>",
        b" <name> (<flags>) <datetime> <message>",
        b" <name> <datetime> <message>",
        b" INBOX <message> <message>",
        b" INBOX (<flags>) <message> (<flags>) <datetime> <message>",
        b" INBOX {0+}\r\n",
        b" INBOX <string>",
        b" INBOX (<flags>)",
        b"",
    ],
    b"AUTHENTICATE": [
        b" PLAIN AHVzZXIAc2VjcmV0",
        b" PLAIN\r\n<WAIT>AHVzZXIAc2VjcmV0",
        b" X-ASK\r\n<WAIT>dXNlcg==\r\n<WAIT>c2VjcmV0",
        b" X-ASK\r\n<WAIT>*",
        b" PLAIN\r\n<WAIT><word>",
        b" PLAIN <word>",
        b" PLAIN =",
        b" <word>",
    ],
    b"CAPABILITY": [b"", b" ", b" <word>"],
    b"CHECK": [b"", b"", b" <word>"],
    b"CLOSE": [b"", b"", b"", b" <word>"],
    b"COPY": [b" <set> <name>", b" <set> <name>", b" <set>", b" <name>"],
    b"CREATE": [
        b" <name>",
        b" <name>",
        b" <newname>",
        b" <newname>.",
        b" <newname> (USE (<use>))",
        b" <newname> (USE (<use> <use>))",
        b" <name> (USE ())",
        b" <name> (FOO)",
    ],
    b"DELETE": [b" <name>", b" <name>", b""],
    b"ENABLE": [
        b" <feature>",
        b" <feature> <feature>",
        b" <feature> <word>",
        b" <word>",
    ],
    b"EXAMINE": [b" <name><selectparams>", b" INBOX<selectparams>"],
    b"EXPUNGE": [b"", b"", b" <set>"],
    b"FETCH": [
        b" <set> <fetch>",
        b" <set> <fetch>",
        b" <set> <fetch>",
        b" 1:* (UID FLAGS)",
        b" <set> <fetch> (CHANGEDSINCE <modseq>)",
        b" <set> <fetch> (CHANGEDSINCE <modseq> VANISHED)",
        b" <set> <fetch> (<word>)",
        b" <set>",
    ],
    b"ID": [
        b" NIL",
        b" ()",
        b" (<string> <nstring>)",
        b" (<string> <nstring> <string> <nstring>)",
        b" (<string>)",
        b" <string>",
    ],
    b"IDLE": [
        b"\r\n<WAIT>DONE",
        b"\r\n<WAIT>done",
        b"\r\n<WAIT>DONE ",
        b"\r\n<WAIT>t NOOP",
        b" <word>",
    ],
    b"LIST": [
        b" <listname> <pattern>",
        b' "" <pattern>',
        b' "" *',
        b' "" <pattern> RETURN (<listreturns>)',
        b' (<listselects>) "" <pattern>',
        b' (<listselects>) "" (<pattern> <pattern>) RETURN (<listreturns>)',
        b" (<listselects>) <listname> <pattern> <word>",
        b' ""',
    ],
    b"LOGIN": [
        b" user secret",
        b" user secret",
        b" user secret",
        b' "user" {6+}\r\nsecret',
        b" {4}\r\n<WAIT>user {6}\r\n<WAIT>secret",
        b" <string> <string>",
        b" user",
    ],
    b"LOGOUT": [b"", b" <word>"],
    b"LSUB": [b" <listname> <pattern>", b' "" *', b' "" %'],
    b"MOVE": [b" <set> <name>", b" <set> <name>", b" <set>"],
    b"NAMESPACE": [b"", b" <word>"],
    b"NOOP": [b"", b"", b"", b" <word>", b" {3+}\r\nabc"],
    b"RENAME": [b" <name> <newname>", b" <name> <newname>", b" <name> <name>", b" <name>"],
    b"SEARCH": [
        b" <searches>",
        b" <searches>",
        b" <searches>",
        b" ALL",
        b" RETURN (<returns>) <searches>",
        b" RETURN (<returns>) <searches>",
        b" CHARSET <charset> <searches>",
        b" RETURN (<returns>) CHARSET <charset> <searches>",
        b" RETURN <searches>",
        b"",
    ],
    b"SELECT": [b" <name><selectparams>", b" INBOX<selectparams>", b" INBOX"],
    b"STARTTLS": [b"", b" <word>"],
    b"STATUS": [b" <name> (<statuses>)", b" <name> (<statuses>)", b" <name> ()", b" <name>"],
    b"STORE": [
        b" <set> <storename> (<flags>)",
        b" <set> <storename> (<flags>)",
        b" <set> <storename> <flags>",
        b" <set> (UNCHANGEDSINCE <modseq>) <storename> (<flags>)",
        b" <set> (<word> <modseq>) <storename> (<flags>)",
        b" <set> <storename>",
    ],
    b"SUBSCRIBE": [b" <name>"],
    b"UNSELECT": [b"", b" <word>"],
    b"UNSUBSCRIBE": [b" <name>"],
}

#: The commands with a UID form.
UID_FORMS = (b"COPY", b"EXPUNGE", b"FETCH", b"MOVE", b"SEARCH", b"STORE")

RULES: dict[bytes, list[bytes]] = {
    b"WAIT": [WAIT],
    b"word": [b"x", b"FOO", b"NIL", b"7", b"(a)", b'"q"', b"\\x", b"*", b"%", b"=", b"a]", b"("],
    b"string": [
        *(b"abc", b'"a b"', b'""', b'"\\"\\\\"', b"{3+}\r\na\rb", b"{0+}\r\n", b"{2}\r\n<WAIT>hi"),
        *(b"~{2+}\r\n\0\xff", b'"\xc3\xa4"', b"{2+}\r\n\xc3\xa4", b"{1+}\r\n\0", b'"unclosed'),
        *(b"{4+}\r\n{9}\n", b"NIL", b"user", b'"\xff"', b"{3}\r\n<WAIT>a\nb"),
    ],
    b"nstring": [b"<string>", b"<string>", b"NIL"],
    b"name": [
        *(b"INBOX", b"inbox", b"INBOX", b"Work", b"Work", b"Work.a", b"Sent", b"Missing", b"Work"),
        *(b'"Work"', b"{4+}\r\nWork", b"{4}\r\n<WAIT>Work", b"&AOQ-1", b"INBOX.x", b"New<digit>"),
        *(b"INBOX", b"Sent", b"Work", b"Work", b"Sent", b"<oddname>"),
    ],
    b"oddname": [
        *(b"&2AA-", b'""', b"<string>", b".", b"a..b", b"#news", b"{2+}\r\n\xc3\xa4", b'"a*b"'),
        *(b"&AOQ", b"R&D", b"Work.", b"/", b'"&"', b"&-"),
    ],
    b"newname": [
        *(b"Work", b"Work.a", b"Work.b.c", b"New<digit>", b"New<digit>", b"Sent", b"&AOQ-<digit>"),
        *(b"INBOX", b"INBOX.x", b"<string>", b"<deepname>"),
    ],
    b"deepname": [b"a.b.c.d.e.f.g", b".".join([b"d"] * 33), b"n" * 1001],
    b"listname": [b'""', b'""', b"Work", b"Work.", b"<name>"],
    b"pattern": [b"*", b"%", b'""', b"Wo%", b"*a", b"%.%", b"INBOX", b"W*k*", b"<name>", b"*%*%*%"],
    b"selectparams": [
        *(b"", b"", b"", b"", b"", b"", b"", b" (CONDSTORE)", b" (CONDSTORE)", b" (<word>)"),
        *(b" (QRESYNC (<number> <modseq>))", b" (QRESYNC (<number> <modseq> <uids>))"),
        *(b" (QRESYNC (<number> <modseq> <uids> (1 1)))", b" (QRESYNC (1 1) CONDSTORE)"),
    ],
    b"digit": [b"1", b"2", b"3", b"4"],
    b"number": [b"1", b"1", b"2", b"3", b"4", b"2", b"5", b"7", b"<odd>"],
    b"odd": [
        *(b"0", b"4294967295", b"4294967296", b"9223372036854775807", b"9223372036854775808"),
        *(b"007", b"-1", b"9" * 30),
    ],
    b"modseq": [
        *(b"1", b"5", b"10", b"20", b"30", b"40", b"80", b"200", b"0", b"9223372036854775807"),
        b"<odd>",
    ],
    b"uids": [b"1:20", b"1,3,5", b"<number>", b"<number>:<number>", b"1:4294967295"],
    b"set": [
        *(b"1", b"1", b"2", b"3", b"1:*", b"1:*", b"1:*", b"*", b"1:2", b"1:3", b"2:4", b"1,3:4"),
        *(b"1", b"2", b"1:*", b"*:1", b"1:2", b"3:1", b"1,1,1", b"*", b"$", b"$", b"2:*", b"4,2"),
        *(b"<number>", b"<number>:<number>", b"<number>,<number>:*", b"5:9", b"1:100", b"<oddset>"),
    ],
    b"oddset": [b"<odd>", b"1,,2", b"1:", b"", b"<odd>:<odd>", b"*:*", b"1:*,*"],
    b"flag": [
        *(b"\\Seen", b"\\Deleted", b"\\Deleted", b"\\Flagged", b"\\Answered", b"\\Draft", b"$Work"),
        *(
            b"\\seen",
            b"\\DELETED",
            b"\\Seen",
            b"$Junk",
            b"k<digit>",
            b"K<digit>",
            b"$Work",
            b"<oddflag>",
        ),
    ],
    b"oddflag": [b"\\Recent", b"\\Odd", b"<longflag>", b"NIL", b"\\*", b"\\", b"a]"],
    b"longflag": [b"f" * 128, b"f" * 129],
    b"flags": [b"<flag>", b"<flag>", b"<flag> <flag>", b"<flag> <flag> <flag>", b""],
    b"storename": [
        *(b"+FLAGS", b"+FLAGS", b"-FLAGS", b"FLAGS", b"+FLAGS.SILENT", b"-FLAGS.SILENT"),
        *(b"FLAGS.SILENT", b"flags", b"+flags", b"-FLAGS", b"FLAGS", b"+FLAGS", b"*FLAGS"),
    ],
    b"datetime": [
        *(b'"17-Jul-1996 02:44:25 -0700"', b'" 1-Feb-2024 00:00:00 +0000"'),
        *(b'"31-Feb-2024 00:00:00 +0000"', b'"01-Jan-0001 00:00:00 +2359"', b'"x"', b'""'),
        *(b'"31-Dec-9999 23:59:60 -1400"', b'"01-Jan-2024 24:00:00 +0000"'),
    ],
    b"message": [
        *(b"{9+}\r\nA: b\r\n\r\nc", b"{9}\r\n<WAIT>A: b\r\n\r\nc", b"~{9+}\r\nA: b\r\n\r\n\0"),
        *(
            b"{2+}\r\n\r\n",
            b"{1+}\r\n\xff",
            b"<multipart>",
            b"<multipart>",
            b"<nested>",
            b"<string>",
        ),
    ],
    b"multipart": [
        b"{175+}\r\nFrom: a@b\r\nSubject: =?utf-8?q?=C3=A4?=\r\n"
        b"Date: Mon, 5 Jan 2026 09:00:00 +0000\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\n"
        b"Content-Type: text/html\r\n\r\nyo\r\n--x--",
    ],
    b"nested": [
        b"{133+}\r\nSubject: a\0b\xff\r\nContent-Type: message/rfc822\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\n"
        b"Subject: \xff\0\r\nTo: <a@b>, g:c@d;\r\nIn-Reply-To:x\r\n\r\nAAEC",
    ],
    b"fetch": [
        *(b"FLAGS", b"UID", b"ALL", b"FAST", b"FULL", b"(<item>)", b"(<item>)", b"(<item> <item>)"),
        *(b"(<item> <item> <item> <item>)", b"(FLAGS UID)", b"<item>", b"()", b"(ALL)", b"<word>"),
    ],
    b"item": [
        *(b"UID", b"FLAGS", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"),
        *(b"BODYSTRUCTURE", b"MODSEQ", b"EMAILID", b"THREADID", b"RFC822", b"RFC822.HEADER"),
        *(b"RFC822.TEXT", b"BODY[<section>]<partial>", b"BODY.PEEK[<section>]<partial>", b"<word>"),
        *(b"BODY.PEEK[<section>]", b"BINARY[<path>]<partial>", b"BINARY.PEEK[<path>]"),
        *(b"BINARY.SIZE[<path>]", b"PREVIEW", b"BODY[]", b"BODY.PEEK[HEADER.FIELDS (<fields>)]"),
        b"BODY[<path>.HEADER.FIELDS.NOT (<fields>)]<partial>",
    ],
    b"section": [
        *(b"", b"HEADER", b"TEXT", b"1", b"2", b"1.MIME", b"1.1", b"2.TEXT", b"1.HEADER", b"MIME"),
        *(b"0", b"<path>", b"9.9.9", b"HEADER.FIELDS (<fields>)", b"<word>"),
    ],
    b"path": [b"", b"1", b"1", b"2", b"1.1", b"3", b"1.2.3", b"<odd>"],
    b"fields": [
        *(b"Subject", b"From To", b"A", b"{1+}\r\nA", b'"a b"', b"<string>", b"subject SUBJECT"),
        *(b"", b"{1}\r\n<WAIT>A", b'"a]b"', b'"a\\"b"'),
    ],
    b"partial": [b"", b"", b"<0.10>", b"<5.1>", b"<0.0>", b"<1000.5>", b"<0.<odd>>", b"<<odd>.1>"],
    b"searches": [
        *(b"<search>", b"<search>", b"<search> <search>", b"(<search> <search>) <search>"),
        *(b"OR <search> <search>", b"NOT <search>", b"(OR NOT <search> (<search>) <search>)"),
    ],
    b"search": [
        *(b"ALL", b"ANSWERED", b"DELETED", b"UNDELETED", b"NEW", b"OLD", b"RECENT", b"SEEN"),
        *(b"UNSEEN", b"DRAFT", b"<set>", b"UID <set>", b"KEYWORD <flag>", b"UNKEYWORD $Work"),
        *(b"FROM <string>", b"TO <string>", b"CC <string>", b"BCC <string>", b"SUBJECT <string>"),
        *(b"BODY <string>", b"TEXT <string>", b"HEADER <string> <string>", b"SINCE <date>"),
        *(
            b"BEFORE <date>",
            b"ON <date>",
            b"SENTSINCE <date>",
            b"SENTON <date>",
            b"LARGER <number>",
        ),
        *(b"SMALLER <number>", b"OLDER <number>", b"YOUNGER <number>", b"MODSEQ <modseq>"),
        *(b'MODSEQ "/flags/\\\\Seen" all <modseq>', b"EMAILID M<digit>", b"THREADID T1", b"<word>"),
        *(b"(<searches>)", b"NOT <search>", b"OR <search> <search>", b"$", b"SAVEDBEFORE <date>"),
    ],
    b"date": [b"1-Feb-1994", b'"01-Jan-2024"', b"31-Feb-2024", b"5-Jan-2026", b"1-feb-9999", b"x"],
    b"charset": [b"UTF-8", b"US-ASCII", b'"utf-8"', b"ISO-8859-1", b"X-NONE", b"<string>"],
    b"returns": [
        b"",
        b"ALL",
        b"MIN",
        b"MAX COUNT",
        b"SAVE",
        b"SAVE MIN",
        b"COUNT ALL SAVE",
        b"<word>",
    ],
    b"statuses": [
        *(b"MESSAGES", b"UIDNEXT UIDVALIDITY", b"UNSEEN DELETED SIZE", b"HIGHESTMODSEQ", b"RECENT"),
        *(b"MAILBOXID APPENDLIMIT", b"MESSAGES MESSAGES", b"<word>"),
    ],
    b"listselects": [
        *(b"", b"SUBSCRIBED", b"REMOTE", b"SPECIAL-USE", b"SUBSCRIBED RECURSIVEMATCH", b"<word>"),
        *(b"RECURSIVEMATCH", b"SUBSCRIBED REMOTE SPECIAL-USE"),
    ],
    b"listreturns": [
        *(b"", b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS (<statuses>)", b"<word>"),
        b"SUBSCRIBED CHILDREN SPECIAL-USE STATUS (<statuses>)",
    ],
    b"use": [b"\\Sent", b"\\Trash", b"\\Drafts", b"\\All", b"\\Odd", b"Sent"],
    b"feature": [b"CONDSTORE", b"QRESYNC", b"IMAP4rev2", b"UTF8=ACCEPT", b"condstore"],
}

#: What spoils a stream when it is put in anywhere.
SCRAPS: tuple[bytes, ...] = (
    *(b"\r\n", b"\n", b"\r", b" ", b"  ", b"{", b"}", b"~", b"{0}\r\n", b"{0+}\r\n", b"{7+}\r\n"),
    *(b"~{2}\r\n", b"{300+}\r\n", b"{70000+}\r\n", b"{99999999999+}\r\n", b"{99999999999}\r\n"),
    *(b"9" * 30, b"(" * 120, b")", b"(", b'"', b"\\", b"*", b"%", b"\0", b"\xff", b"\xc3\xa4"),
    *(b"&", b"&AOQ-", b"NIL", b"$", b"-", b":", b",", b"[", b"]", b"<", b">", b"." * 40, b"+"),
    *(b"NOT " * 120, b"OR " * 120, b"x" * 300, b"IDLE\r\n", b"DONE\r\n", b"*\r\n", b"1," * 200),
    *(b"a LOGOUT\r\n", b"a STARTTLS\r\n", b"{123456789012345678901+}\r\n", b" ALL" * 1100),
    *(b"(" * 1500, b"NOT " * 1500, b"SUBJECT ((" * 200),
    *(b"1:4294967295,", b"a\r\n" * 60, b"&" * 30 + b"-", b'"' + b"\\\\" * 50, b"FLAGS " * 50),
)

_PIECE = re.compile(rb"<([A-Za-z]+)>")


@cache
def _pieces(text: bytes) -> tuple[bytes, ...]:
    """Plain text and the names of rules by turns."""
    return tuple(_PIECE.split(text))


def expand(random: Random, text: bytes) -> bytes:
    """*text* with a random alternative in place of each rule."""
    pieces = _pieces(text)
    if len(pieces) == 1:
        return text
    out = []
    for place, piece in enumerate(pieces):
        if place % 2:
            rule = RULES[piece]
            out.append(expand(random, rule[int(random.random() * len(rule))]))
        else:
            out.append(piece)
    return b"".join(out)


def command(random: Random, name: bytes, tag: bytes) -> bytes:
    """A command *name* with its line end, `WAIT` where the client waits."""
    forms = COMMANDS[name]
    arguments = expand(random, forms[int(random.random() * len(forms))])
    if name in UID_FORMS and random.random() < 0.5:
        name = b"UID " + name
        if name == b"UID EXPUNGE" and random.random() < 0.8:
            arguments = expand(random, b" <set>")
    elif random.random() < 0.02:
        name = b"UID " + name
    if random.random() < 0.1:
        name = name.lower()
    return tag + b" " + name + arguments + b"\r\n"


def spoiled(random: Random, stream: bytes) -> bytes:
    """*stream* with some of its octets changed, lost, put in, or there twice."""
    out = bytearray(stream)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        place = random.randrange(len(out) + 1)
        match random.randrange(6):
            case 0 if place < len(out):
                out[place] = random.randrange(256)
            case 1:
                del out[place : place + random.randrange(1, 9)]
            case 2 | 3:
                out[place:place] = random.choice(SCRAPS)
            case 4:
                out[place:place] = out[place : place + random.randrange(40)]
            case _:
                if random.random() < 0.3:
                    del out[place:]
    return bytes(out)


def cuts(random: Random, stream: bytes) -> list[bytes]:
    """*stream* in pieces, mostly one or a few, sometimes single octets."""
    chance = random.random()
    if chance < 0.5:
        return [stream]
    if chance < 0.55 and len(stream) < 200:
        return [stream[place : place + 1] for place in range(len(stream))]
    places = sorted(random.randrange(len(stream) + 1) for _ in range(random.randrange(1, 4)))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
