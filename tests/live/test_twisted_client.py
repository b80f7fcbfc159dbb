# SPDX-License-Identifier: GPL-3.0-or-later
"""Twisted's own client, on the same reactor as the server."""

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.mail.imap4 import IMAP4Client, MessageSet, Query

from tests.live.server import LiveTestCase, the_reactor
from tests.support.messages import MESSAGES


class Client(IMAP4Client):
    """Says when the server has greeted it."""

    def __init__(self, context: Any) -> None:
        IMAP4Client.__init__(self, context)
        self.greeted: Deferred[Any] = Deferred()

    def serverGreeting(self, capabilities: Any) -> None:
        self.greeted.callback(capabilities)


class TwistedClientTests(LiveTestCase):
    async def connect(self) -> Client:
        """A client in TLS, by STARTTLS."""
        authority = Certificate.loadPEM(self.server.certificate)
        client = Client(optionsForClientTLS("localhost", trustRoot=authority))
        endpoint = TCP4ClientEndpoint(the_reactor(), "127.0.0.1", self.server.plain_port)
        await connectProtocol(endpoint, client)
        await client.greeted
        await client.startTLS()
        return client

    def test_tour(self) -> Deferred[None]:
        return self.in_reactor(self._tour())

    async def _tour(self) -> None:
        client = await self.connect()
        assert b"AUTH" in await client.getCapabilities()
        await client.login(b"fred", b"secret")
        await client.create("Archive")
        await client.subscribe("Archive")
        assert [name for _, _, name in await client.lsub("", "*")] == ["Archive"]
        listed = await client.list("", "%")
        assert sorted(name for _, _, name in listed) == ["Archive", "INBOX"]
        assert (await client.status("Archive", "MESSAGES"))["MESSAGES"] == 0

        for message in MESSAGES.values():
            await client.append("INBOX", BytesIO(message), ("\\Seen",))
        selected = await client.select("INBOX")
        assert (selected["EXISTS"], selected["READ-WRITE"]) == (3, True)

        everything = MessageSet(1, None)
        bodies = await client.fetchMessage(everything)
        assert [bodies[n]["RFC822"].encode("utf-8") for n in (1, 2, 3)] == list(MESSAGES.values())
        envelopes = await client.fetchEnvelope(everything)
        assert envelopes[1]["ENVELOPE"][1] == "Lunch"
        structures = await client.fetchBodyStructure(everything)
        assert len(structures) == 3
        sizes = await client.fetchSize(everything, uid=True)
        assert {int(row["RFC822.SIZE"]) for row in sizes.values()} == {
            len(message) for message in MESSAGES.values()
        }
        assert await client.search(Query(subject="Lunch")) == [1, 3]

        await client.addFlags("1", ("\\Deleted",))
        await client.copy("2:3", "Archive", uid=False)
        assert await client.expunge() == [1]
        await client.noop()
        await client.close()
        assert (await client.status("Archive", "MESSAGES"))["MESSAGES"] == 2
        await client.rename("Archive", "Old")
        await client.delete("Old")
        await client.logout()

    def test_news_are_told_with_the_next_answer(self) -> Deferred[None]:
        async def tour() -> None:
            client = await self.connect()
            await client.login(b"fred", b"secret")
            await client.select("INBOX")
            self.server.account.deliver(MESSAGES["plain"])
            assert [b"1", b"EXISTS"] in await client.noop()
            await client.logout()

        return self.in_reactor(tour())
