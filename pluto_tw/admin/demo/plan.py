# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the demo consists of: two regions with a distributor and a worker each, and one storage.

Decides names, ports and configurations. Each region, and storage, has a configuration of its own,
as on machines of its own; where it names a node elsewhere, the address is that of the relay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUBNET: Final = "subnet-1"

#: Where users reach each region: the offsets of implicit TLS and of STARTTLS from the base.
MAIL_OFFSETS: Final = {"eu": (993, 143), "us": (1993, 1143)}

#: From the base: ports of nodes, and those of the relay in front of them.
_NODES: Final = 3001
_RELAYS: Final = 3101

#: The highest offset that is used.
OFFSET_MAX: Final = 3200

DISTRIBUTORS: Final = ("eu-distributor", "us-distributor")
STORAGE: Final = "storage"
#: Replicas, each with a port for replicas and one for distributors.
REPLICAS: Final = ("eu-worker-1", "us-worker-1", STORAGE)

#: Nodes in the order in which they are started.
NODES: Final = (*REPLICAS, *DISTRIBUTORS)

#: What `cut`, `delay` and `heal` may call a group of nodes.
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "eu": ("eu-distributor", "eu-worker-1"),
    "us": ("us-distributor", "us-worker-1"),
}

USERS: Final = tuple((f"user{number}", f"secret{number}") for number in range(1, 11))


@dataclass(frozen=True, slots=True)
class Way:
    """A port of the relay, *port*, by which *source* reaches what *target* has on *to*."""

    source: str
    target: str
    port: int
    to: int


class Plan:
    """The demo in *directory*, with ports from *base* on."""

    def __init__(self, directory: Path, base: int) -> None:
        self.directory = directory
        self.base = base
        self._sync = {name: base + _NODES + at for at, name in enumerate(REPLICAS)}
        self._mail = {name: base + _NODES + 10 + at for at, name in enumerate(REPLICAS)}
        self._metrics = {name: base + _NODES + 20 + at for at, name in enumerate(NODES)}
        wanted = [
            *((one, other, self._sync) for one in REPLICAS for other in REPLICAS if one != other),
            *(
                (one, other, self._mail)
                for one in DISTRIBUTORS
                for other in REPLICAS
                if place_of(one) != place_of(other)
            ),
        ]
        self.ways = [
            Way(source, target, base + _RELAYS + at, ports[target])
            for at, (source, target, ports) in enumerate(wanted)
        ]

    def ports(self) -> dict[int, str]:
        """All ports of 127.0.0.1 that are listened on, and for what, in words."""
        ways = {"TLS": 0, "STARTTLS": 1}
        return {
            **{
                self.base + offsets[at]: f"{region}, for mail programs, {how}"
                for region, offsets in MAIL_OFFSETS.items()
                for how, at in ways.items()
            },
            **{port: f"{name}, for replicas" for name, port in self._sync.items()},
            **{port: f"{name}, for distributors" for name, port in self._mail.items()},
            **{port: f"{name}, for its metrics" for name, port in self._metrics.items()},
            **{way.port: f"the relay from {way.source} to {way.target}" for way in self.ways},
        }

    def command(self, node: str) -> list[str]:
        """What `twistd` is given for *node*."""
        config = str(self.config(node))
        if node in DISTRIBUTORS:
            return ["pluto-distributor", "--config", config]
        if node == STORAGE:
            return ["pluto-storage", "--config", config]
        return ["pluto-worker", "--name", node, "--config", config]

    def config(self, node: str) -> Path:
        """The configuration that *node* is started with."""
        return self.directory / place_of(node) / "config.toml"

    def configs(self) -> dict[Path, str]:
        """All configurations by their files."""
        regions = {region: self._region(region) for region in MAIL_OFFSETS}
        texts = {**regions, STORAGE: self._storage()}
        return {self.directory / place / "config.toml": text for place, text in texts.items()}

    def _way(self, source: str, target: str, to: int) -> int:
        return next(
            way.port
            for way in self.ways
            if (way.source, way.target, way.to) == (source, target, to)
        )

    def _head(self) -> str:
        return f"""\
# Made by `pluto demo run`, and made anew each time.
RootCertLoc = "{self.directory}/certs/root-cert.pem"

[IMAP]
Greeting = "Pluto ready."
HierarchySeparator = "."
Distributors = ["eu-distributor", "us-distributor"]
"""

    def _region(self, region: str) -> str:
        distributor, worker = PLACES[region]
        others = [name for name in REPLICAS if name != worker]
        tls, starttls = (self.base + offset for offset in MAIL_OFFSETS[region])
        root = self.directory
        peers = self._peers(worker)
        mail_peers = "".join(
            f'    {other} = "127.0.0.1:{self._way(distributor, other, self._mail[other])}"\n'
            for other in others
        )
        return f"""\
{self._head()}
[Distributor]
Name = "{distributor}"
PublicMailAddr = "127.0.0.1:{tls}"
ListenMailAddr = "127.0.0.1:{tls}"
ListenStartTLSAddr = "127.0.0.1:{starttls}"
PrometheusAddr = "127.0.0.1:{self._metrics[distributor]}"
AdminSocket = "{root}/run/{distributor}.admin"
PublicCertLoc = "{root}/certs/public-distributor-cert.pem"
PublicKeyLoc = "{root}/certs/public-distributor-key.pem"
{self._pair("Internal", distributor)}
AuthAdapter = "AuthFile"

    [Distributor.AuthFile]
    File = "{root}/users.txt"
    Separator = ";"

[Workers.{worker}]
Name = "{worker}"
PublicMailAddr = "127.0.0.1:{self._mail[worker]}"
ListenMailAddr = "127.0.0.1:{self._mail[worker]}"
PublicSyncAddr = "127.0.0.1:{self._sync[worker]}"
ListenSyncAddr = "127.0.0.1:{self._sync[worker]}"
PrometheusAddr = "127.0.0.1:{self._metrics[worker]}"
StoreRoot = "{root}/{region}/mail"
{self._pair("", worker)}

    [Workers.{worker}.Peers.{SUBNET}]
{peers}
    [Workers.{worker}.MailPeers.{SUBNET}]
{mail_peers}"""

    def _storage(self) -> str:
        root = self.directory
        return f"""\
{self._head()}
[Storage]
Name = "{STORAGE}"
PublicMailAddr = "127.0.0.1:{self._mail[STORAGE]}"
ListenMailAddr = "127.0.0.1:{self._mail[STORAGE]}"
PrometheusAddr = "127.0.0.1:{self._metrics[STORAGE]}"
StoreRoot = "{root}/{STORAGE}/mail"
{self._pair("", STORAGE)}

    [Storage.SyncAddrs.{SUBNET}]
    Public = "127.0.0.1:{self._sync[STORAGE]}"
    Listen = "127.0.0.1:{self._sync[STORAGE]}"

    [Storage.Peers.{SUBNET}]
{self._peers(STORAGE)}"""

    def _peers(self, name: str) -> str:
        return "".join(
            f'    {other} = "127.0.0.1:{self._way(name, other, self._sync[other])}"\n'
            for other in REPLICAS
            if other != name
        )

    def _pair(self, prefix: str, name: str) -> str:
        at = f"{self.directory}/certs/internal-{name}"
        return f'{prefix}CertLoc = "{at}-cert.pem"\n{prefix}KeyLoc = "{at}-key.pem"'


def place_of(node: str) -> str:
    """The region of *node*; storage stands by itself."""
    return next((place for place, nodes in PLACES.items() if node in nodes), STORAGE)
