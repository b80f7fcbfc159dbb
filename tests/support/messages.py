# SPDX-License-Identifier: GPL-3.0-or-later
"""A few messages for transcripts, by name; small, and each with one point."""


def _message(text: str) -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode("utf-8") + b"\r\n"


MESSAGES: dict[str, bytes] = {
    #: 4 header fields, one line of text.
    "plain": _message(
        """
Date: Mon, 5 Jan 2026 09:00:00 +0000
From: Alice <alice@example.org>
To: bob@example.net
Subject: Lunch

Noon at the harbour?
"""
    ),
    #: A text with an alternative in HTML, and an attachment in base64.
    "mixed": _message(
        """
Date: Mon, 5 Jan 2026 09:30:00 +0100
From: "Carol" <carol@example.org>
To: Alice <alice@example.org>, bob@example.net
Cc: dave@example.com
Subject: =?utf-8?q?Pl=C3=A4ne?=
Message-ID: <plans@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Pl=C3=A4ne und Karten
--inner
Content-Type: text/html; charset=utf-8

<p>Karten</p>
--inner--
--outer
Content-Type: application/octet-stream; name="map.bin"
Content-Disposition: attachment; filename="map.bin"
Content-Transfer-Encoding: base64

AAECAwQFBgc=
--outer--
"""
    ),
    #: A message with a message inside.
    "forward": _message(
        """
Date: Tue, 6 Jan 2026 12:00:00 +0000
From: bob@example.net
To: alice@example.org
Subject: Fwd: Lunch
In-Reply-To: <lunch@example.org>
MIME-Version: 1.0
Content-Type: message/rfc822

Date: Mon, 5 Jan 2026 09:00:00 +0000
From: Alice <alice@example.org>
Subject: Lunch

Noon?
"""
    ),
}
