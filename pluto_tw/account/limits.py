# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an account may hold: octets against its quota, keywords in a mailbox, the size of a message.

Asked on the staged state, within the command, so that two commands at once cannot pass a limit
together. What other replicas add at the same time may; what they agreed on stays.
"""

from collections.abc import Iterable, Mapping

from pluto_tw.account.site import Limits
from pluto_tw.mail.codes import LIMIT, OVERQUOTA, TOOBIG
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import KEYWORDS_MAX, Flag, Flags, flag_key, is_system


def allow_size(limits: Limits, size: int) -> None:
    """No(TOOBIG) if a message of *size* octets is not taken. RFC 7889 §4."""
    if size > limits.append_octets_max:
        raise No(TOOBIG, f"a message has at most {limits.append_octets_max} octets")


def allow_octets(limits: Limits, used: int, octets: int) -> None:
    """No(OVERQUOTA) if *octets* more than the *used* ones are too many."""
    most = limits.quota_octets_max
    if most is not None and octets and used + octets > most:
        raise No(OVERQUOTA, f"the quota of {most} octets is used up")


def spelled(known: Mapping[str, Flag], flags: Flags) -> Flags:
    """*flags* in the spelling of a mailbox that knows the keywords *known*, by `flag_key`."""
    if all(is_system(flag) for flag in flags):
        return flags
    return frozenset(known.get(flag_key(flag), flag) for flag in flags)


def allow_keywords(known: Mapping[str, Flag], sets: Iterable[Flags]) -> None:
    """No(LIMIT) if a mailbox that knows *known* cannot take on all new keywords of *sets*."""
    fresh = {
        flag_key(flag)
        for flags in sets
        for flag in flags
        if not is_system(flag) and flag_key(flag) not in known
    }
    if fresh and len(known) + len(fresh) > KEYWORDS_MAX:
        raise No(LIMIT, f"a mailbox has at most {KEYWORDS_MAX} keywords")
