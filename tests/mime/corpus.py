# SPDX-License-Identifier: GPL-3.0-or-later
"""
Messages to read: well-formed, obsolete, odd and broken ones, made here so that each has a name.

`CRAFTED` are written by hand after the examples and warnings of RFC 2045 to 2049, 2183, 2231,
5322, 6532 and 7103; `generated` combines types, encodings, charsets, structures and line ends.
`messages` is both. Lines are written with LF here and end in CRLF there, unless the point is LF.
"""

import base64
import itertools
import quopri
from collections.abc import Iterator

TEXTS = {
    b"us-ascii": "Hello,\n\nthis is plain.\n",
    b"utf-8": "Grüße, Ελληνικά, 日本語.\n",
    b"iso-8859-1": "Müller, café\n",
    b"windows-1251": "Привет, мир\n",
    b"iso-2022-jp": "こんにちは\n",
    b"gb2312": "你好,世界\n",
    b"x-unknown": "plain words of an unknown charset\n",
}

BASIC = b"""From: Jane Doe <jane@example.org>
To: John Roe <john@example.net>
Date: Mon, 10 Jun 2024 10:11:09 +0200
Message-ID: <1@example.org>
"""


def crlf(text: bytes) -> bytes:
    """*text* with each LF made CRLF."""
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _basic(rest: bytes) -> bytes:
    return BASIC + rest


