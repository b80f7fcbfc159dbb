# SPDX-License-Identifier: GPL-3.0-or-later
"""
Compares the accounts of one subnet, replica by replica.

Each replica is asked for its vector and digest, and `comparison.py` judges. Mail that is on its way
looks like a replica that is behind, so accounts that are not equal are asked about again: until
they are, or nothing moves any more, or a few times. What is said of it all is for
`check_report.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pluto_tw.account.subnet import MEMBERS_KEY
from pluto_tw.admin.asking import AskFailed
from pluto_tw.admin.comparison import Compared, Told, Verdict, compare
from pluto_tw.admin.replicas import Failure, Replicas

#: Seconds between one look at the accounts that are not equal and the next. Mail is at the other
#: replicas within a tenth of a second, and a link that was lost is back within a second or two.
PAUSES_SECONDS: Final = (0.2, 0.8, 1.5, 2.5)

#: So many looks that show the same are believed.
SAME_LOOKS: Final = 3


@dataclass(slots=True)
class Result:
    """
    What is known of an account: what replicas have *told*, why others have not (*failures*), and
    which could not be asked anything (*away*), by Name.
    """

    told: dict[str, Told] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    away: list[str] = field(default_factory=list)
    compared: Compared = field(default_factory=lambda: compare({}))
    #: How many looks have shown this.
    looks: int = 1

    @property
    def verdict(self) -> Verdict:
        """Of the replicas that could be asked; one that did not answer counts as behind."""
        least = Verdict.BEHIND if self.failures else Verdict.EQUAL
        return max(self.compared.verdict, least)

    @property
    def is_known(self) -> bool:
        """Whether some replica has ever heard of the account."""
        return any(any(told.vector) for told in self.told.values())

    @property
    def messages(self) -> int:
        """As many as the fullest replica has."""
        return max((one.messages for one in self.told.values()), default=0)


class Checking:
    """
    Of the accounts of *replicas*. *settled* is called with each account when nothing more is asked
    about it; *sleep* waits.
    """

    def __init__(
        self,
        replicas: Replicas,
        settled: Callable[[str, Result], None],
        sleep: Callable[[float], None],
    ) -> None:
        self.replicas = replicas
        #: By key, as they are known now.
        self.results: dict[str, Result] = {}
        #: Why nobody of this subnet can be asked; empty if somebody can.
        self.failure = ""
        #: Why a replica could not be asked for its accounts, by Name.
        self.unlisted: dict[str, str] = {}
        self._settled = settled
        self._sleep = sleep

    @property
    def away(self) -> Mapping[str, str]:
        """Who could not be asked, by Name, and why."""
        return {**self.unlisted, **self.replicas.away}

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many accounts of users there are of each verdict."""
        verdicts = [one.verdict for key, one in self.results.items() if key != MEMBERS_KEY]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    @property
    def verdict(self) -> Verdict:
        """Of the whole subnet."""
        is_whole = not (self.failure or self.away or self.replicas.strangers)
        least = Verdict.EQUAL if is_whole else Verdict.BEHIND
        return max([least, *(result.verdict for result in self.results.values())])

    def find(self) -> None:
        """Learns who belongs to the subnet, or sets `failure`."""
        try:
            self.replicas.find()
        except AskFailed as failed:
            self.failure = str(failed)

    def all(self, *, bodies: bool) -> None:
        """Compares all accounts that any replica has."""
        keys = self._accounts()
        if self.unlisted:
            # A link that was just lost may be back.
            self._sleep(sum(PAUSES_SECONDS[:2]))
            self.replicas.retry()
            keys |= self._accounts()
        # The members first: what they say of the subnet matters to all others.
        self._compare(sorted(keys, key=lambda key: (key != MEMBERS_KEY, key)), bodies=bodies)

    def one(self, key: str, *, bodies: bool) -> None:
        """Compares the account *key*; there is no result if no replica has ever heard of it."""
        self._compare([key], bodies=bodies)
        if not self.results[key].is_known:
            del self.results[key]

    def _compare(self, keys: Iterable[str], *, bodies: bool) -> None:
        pending = []
        for key in keys:
            result = self.results[key] = self._look(key, bodies=bodies)
            if _may_change(result):
                pending.append(key)
            else:
                self._settled(key, result)
        for pause in PAUSES_SECONDS:
            if not pending:
                return
            self._sleep(pause)
            self.replicas.retry()
            pending = [key for key in pending if not self._again(key)]
        for key in pending:
            self._settled(key, self.results[key])

    def _again(self, key: str) -> bool:
        """Looks once more; whether that is the end of it."""
        before = self.results[key]
        result = self.results[key] = self._look(key, mailboxes=True)
        if _same(result, before):
            result.looks = before.looks + 1
        if _may_change(result) and result.looks < SAME_LOOKS:
            return False
        self._settled(key, result)
        return True

    def _look(self, key: str, *, bodies: bool = False, mailboxes: bool = False) -> Result:
        result = Result()
        question = {"ask": "digest", "key": key, "bodies": bodies, "mailboxes": mailboxes}
        for name, answer in self.replicas.ask(question).items():
            if not isinstance(answer, Failure):
                try:
                    result.told[name] = Told.read(answer)
                except ValueError as error:
                    result.failures[name] = str(error)
            elif name in self.replicas.away:
                result.away.append(name)
            else:
                result.failures[name] = answer.reason
        result.compared = compare(result.told)
        return result

    def _accounts(self) -> set[str]:
        """The keys of all accounts that some replica has, as far as they can be asked."""
        self.unlisted.clear()
        keys: set[str] = set()
        for name in self.replicas.names:
            after: str | None = ""
            while after is not None:
                question = {"ask": "accounts", "after": after}
                answer = self.replicas.ask(question, [name])[name]
                if isinstance(answer, Failure):
                    self.unlisted[name] = answer.reason
                    break
                keys.update(str(row["key"]) for row in answer["accounts"])
                following = answer.get("next")
                after = None if following is None else str(following)
        return keys


def _may_change(result: Result) -> bool:
    """Whether it is worth asking again: a body that is lost is, whatever else there is."""
    return result.verdict is not Verdict.EQUAL and not result.compared.unfit


def _same(one: Result, other: Result) -> bool:
    """Whether replicas have told the same, the mailboxes left out."""
    if (one.failures, one.away) != (other.failures, other.away) or not one.looks:
        return False
    return {name: (told.vector, told.digest) for name, told in one.told.items()} == {
        name: (told.vector, told.digest) for name, told in other.told.items()
    }
