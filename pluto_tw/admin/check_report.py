# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pluto check` has found, in lines for people and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pluto_tw.account.subnet import MEMBERS_KEY
from pluto_tw.admin.checking import Checking, Result
from pluto_tw.admin.comparison import Verdict

#: Names of mailboxes in a line, and of messages without a body. All are in the JSON.
NAMED_MAX: Final = 5


def line_of(key: str, result: Result) -> str:
    """What there is to say of the account *key*."""
    called = "(the table of members)" if key == MEMBERS_KEY else key
    return f"{called}: {'; '.join(_parts(result))}"


def last_lines(checking: Checking) -> Iterator[str]:
    """What there is to say of the subnet as a whole, at the end."""
    replicas = checking.replicas
    if checking.failure:
        yield f"{replicas.subnet}: nobody could be asked: {checking.failure}"
        return
    for name, reason in checking.away.items():
        yield f"{name} cannot be asked: {reason}"
    for name in replicas.strangers:
        yield f"{name} is configured, and no member yet"
    counts = checking.counts
    at = ", ".join(name for name in replicas.names if name not in checking.away) or "no replica"
    yield (
        f"{replicas.subnet}: {_number(sum(counts.values()), 'account')} at {at}: "
        + ", ".join(f"{count} {verdict.name.lower()}" for verdict, count in counts.items())
    )


def json_of(checking: Checking) -> Mapping[str, Any]:
    """All of it."""
    replicas = checking.replicas
    counts = {verdict.name.lower(): count for verdict, count in checking.counts.items()}
    return {
        "subnet": replicas.subnet,
        "verdict": checking.verdict.name.lower(),
        "error": checking.failure or None,
        "replicas": [
            {
                "name": name,
                "asked_by": replicas.way(name),
                "error": checking.away.get(name),
            }
            for name in replicas.names
        ],
        "no_members": replicas.strangers,
        "counts": counts,
        "accounts": [_account(key, result) for key, result in checking.results.items()],
    }


def _parts(result: Result) -> Iterator[str]:
    compared = result.compared
    if result.verdict is Verdict.EQUAL:
        yield f"equal, {_number(result.messages, 'message')}"
    if compared.groups:
        where = [name or "the subscriptions" for name in compared.mailboxes]
        groups = " and ".join(", ".join(group) for group in compared.groups)
        yield f"different at {groups}" + (f", in {_some(where)}" if where else "")
    for name, count in compared.unfit.items():
        places = [f"{mailbox} {uid}" for mailbox, uid in result.told[name].places]
        bodies = "body" if count == 1 else "bodies"
        yield f"{count} {bodies} missing or damaged at {name}: {_some(places)}"
    for name, count in compared.behind.items():
        yield f"{name} is behind by {count}"
    if compared.settling:
        yield f"still changing at {', '.join(compared.settling)}"
    for name, reason in result.failures.items():
        yield f"{name} does not answer: {reason}"
    if result.away:
        yield f"not asked: {', '.join(result.away)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _account(key: str, result: Result) -> Mapping[str, Any]:
    compared = result.compared
    told = {
        name: {
            "vector": list(one.vector),
            "behind": compared.behind.get(name, 0),
            "outstanding": one.outstanding,
            "steady": one.steady,
            "digest": one.digest,
            "messages": one.messages,
            "unfit": one.unfit,
            "places": [list(place) for place in one.places],
        }
        for name, one in result.told.items()
    }
    return {
        "key": key,
        "verdict": result.verdict.name.lower(),
        "groups": [list(group) for group in compared.groups],
        "mailboxes": list(compared.mailboxes),
        "replicas": {
            **told,
            **{name: {"error": reason} for name, reason in result.failures.items()},
        },
        "away": result.away,
    }
