# SPDX-License-Identifier: GPL-3.0-or-later
"""
Random histories of two to four replicas: cut links, lost questions and answers, crashes.

However it goes, all are equal in the end and nothing that was answered is missing. A failing seed
is found again by its number.
"""

from random import Random

from tests.replication.cluster import ClusterCase

SEEDS = 6
KEYS = ("fred", "anna")


class HistoryTests(ClusterCase):
    def history(self, seed: int) -> None:
        chance, loss = Random(seed), Random(seed * 7)
        replicas = self.replicas(chance.choice([2, 3, 3, 4]))
        share = chance.choice([0, 0, 0.01, 0.03])
        self.network.fails = lambda kind, what: loss.random() < share
        count = 0
        for _ in range(60):
            at, key, dice = chance.choice(replicas), chance.choice(KEYS), chance.random()
            if dice < 0.55:
                body = b"mail %d" % count + b"x" * chance.choice([0, 10, 5000, 200_000])
                self.append(at, body, key)
                count += 1
            elif dice < 0.65:
                self.network.cut(*chance.sample(replicas, 2))
            elif dice < 0.75:
                self.network.heal()
            elif dice < 0.82:
                at.crash()
            else:
                self.run_for(chance.choice([0.05, 0.3, 2, 6]))
        self.network.fails = lambda kind, what: False
        self.network.heal()
        self.run_for(60)
        for key in KEYS:
            self.same(*replicas, key=key)
        self.assertEqual(sum(len(self.uids(replicas[0], key)) for key in KEYS), count)

    def test_histories(self) -> None:
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                self.setUp()
                self.history(seed)
