# SPDX-License-Identifier: GPL-3.0-or-later
"""
The one-word items of FETCH, for many messages at a time: a column of values an item.

Decides how each value is written. Where a value comes from, the mailbox or the facts of the
messages, decides whether it costs a look into memory or into the store. RFC 9051 §7.5.2; RFC 7162
§3.1.4.2; RFC 8474 §5.3.
"""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from pluto_tw.imap import structure
from pluto_tw.imap.dates import format_date_time
from pluto_tw.imap.fetch_items import Attribute
from pluto_tw.imap.responses import flag_list
from pluto_tw.imap.selected import Features, Selected
from pluto_tw.mime.facts import Facts

#: What must be asked for by `OpenMailbox.facts`.
OF_FACTS: Final = frozenset({Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE})

_FORMS: Final = {
    Attribute.UID: b"UID %d",
    Attribute.FLAGS: b"FLAGS %b",
    Attribute.MODSEQ: b"MODSEQ (%d)",
    Attribute.INTERNALDATE: b"INTERNALDATE %b",
    Attribute.RFC822_SIZE: b"RFC822.SIZE %d",
    Attribute.EMAILID: b"EMAILID (%b)",
    Attribute.THREADID: b"THREADID %b",
    Attribute.ENVELOPE: b"ENVELOPE %b",
    Attribute.BODY: b"BODY %b",
    Attribute.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
}


def texts(
    attribute: Attribute,
    selected: Selected,
    uids: Sequence[int],
    features: Features,
    facts: Sequence[Facts] = (),
) -> list[bytes]:
    """Name and value of *attribute*, one a message; *facts* of each if it is `OF_FACTS`."""
    form = _FORMS[attribute]
    return [form % value for value in _values(attribute, selected, uids, features, facts)]


def lines(
    attributes: Sequence[Attribute],
    selected: Selected,
    numbers: Iterable[int],
    uids: Sequence[int],
    features: Features,
    facts: Sequence[Facts] = (),
) -> list[bytes]:
    """A FETCH response with *attributes* for each message of the view: its number, its UID."""
    form = b"* %%d FETCH (%b)\r\n" % b" ".join([_FORMS[attribute] for attribute in attributes])
    columns = [_values(each, selected, uids, features, facts) for each in attributes]
    return [form % row for row in zip(numbers, *columns, strict=True)]


def _values(
    attribute: Attribute,
    selected: Selected,
    uids: Sequence[int],
    features: Features,
    facts: Sequence[Facts],
) -> Iterable[int] | Iterable[bytes]:
    """The values of *attribute* as its form wants them."""
    mailbox = selected.mailbox
    match attribute:
        case Attribute.UID:
            return uids
        case Attribute.FLAGS:
            return map(flag_list, selected.shown_flags(uids, features))
        case Attribute.MODSEQ:
            return mailbox.modseqs(uids)
        case Attribute.INTERNALDATE:
            dates = mailbox.internal_dates(uids)
            return [format_date_time(date.seconds, date.zone_minutes) for date in dates]
        case Attribute.RFC822_SIZE:
            return mailbox.sizes(uids)
        case Attribute.EMAILID:
            return [email_id.encode("ascii") for email_id in mailbox.email_ids(uids)]
        case Attribute.THREADID:
            return [_thread_id(thread_id) for thread_id in mailbox.thread_ids(uids)]
        case Attribute.ENVELOPE:
            return [structure.envelope(each.envelope, utf8=features.utf8) for each in facts]
        case Attribute.BODY:
            return [_body(each, features, extensible=False) for each in facts]
        case Attribute.BODYSTRUCTURE:
            return [_body(each, features, extensible=True) for each in facts]
        case _:
            assert_never(attribute)


def _thread_id(thread_id: str | None) -> bytes:
    return b"NIL" if thread_id is None else b"(%b)" % thread_id.encode("ascii")


def _body(facts: Facts, features: Features, *, extensible: bool) -> bytes:
    return structure.body(facts, extensible=extensible, rev2=features.rev2, utf8=features.utf8)