CRAFTED: dict[str, bytes] = {
    "empty": b"",
    "one empty line": b"\n",
    "two empty lines": b"\n\n",
    "header without a body": b"Subject: x\n",
    "header without a line end": b"Subject: x",
    "header and empty line": b"Subject: x\n\n",
    "body after an empty line": b"\nbody\n",
    "no header at all": b"just text\nwithout a header\n",
    "no header, text with an empty line": b"just text\n\nand more\n",
    "text with a colon": b"Note: buy milk\n\nand bread\n",
    "mbox line": b"From jane@example.org Mon Jun 10 10:11:09 2024\n" + _basic(b"\nhi\n"),
    "quoted mbox line": b">From jane@example.org Mon Jun 10 10:11:09 2024\n" + _basic(b"\nhi\n"),
    "garbage before the header": b"garbage here\n" + _basic(b"Subject: x\n\nhi\n"),
    "folded first line": b" folded: no\n" + _basic(b"\nhi\n"),
    "line without a colon": _basic(
        b"Subject: This is your reminder\nabout the football game tonight\nX-Other: y\n\nhi\n"
    ),
    "missing empty line": b"Subject: x\nbody begins here\nand goes on\n",
    "folded line of white space": b"Subject: This is your reminder\n \n about football\n\nhi\n",
    "tab folding": b"Subject: a\n\tb\n\t\tc\n\nhi\n",
    "white space before the colon": b"Subject : spaced\nMIME-Version : 1.0\n\nhi\n",
    "empty fields": b"Subject:\nFrom:\nTo: \nDate:\nMessage-ID:\nIn-Reply-To:\n\nhi\n",
    "field names in odd cases": b"SUBJECT: x\nfrom: a@b.c\ntO: d@e.f\n\nhi\n",
    "repeated fields": (
        b"Subject: one\nSubject: two\nTo: a@x.org\nTo: b@x.org\nFrom: c@x.org\n"
        b"From: d@x.org\n\nhi\n"
    ),
    "bare CR in header and body": b"Subject: a\rb\n\nline\rstill\n",
    "NUL in header and body": b"Subject: a\0b\n\nnul\0body\n",
    "8-bit header, Latin-1": b"Subject: caf\xe9\nFrom: Ren\xe9 <rene@example.org>\n\nhi\n",
    "8-bit header, UTF-8": "Subject: Grüße\nFrom: Zoë <zoë@exämple.org>\n\nhi\n".encode(),
    "message of RFC 6532": (
        "From: 李雷 <李雷@例子.公司>\nTo: 韩梅梅 <han@例子.公司>\nSubject: 你好\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n你好\n"
    ).encode(),
    # RFC 5322, appendix A.
    "RFC 5322 A.1.1": (
        b"From: John Doe <jdoe@machine.example>\nSender: Michael Jones <mjones@machine.example>\n"
        b"To: Mary Smith <mary@example.net>\nSubject: Saying Hello\n"
        b"Date: Fri, 21 Nov 1997 09:55:06 -0600\nMessage-ID: <1234@local.machine.example>\n\n"
        b"This is a message just to say hello.\n"
    ),
    "RFC 5322 A.1.2": (
        b'From: "Joe Q. Public" <john.q.public@example.com>\n'
        b"To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>\n"
        b'Cc: <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>\n'
        b"Date: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>\n\nHi.\n"
    ),
    "RFC 5322 A.1.3": (
        b"From: Pete <pete@silly.example>\n"
        b"To: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\n"
        b"Cc: Undisclosed recipients:;\nDate: Thu, 13 Feb 1969 23:32:54 -0330\n"
        b"Message-ID: <testabcd.1234@silly.example>\n\nTesting.\n"
    ),
    "RFC 5322 A.2": (
        b"From: Mary Smith <mary@example.net>\nTo: John Doe <jdoe@machine.example>\n"
        b'Reply-To: "Mary Smith: Personal Account" <smith@home.example>\n'
        b"Subject: Re: Saying Hello\nDate: Fri, 21 Nov 1997 10:01:10 -0600\n"
        b"Message-ID: <3456@example.net>\nIn-Reply-To: <1234@local.machine.example>\n"
        b"References: <1234@local.machine.example>\n\nThis is a reply to your hello.\n"
    ),
    "RFC 5322 A.5": (
        b"From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\n"
        b"To:A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n"
        b"         joe@example.org,\n"
        b"  John <jdoe@one.test> (my dear friend); (the end of the group)\n"
        b"Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\n"
        b"Date: Thu,\n      13\n        Feb\n          1969\n      23:32\n"
        b"               -0330 (Newfoundland Time)\n"
        b"Message-ID:              <testabcd.1234@silly.test>\n\nTesting.\n"
    ),
    "RFC 5322 A.6.1": (
        b"From: Joe Q. Public <john.q.public@example.com>\n"
        b"To: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\n"
        b"Date: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>\n\nHi.\n"
    ),
    "RFC 5322 A.6.2": b"From: a@b.test\nDate: 21 Nov 97 09:55:06 GMT\n\nhi\n",
    "RFC 5322 A.6.3": (
        b"From  : John Doe <jdoe@machine(comment).  example>\n"
        b"To    : Mary Smith\n  \n          <mary@example.net>\n"
        b"Date  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600\n\nhi\n"
    ),
    # RFC 7103 §7.1.
    "angle brackets in excess": b"To: <<<user2@example.org>>>\n\nhi\n",
    "angle brackets unbalanced": b"To: <another@example.net\nCc: second@example.org>\n\nhi\n",
    "parentheses unbalanced": (
        b"To: (Testing <fran@example.com>\nCc: Testing) <sam@example.com>\n\nhi\n"
    ),
    "comma within angle brackets": b"To: <third@example.net, fourth@example.net>\n\nhi\n",
    "quotes unbalanced": b'To: "Joe <joe@example.com>\n\nhi\n',
    "naked words": b"To: Joe\nCc: Joe Smith\nFrom: <joe>\n\nhi\n",
    "semicolons between addresses": b"To: a@b.org; c@d.org; e@f.org\n\nhi\n",
    "encoded-words": (
        b"From: =?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>\n"
        b"To: =?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>\n"
        b"Cc: =?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>\n"
        b"Subject: =?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n"
        b" =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=\n\nhi\n"
    ),
    "broken encoded-words": (
        b"Subject: =?utf-8?q?broken =?utf-8?b?!!!?= =?x-no?q?a=E9?= =?utf-8?q?=C3?=\n"
        b" =?utf-8?q?=A9?= =?utf-8*en?q?lang?= =??q??= =?\n\nhi\n"
    ),
    "references": _basic(
        b'References: <a@x> junk "<b"@y> <c d@z> <no-at> (<hidden@c>) <e@f>\n'
        b"In-Reply-To: <g@h>\n\nhi\n"
    ),
    "in-reply-to with a phrase": _basic(
        b'In-Reply-To: Your message of "Mon, 10 Jun" <g@h> jane@example.org\n\nhi\n'
    ),
    # Content fields.
    "no content type": _basic(b"MIME-Version: 1.0\n\nhi\n"),
    "content type without a subtype": _basic(b"Content-Type: text\n\nhi\n"),
    "content type empty": _basic(b"Content-Type:\n\nhi\n"),
    "content type without a type": _basic(b"Content-Type: ; charset=utf-8\n\nhi\n"),
    "content type with comments": _basic(
        b"Content-Type: text/plain (rich?); charset=us-ascii (Plain text)\n\nhi\n"
    ),
    "content type with spaces": _basic(b"Content-Type: text / html ; charset = utf-8 ;\n\nhi\n"),
    "content type twice": _basic(b"Content-Type: text/html\nContent-Type: image/png\n\nhi\n"),
    "content type in capitals": _basic(b'Content-Type: TEXT/HTML; CHARSET="UTF-8"\n\nhi\n'),
    "content type without MIME-Version": _basic(b"Content-Type: application/pdf\n\n%PDF\n"),
    "parameter without a closing quote": _basic(
        b'Content-Type: text/plain; name="a b; c=d\n\nhi\n'
    ),
    "parameter with quoted pairs": _basic(b'Content-Type: text/plain; name="a\\"b\\\\c"\n\nhi\n'),
    "parameter with spaces unquoted": _basic(b"Content-Type: text/plain; name=a b.txt\n\nhi\n"),
    "parameter twice": _basic(b"Content-Type: text/plain; charset=utf-8; charset=koi8-r\n\nhi\n"),
    "parameters without values": _basic(
        b"Content-Type: text/plain; flowed; ; =x; charset=\n\nhi\n"
    ),
    "RFC 2231 continuation": _basic(
        b'Content-Type: message/external-body; access-type=URL;\n URL*0="ftp://";\n'
        b' URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"\n\nhi\n'
    ),
    "RFC 2231 charset": _basic(
        b"Content-Type: application/x-stuff;\n"
        b" title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A\n\nhi\n"
    ),
    "RFC 2231 both": _basic(
        b"Content-Type: application/x-stuff;\n title*0*=us-ascii'en'This%20is%20even%20more%20;\n"
        b' title*1*=%2A%2A%2Afun%2A%2A%2A%20;\n title*2="isn\'t it!"\n\nhi\n'
    ),
    "RFC 2231 with a gap": _basic(b"Content-Type: text/plain; a*0=x; a*2=z; b*1=q\n\nhi\n"),
    "encoding unknown": _basic(b"Content-Transfer-Encoding: x-uuencode\n\nhi\n"),
    "encoding with junk": _basic(b"Content-Transfer-Encoding: 8bit (really); yes\n\nhi\n"),
    "encoding empty": _basic(b"Content-Transfer-Encoding:\n\nhi\n"),
    "all content fields": _basic(
        b"Content-Type: text/html; charset=utf-8\nContent-ID: <part1@example.org>\n"
        b"Content-Description: a =?utf-8?q?page?=\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n"
        b'Content-Disposition: inline; filename="a b.html"; size=12\n'
        b"Content-Language: en, de (German), fr\nContent-Location: http://example.org/a\n\n<p>hi\n"
    ),
    "disposition without a kind": _basic(b"Content-Disposition: ; filename=x\n\nhi\n"),
    "disposition attachment": _basic(b"Content-Disposition: ATTACHMENT; FileName=x\n\nhi\n"),
    # Multiparts.
    "RFC 2046 simple boundary": (
        b"From: Nathaniel Borenstein <nsb@bellcore.com>\nTo: Ned Freed <ned@innosoft.com>\n"
        b"Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\nSubject: Sample message\n"
        b'MIME-Version: 1.0\nContent-type: multipart/mixed; boundary="simple boundary"\n\n'
        b"This is the preamble.\n\n--simple boundary\n\n"
        b"This is implicitly typed plain US-ASCII text.\nIt does NOT end with a linebreak.\n"
        b"--simple boundary\nContent-type: text/plain; charset=us-ascii\n\n"
        b"This is explicitly typed plain US-ASCII text.\nIt DOES end with a linebreak.\n\n"
        b"--simple boundary--\n\nThis is the epilogue.\n"
    ),
    "multipart without a boundary": _basic(b"Content-Type: multipart/mixed\n\n--b\n\nhi\n--b--\n"),
    "multipart with an empty boundary": _basic(
        b'Content-Type: multipart/mixed; boundary=""\n\n--\n\nhi\n----\n'
    ),
    "multipart whose boundary is missing": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\nno boundary\nhere\n"
    ),
    "multipart that only closes": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b--\nepilogue\n"
    ),
    "multipart that is not closed": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"
    ),
    "multipart without an empty line": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n--b\n\none\n--b--\n"
    ),
    "boundary at the very end": _basic(b"Content-Type: multipart/mixed; boundary=b\n\n--b"),
    "boundary with white space": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b  \n\none\n--b\t\n\ntwo\n--b-- \n"
    ),
    "boundary with text behind": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bc\n--b c\n--b--x\n--b--\n"
    ),
    "boundary of a boundary": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/mixed; boundary=b--\n\n--b--\n\none\n--b----\n--b--\n"
    ),
    "same boundary twice": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"
    ),
    "boundary that begins another": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/alternative; boundary=b1\n\n--b1\n\none\n--b1--\n--b\n"
        b"\ntwo\n--b--\n"
    ),
    "outer boundary ends the inner multipart": _basic(
        b"Content-Type: multipart/mixed; boundary=out\n\n--out\n"
        b"Content-Type: multipart/alternative; boundary=in\n\n--in\n\none\n--out\n\ntwo\n--out--\n"
    ),
    "parts without bodies": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nContent-Type: a/b\n--b--\n"
    ),
    "part whose text follows at once": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nHello without a header,\n\n"
        b"more\n--b--\n"
    ),
    "part whose header lacks its empty line": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n<p>hi\n--b--\n"
    ),
    "empty lines around boundaries": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n\n\n--b\n\n\n\n\n--b\n\n\n--b--\n\n\n"
    ),
    "parts after the closing boundary": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"
    ),
    "multipart in base64": _basic(
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
        b"--b\n\none\n--b--\n"
    ),
    "boundary folded": _basic(
        b'Content-Type: multipart/mixed;\n\tboundary="a\n b"\n\n--a b\n\none\n--a b--\n'
    ),
    "boundary of 70 octets": _basic(
        b"Content-Type: multipart/mixed; boundary=%b\n\n--%b\n\none\n--%b--\n" % ((b"x" * 70,) * 3)
    ),
    "boundary of 300 octets": _basic(
        b"Content-Type: multipart/mixed; boundary=%b\n\n--%b\n\none\n--%b--\n" % ((b"x" * 300,) * 3)
    ),
    "boundary in two sections": _basic(
        b"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\none\n--ab--\n"
    ),
    "digest": _basic(
        b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: x@y.z\nSubject: one\n\nfirst\n"
        b"--b\nContent-Type: text/plain\n\nplain\n--b\n\nSubject: two\n\nsecond\n--b--\n"
    ),
    "digest without empty lines": _basic(
        b"Content-Type: multipart/digest; boundary=b\n\n--b\nFrom: x@y.z\nSubject: one\n\nfirst\n"
        b"--b\nnot a header\n\nx\n--b--\n"
    ),
    # Embedded messages.
    "message in a message": _basic(
        b"Content-Type: message/rfc822\n\nSubject: inner\nTo: x@y.z\n\ninner text\n"
    ),
    "message in a multipart": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\n"
        b"Content-Type: message/rfc822\n\nSubject: inner\n"
        b"Content-Type: multipart/mixed; boundary=c\n\n"
        b"--c\n\none\n--c\n\ntwo\n--c--\n--b--\n"
    ),
    "message ended by an outer boundary in its header": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        b"Subject: inner\n--b\n\ntwo\n--b--\n"
    ),
    "empty message in a multipart": _basic(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b--\n"
    ),
    "message in base64": _basic(
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQo=\n"
    ),
    "message/global": _basic("Content-Type: message/global\n\nSubject: ü\n\ntext\n".encode()),
    "message/partial": _basic(
        b"Content-Type: message/partial; id=x; number=1\n\nSubject: x\n\ny\n"
    ),
    "delivery status": _basic(
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        b"--b\n\nfailed\n"
        b"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n"
        b"--b\nContent-Type: text/rfc822-headers\n\nSubject: x\n--b--\n"
    ),
    "message in a message in a message": _basic(
        b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: innermost\n\nx\n"
    ),
    # Bodies.
    "binary body": _basic(
        b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n"
        + bytes(range(256))
    ),
    "long line": _basic(b"\n" + b"x" * 5000 + b"\n"),
    "long field": b"Subject: " + b"word " * 2000 + b"\n\nhi\n",
    "many recipients": b"To: " + b", ".join(b"u%d@x.org" % n for n in range(300)) + b"\n\nhi\n",
    "HTML only": _basic(
        b"Content-Type: text/html\n\n<html><head><style>p {x: y}</style></head><!-- no -->"
        b"<body><p>Hello &amp; <b>welcome</b>&nbsp;!</p></body></html>\n"
    ),
    "only an attachment": _basic(
        b"Content-Type: text/plain\nContent-Disposition: attachment; filename=x.txt\n\nnot shown\n"
    ),
}

