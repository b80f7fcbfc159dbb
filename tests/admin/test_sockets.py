# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes configurations name, and where they answer."""

from pathlib import Path

from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.sockets import answering
from tests.admin.nodes import NodesCase


class AnsweringTests(NodesCase):
    def test_sockets_as_written_or_in_the_store(self) -> None:
        found = {node.name: node for node in answering([self.config])}
        self.assertEqual(
            {name: node.socket for name, node in found.items()},
            {
                "eu": Path("/run/eu"),
                "storage": Path("/mail/storage/admin"),
                "eu-distributor": Path("/run/eu-distributor"),
            },
        )
        self.assertEqual(found["eu"].peers, {"subnet": ("us", "storage")})
        self.assertEqual(found["eu-distributor"].peers, {})

    def test_a_node_of_two_files_is_one(self) -> None:
        self.assertEqual(answering([self.config, self.config]), answering([self.config]))

    def test_a_configuration_with_faults_or_without_nodes(self) -> None:
        self.config.write_text("[IMAP]\n")
        self.assertRaises(CommandFailed, answering, [self.config])
        self.config.write_text("[Workers.eu]\nName = 1\n")
        self.assertRaises(CommandFailed, answering, [self.config])
