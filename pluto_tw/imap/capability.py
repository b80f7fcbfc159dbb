# SPDX-License-Identifier: GPL-3.0-or-later
"""
What CAPABILITY says: exactly what works on a connection in its present state. RFC 9051 §6.1.1.

A name stands here only if the commands of the table do all of what its specification asks.
"""

from collections.abc import Sequence

#: Works in every state.
ALWAYS = (
    b"IMAP4rev1",
    b"IMAP4rev2",
    b"ENABLE",
    b"ID",
    # RFC 7888 §5: LITERAL- is the part of it that IMAP4rev2 clients use anyway; only one of the
    # two may be announced.
    b"LITERAL+",
    b"SASL-IR",
)

#: Works once a user is known.
AUTHENTICATED = (
    b"BINARY",
    b"CHILDREN",
    b"CONDSTORE",
    b"CREATE-SPECIAL-USE",
    b"ESEARCH",
    b"I18NLEVEL=1",
    b"IDLE",
    b"LIST-EXTENDED",
    b"LIST-STATUS",
    b"MOVE",
    b"MULTIAPPEND",
    b"NAMESPACE",
    b"OBJECTID",
    b"QRESYNC",
    b"SEARCHRES",
    b"SPECIAL-USE",
    b"STATUS=SIZE",
    b"UIDPLUS",
    b"UNSELECT",
    b"WITHIN",
)


def capabilities(
    *,
    authenticated: bool,
    can_start_tls: bool,
    login_allowed: bool,
    mechanisms: Sequence[bytes],
    append_octets_max: int | None,
) -> bytes:
    """
    The list for a connection with these properties, names separated by spaces.

    *append_octets_max* is the account's limit, RFC 7889; None: not known yet, or there is none.
    """
    names = list(ALWAYS)
    if authenticated:
        names += AUTHENTICATED
        if append_octets_max is not None:
            names.append(b"APPENDLIMIT=%d" % append_octets_max)
        return b" ".join(names)
    if can_start_tls:
        names.append(b"STARTTLS")
    if not login_allowed:
        names.append(b"LOGINDISABLED")
    names += [b"AUTH=" + mechanism for mechanism in mechanisms]
    return b" ".join(names)