for _line in (
    b"Mon, 10 Jun 2024 10:11:09 +0200",
    b"10 Jun 2024 10:11:09 +0200",
    b"10 Jun 24 10:11 GMT",
    b"Mon, 10 Jun 2024 10:11:09 EDT",
    b"Mon, 10 Jun 2024 10:11:09 Z",
    b"Mon, 10 Jun 2024 10:11:09 (CEST) +0200 (CEST)",
    b"Mon Jun 10 10:11:09 2024",
    b"Mon Jun 10 10:11:09 PDT 2024",
    b"Monday, 10-Jun-24 10:11:09 UTC",
    b"2024-06-10T10:11:09+02:00",
    b"Mon, 31 Feb 2024 10:11:09 +0200",
    b"Mon, 10 Jun 2024 99:99:99 +0200",
    b"Mon, 10 Jun 2024 10:11:60 +0000",
    b"Mon, 10 Jun 2024",
    b"yesterday",
    b"Sat, 1 Jan 100 00:00:00 -0330",
):
    CRAFTED["date " + _line.decode()] = b"Date: " + _line + b"\n\nhi\n"

for _line in (
    b"Re: hello",
    b"RE: FW: Fwd: hello (fwd) (FWD)",
    b"Re[2]: hello",
    b"[list] Re: [list] hello",
    b"[a] [b]",
    b"[Fwd: hello]",
    b"Re: [Fwd: Re: hello (fwd)] ",
    b"=?utf-8?q?Re=3A_hello?=",
    b"Aw: hello",
    b"re",
    b"Re:",
    b"   spaced    out   ",
    "Straße ﬁ ǆ İ".encode(),
):
    CRAFTED["subject " + _line.decode()] = b"Subject: " + _line + b"\n\nhi\n"


def generated() -> Iterator[tuple[str, bytes]]:
    """Texts of all charsets in all encodings, alone and in structures, with CRLF and LF."""
    kinds = (b"text/plain", b"text/html", b"application/octet-stream")
    encodings = (b"7bit", b"8bit", b"base64", b"quoted-printable")
    for (charset, text), encoding, kind in itertools.product(TEXTS.items(), encodings, kinds):
        part = _part(kind, charset, encoding, text)
        name = f"{kind.decode()} {charset.decode()} {encoding.decode()}"
        yield f"{name} alone", crlf(_basic(part))
        if kind != b"application/octet-stream":
            yield f"{name} LF", _basic(part)
            yield f"{name} mixed", crlf(_multipart(b"mixed", [part, part]))
    parts = [
        _part(b"text/plain", *each) for each in ((b"utf-8", b"8bit", "a\n"), (b"", b"7bit", "b"))
    ]
    for outer, inner in itertools.product((b"mixed", b"alternative", b"digest"), repeat=2):
        nested = _multipart(inner, parts, boundary=b"inner", header=b"")
        name = f"{outer.decode()} of {inner.decode()}"
        yield name, crlf(_multipart(outer, [parts[0], nested, parts[1]]))
        embedded = b"Content-Type: message/rfc822\n\n" + _basic(nested)
        yield f"{name} in a message", crlf(_multipart(outer, [embedded, parts[1]]))


def _part(kind: bytes, charset: bytes, encoding: bytes, text: str) -> bytes:
    codec = "utf-8" if charset in (b"", b"x-unknown") else charset.decode()
    octets = text.encode(codec)
    if encoding == b"base64":
        octets = base64.encodebytes(octets)
    elif encoding == b"quoted-printable":
        octets = quopri.encodestring(octets)
    parameter = b"; charset=" + charset if charset else b""
    header = b"Content-Type: %b%b\nContent-Transfer-Encoding: %b\n\n" % (kind, parameter, encoding)
    return header + octets


def _multipart(
    subtype: bytes, parts: list[bytes], boundary: bytes = b"outer", header: bytes = BASIC
) -> bytes:
    head = header + b'Content-Type: multipart/%b; boundary="%b"\n\n' % (subtype, boundary)
    inside = b"".join(b"--%b\n%b\n" % (boundary, part) for part in parts)
    return head + b"preamble\n" + inside + b"--%b--\n" % boundary


def messages() -> dict[str, bytes]:
    """All messages by name; the crafted ones with CRLF and, where that differs, with LF."""
    found = {name: crlf(message) for name, message in CRAFTED.items()}
    found |= {f"{name}, LF": message for name, message in CRAFTED.items() if b"\n" in message}
    found |= dict(generated())
    return found
