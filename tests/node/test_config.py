# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: what loads, what is refused, and what is said of it."""

from ipaddress import ip_network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.limits import Limits
from pluto_tw.node.addresses import Address
from pluto_tw.node.config import PLACES, Configuration, find, load
from pluto_tw.node.sections import SECTIONS
from tests.node.original import ORIGINAL

#: The least that a worker needs.
SMALL = """\
[Workers.worker-1]
Name = "eu-worker-1"
ListenMailAddr = "127.0.0.1:0"
StoreRoot = "mail"
AuthAdapter = "AuthFile"
AllowPlaintext = true
[Workers.worker-1.AuthFile]
File = "users.txt"
[Workers.worker-1.Peers.subnet-1]
"""


class ConfigCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "config.toml"

    def load(self, text: str) -> Configuration:
        self.file.write_text(text, encoding="utf-8")
        return load(self.file)

    def errors(self, text: str) -> list[str]:
        """Errors without the file's name, which all of them begin with."""
        return self.told(self.load(text).problems.errors)

    def warnings(self, text: str) -> list[str]:
        configuration = self.load(text)
        self.assertEqual(configuration.problems.errors, [])
        return self.told(configuration.problems.warnings)

    def told(self, lines: list[str]) -> list[str]:
        for line in lines:
            self.assertTrue(line.startswith(f"{self.file}: "), line)
        return [line.removeprefix(f"{self.file}: ") for line in lines]


class OriginalTests(ConfigCase):
    def test_it_loads(self) -> None:
        configuration = self.load(ORIGINAL)
        self.assertEqual(configuration.problems.errors, [])
        self.assertEqual(
            [node.name for node in configuration.nodes()],
            ["eu-west-worker-1", "eu-west-worker-2", "storage", "eu-west-distributor"],
        )
        worker = configuration.workers["worker-1"]
        self.assertEqual(worker.name, "eu-west-worker-1")
        self.assertEqual(worker.listen_mail, Address("127.0.0.1", 20001))
        self.assertEqual(worker.users, range(1, 11))
        self.assertEqual(
            worker.peers,
            {
                "subnet-1": {
                    "us-west-worker-1": Address("127.0.0.1", 30101),
                    "storage": Address("127.0.0.1", 31000),
                }
            },
        )

    def test_keys_that_mean_nothing_are_warned_of(self) -> None:
        warnings = self.warnings(ORIGINAL)
        self.assertEqual(
            [warning.split(":")[0] for warning in warnings],
            [
                f"{section}.{key}"
                for section in ("Workers.worker-1", "Workers.worker-2", "Storage")
                for key in ("MaildirRoot", "CRDTLayerRoot")
            ],
        )
        self.assertIn("it has no meaning here: mail is kept in StoreRoot", warnings[0])

    def test_what_a_worker_lacks_to_serve_by_itself_is_told_at_once(self) -> None:
        configuration = self.load(ORIGINAL)
        worker = configuration.worker("worker-1")
        assert worker is not None
        worker.check(configuration.imap)
        self.assertEqual(self.missing(configuration), ["Workers.worker-1.StoreRoot"])

    def test_a_distributor_lacks_nothing(self) -> None:
        configuration = self.load(ORIGINAL)
        distributor = configuration.need_distributor()
        assert distributor is not None
        distributor.check(configuration.workers, configuration.storage)
        self.assertEqual(configuration.problems.errors, [])
        self.assertEqual(configuration.imap.distributors, ("eu-west-distributor",))

    def test_storage_lacks_a_place(self) -> None:
        configuration = self.load(ORIGINAL)
        storage = configuration.need_storage()
        assert storage is not None
        storage.check(configuration.imap)
        self.assertEqual(self.missing(configuration), ["Storage.StoreRoot"])
        self.assertEqual(storage.listen_sync["subnet-1"], Address("127.0.0.1", 31000))

    def missing(self, configuration: Configuration) -> list[str]:
        errors = self.told(configuration.problems.errors)
        return [error.split(" is missing")[0] for error in errors]


class ValueTests(ConfigCase):
    def test_nothing_is_enough(self) -> None:
        """Roles have needs; the file has none."""
        configuration = self.load("")
        self.assertEqual(configuration.problems.errors, [])
        self.assertEqual(configuration.imap.greeting, "Pluto ready.")
        self.assertEqual(configuration.imap.separator, ".")
        self.assertEqual(configuration.imap.limits, Limits())

    def test_every_error_names_file_key_value_and_expectation(self) -> None:
        self.assertEqual(
            self.errors('[IMAP]\nHierarchySeparator = "|"\nConnectionsMax = "many"\n'),
            [
                "IMAP.ConnectionsMax is 'many': expected a number from 1 to 1,000,000",
                'IMAP.HierarchySeparator is \'|\': expected "." or "/"',
            ],
        )

    def test_all_errors_are_told_at_once(self) -> None:
        self.assertEqual(
            len(
                self.errors(
                    "RootCertLoc = 1\n[IMAP]\nGreeting = ''\n[Distributor]\nAuthAdapter = 'x'\n"
                    "[Workers.a]\nListenMailAddr = '1'\n[Workers.a.Peers.s]\nb = 1\n"
                    "[Storage.SyncAddrs.s]\nPublic = ':1'\n"
                )
            ),
            # Three names are missing too.
            9,
        )

    def test_limits(self) -> None:
        configuration = self.load(
            '[IMAP]\nConnectionsMax = 5\nUnlimitedNetworks = ["192.0.2.0/24", "::1"]\n'
        )
        self.assertEqual(configuration.imap.limits.connections_max, 5)
        self.assertEqual(
            configuration.imap.limits.unlimited, (ip_network("192.0.2.0/24"), ip_network("::1"))
        )

    def test_truth_is_no_number_and_numbers_are_no_truth(self) -> None:
        self.assertEqual(
            self.errors("[IMAP]\nConnectionsMax = true\n[Workers.a]\nName='a'\nAllowPlaintext=1\n"),
            [
                "IMAP.ConnectionsMax is True: expected a number from 1 to 1,000,000",
                "Workers.a.AllowPlaintext is 1: expected true or false",
            ],
        )

    def test_long_values_are_cut(self) -> None:
        [error] = self.errors(f"[IMAP]\nHierarchySeparator = '{'x' * 5000}'\n")
        self.assertLess(len(error), 200)

    def test_passwords_are_not_told(self) -> None:
        [error] = self.errors(
            "[Distributor]\nName='d'\n[Distributor.AuthPostgres]\nPassword = 1234\n"
        )
        self.assertEqual(
            error,
            "Distributor.AuthPostgres.Password is '...': expected a text that is not empty",
        )

    def test_a_value_where_a_table_belongs(self) -> None:
        self.assertEqual(self.errors("IMAP = 1"), ["IMAP is 1: expected a table [IMAP]"])
        self.assertEqual(
            self.errors("[Workers]\na = 1"), ["Workers.a is 1: expected a table [Workers.a]"]
        )

    def test_unknown_keys_are_warned_of(self) -> None:
        self.assertEqual(
            self.warnings(
                "Colour = 1\n[IMAP]\nGreting = 'x'\n[Workers.a]\nName = 'a'\nauthfile = 1\n"
            ),
            [
                "IMAP.Greting: it is not known; is it Greeting?",
                "Workers.a.authfile: it is not known; is it AuthFile?",
                "Colour: it is not known",
            ],
        )

    def test_paths_begin_at_the_directory_of_the_file(self) -> None:
        worker = self.load(SMALL).workers["worker-1"]
        self.assertEqual(worker.store_root, self.directory / "mail")
        assert worker.adapter is not None
        self.assertEqual(worker.adapter.settings["File"], self.directory / "users.txt")

    def test_what_is_no_toml(self) -> None:
        for text in ("[", "a = ", "= 1", "a = [1, 'x", "[a]\n[a]\n", "a = {b = 1", "a = b"):
            [error] = self.errors(text)
            self.assertTrue(error.startswith("not TOML: "), error)

    def test_files_that_cannot_be_read(self) -> None:
        [error] = load(self.directory / "none.toml").problems.errors
        self.assertEqual(error, f"{self.directory}/none.toml: No such file or directory")
        self.file.write_bytes(b'a = "\xff"')
        self.assertEqual(load(self.file).problems.errors, [f"{self.file}: not UTF-8"])


class AnyValueTests(ConfigCase):
    def test_any_value_anywhere_is_told_of_and_never_raises(self) -> None:
        values = ("1", "-1", "1.5", "true", "''", "'x'", "[]", "[1]", "['x']", "{}", "1979-05-27")
        for section in SECTIONS:
            for key in section.keys:
                for value in values:
                    name = (
                        section.name.replace("<node>", "Distributor")
                        .replace("<", "")
                        .replace(">", "")
                    )
                    head = f"[{name}]\n" if name else ""
                    entry = f"{key.name.strip('<>')} = {value}\n"
                    problems = self.load(head + entry).problems
                    self.told([*problems.errors, *problems.warnings])


class NodeTests(ConfigCase):
    def test_names_belong_to_one_node(self) -> None:
        self.assertEqual(
            self.errors("[Workers.a]\nName = 'x'\n[Storage]\nName = 'x'\n"),
            ["Storage.Name is 'x': expected a name that no other node has; [Workers.a] has it"],
        )

    def test_ranges_do_not_overlap(self) -> None:
        text = "".join(
            f"[Workers.{name}]\nName = '{name}'\nUserStart = {start}\nUserEnd = {end}\n"
            for name, start, end in (("c", 5, 6), ("a", 1, 100), ("b", 50, 60), ("d", 101, 102))
        )
        self.assertEqual(
            self.errors(text),
            [
                f"Workers.{name}.UserStart is {start}: expected 101 or more, as lower IDs are "
                "those of [Workers.a]"
                for name, start in (("c", 5), ("b", 50))
            ],
        )

    def test_a_range_has_two_ends_in_order(self) -> None:
        self.assertEqual(
            self.errors("[Workers.a]\nName = 'a'\nUserStart = 2\nUserEnd = 1\n"),
            ["Workers.a.UserEnd is 1: expected UserStart (2) or more"],
        )
        self.assertEqual(
            self.errors("[Workers.a]\nName = 'a'\nUserStart = 2\n"),
            ["Workers.a.UserEnd is missing: expected a number from 1 to 2,147,483,647"],
        )

    def test_an_adapter_has_its_section(self) -> None:
        self.assertEqual(
            self.errors("[Distributor]\nName = 'd'\nAuthAdapter = 'AuthFile'\n"),
            [
                "Distributor.AuthFile is missing: expected a table [Distributor.AuthFile], as "
                "AuthAdapter names it"
            ],
        )

    def test_a_certificate_has_its_key(self) -> None:
        for one, other in (("Cert", "Key"), ("Key", "Cert")):
            self.assertEqual(
                self.errors(f"[Workers.a]\nName = 'a'\nPublic{one}Loc = 'x.pem'\n"),
                [f"Workers.a.Public{other}Loc is missing: expected the path of a file"],
            )

    def test_a_file_that_cannot_be_read_is_one_mistake(self) -> None:
        configuration = self.load("[")
        self.assertIsNone(configuration.worker("worker-1"))
        self.assertEqual(len(configuration.problems.errors), 1)

    def test_workers_are_found_by_key_and_by_name(self) -> None:
        configuration = self.load(SMALL)
        self.assertIs(configuration.worker("worker-1"), configuration.worker("eu-worker-1"))
        self.assertIsNone(configuration.worker("worker-2"))
        self.assertEqual(
            self.told(configuration.problems.errors),
            [
                "there is no worker 'worker-2': expected the key or the Name of one of the "
                "workers, which are: worker-1 (eu-worker-1)"
            ],
        )


class CheckTests(ConfigCase):
    def lacks(self, text: str) -> list[str]:
        configuration = self.load(text)
        worker = configuration.worker("worker-1")
        assert worker is not None
        worker.check(configuration.imap)
        return self.told(configuration.problems.errors)

    def test_the_least(self) -> None:
        self.assertEqual(self.lacks(SMALL), [])

    def test_a_worker_has_one_subnet(self) -> None:
        [error] = self.lacks(SMALL.replace("[Workers.worker-1.Peers.subnet-1]", ""))
        self.assertTrue(error.startswith("Workers.worker-1.Peers is missing: expected a table"))
        [error] = self.lacks(SMALL + "[Workers.worker-1.Peers.subnet-2]\n")
        self.assertIn("['subnet-1', 'subnet-2']: expected one subnet", error)

    def test_plaintext_is_for_loopback_only(self) -> None:
        for address in (":143", "0.0.0.0:143", "192.0.2.1:143", "[::]:143"):
            [error] = self.lacks(SMALL.replace("127.0.0.1:0", address))
            self.assertIn("expected a loopback address", error)

    def test_plaintext_must_be_asked_for(self) -> None:
        [error] = self.lacks(SMALL.replace("AllowPlaintext = true\n", ""))
        self.assertIn("PublicCertLoc is missing", error)

    def test_plaintext_or_a_certificate(self) -> None:
        pair = "AllowPlaintext = true\nPublicCertLoc = 'c'\nPublicKeyLoc = 'k'\n"
        [error] = self.lacks(SMALL.replace("AllowPlaintext = true\n", pair))
        self.assertIn("AllowPlaintext is True: expected false, or no PublicCertLoc", error)

    def test_a_wrong_value_is_not_told_as_missing_too(self) -> None:
        [error] = self.lacks(SMALL.replace("127.0.0.1:0", "nowhere"))
        self.assertIn("ListenMailAddr is 'nowhere': expected", error)

    def test_adapters_are_those_that_are_installed(self) -> None:
        other = "[Workers.worker-1.AuthOther]\nColour = 1\n"
        [error] = self.lacks(SMALL.replace('"AuthFile"', '"AuthOther"') + other)
        self.assertIn("one of the adapters that are installed: AuthFile, AuthPostgres", error)

    def test_an_adapter_needs_its_keys(self) -> None:
        [error] = self.lacks(SMALL.replace('File = "users.txt"', ""))
        self.assertEqual(
            error, "Workers.worker-1.AuthFile.File is missing: expected the path of a file"
        )

    def test_a_worker_with_peers_listens_for_them(self) -> None:
        errors = self.lacks(SMALL + 'us-worker-1 = "192.0.2.1:1"\n')
        self.assertEqual(
            [error.split(" is missing")[0] for error in errors],
            [
                "Workers.worker-1.ListenSyncAddr",
                "RootCertLoc",
                "Workers.worker-1.CertLoc",
                "Workers.worker-1.KeyLoc",
            ],
        )

    def test_a_node_is_not_its_own_peer(self) -> None:
        errors = self.lacks(SMALL + 'eu-worker-1 = "192.0.2.1:1"\n')
        self.assertIn("names of other replicas only", errors[0])

    def test_without_an_adapter_it_serves_distributors(self) -> None:
        text = SMALL.replace('AuthAdapter = "AuthFile"\nAllowPlaintext = true\n', "")
        self.assertEqual(
            [error.split(" is missing")[0] for error in self.lacks(text)],
            [
                *("RootCertLoc", "Workers.worker-1.CertLoc", "Workers.worker-1.KeyLoc"),
                "IMAP.Distributors",
            ],
        )

    def test_or_a_distributor_on_the_same_machine_alone(self) -> None:
        text = SMALL.replace('AuthAdapter = "AuthFile"\nAllowPlaintext = true\n', "")
        text = text.replace('ListenMailAddr = "127.0.0.1:0"', 'MailSocket = "/run/mail"')
        self.assertEqual(self.lacks(text), [])

    def test_names_of_sockets_are_short(self) -> None:
        text = SMALL.replace("StoreRoot", f"MailSocket = '/{'x' * 107}'\nStoreRoot")
        [error] = self.lacks(text)
        self.assertIn("expected a path of at most 107 octets", error)

    def test_mail_peers_are_those_of_the_subnet(self) -> None:
        [error] = self.lacks(SMALL + "[Workers.worker-1.MailPeers.subnet-2]\n")
        self.assertIn("MailPeers is 'subnet-2': expected the subnet of Peers, 'subnet-1'", error)


class DistributorTests(ConfigCase):
    TEXT = """\
RootCertLoc = "root.pem"
[Distributor]
Name = "eu-distributor"
ListenMailAddr = ":993"
PublicCertLoc = "c"
PublicKeyLoc = "k"
InternalCertLoc = "c"
InternalKeyLoc = "k"
AuthAdapter = "AuthFile"
[Distributor.AuthFile]
File = "users.txt"
[Workers.worker-1]
Name = "eu-worker-1"
PublicMailAddr = "192.0.2.1:143"
[Workers.worker-1.Peers.subnet-1]
[Workers.worker-1.MailPeers.subnet-1]
us-worker-1 = "192.0.2.2:143"
storage = "192.0.2.3:143"
"""

    def lacks(self, text: str) -> list[str]:
        configuration = self.load(text)
        assert configuration.distributor is not None
        configuration.distributor.check(configuration.workers, configuration.storage)
        return self.told(configuration.problems.errors)

    def test_the_least(self) -> None:
        self.assertEqual(self.lacks(self.TEXT), [])
        worker = self.load(self.TEXT).workers["worker-1"]
        self.assertEqual(list(worker.mail_peers["subnet-1"]), ["us-worker-1", "storage"])

    def test_what_it_needs(self) -> None:
        errors = self.lacks("[Distributor]\nName = 'd'\n")
        self.assertEqual(
            [error.split(" is missing")[0] for error in errors],
            [f"Distributor.{key}" for key in ("ListenMailAddr", "PublicCertLoc", "PublicKeyLoc")]
            + ["Distributor.AuthAdapter", "Workers"],
        )

    def test_starttls_alone_will_do(self) -> None:
        self.assertEqual(self.lacks(self.TEXT.replace("ListenMail", "ListenStartTLS")), [])

    def test_workers_must_be_reached(self) -> None:
        [error] = self.lacks(self.TEXT.replace('PublicMailAddr = "192.0.2.1:143"\n', ""))
        self.assertTrue(error.startswith("Workers.worker-1.PublicMailAddr is missing"), error)
        text = self.TEXT.replace('PublicMailAddr = "192.0.2.1:143"', 'MailSocket = "/run/mail"')
        self.assertEqual(self.lacks(text), [])

    def test_a_worker_with_an_adapter_is_reached_by_its_socket(self) -> None:
        text = self.TEXT.replace('PublicMailAddr = "192.0.2.1:143"', 'AuthAdapter = "AuthFile"')
        text += "[Workers.worker-1.AuthFile]\nFile = 'users.txt'\n"
        [error] = self.lacks(text)
        self.assertTrue(error.startswith("Workers.worker-1.MailSocket is missing"), error)

    def test_all_workers_have_ranges_or_none(self) -> None:
        text = self.TEXT + (
            "[Workers.w2]\nName = 'w2'\nPublicMailAddr = '192.0.2.1:144'\n"
            "UserStart = 1\nUserEnd = 2\n[Workers.w2.Peers.subnet-2]\n"
        )
        [error] = self.lacks(text)
        self.assertTrue(error.startswith("Workers.worker-1.UserStart is missing"), error)


class StorageTests(ConfigCase):
    def lacks(self, text: str) -> list[str]:
        configuration = self.load(text)
        assert configuration.storage is not None
        configuration.storage.check(configuration.imap)
        return self.told(configuration.problems.errors)

    def test_each_subnet_has_an_address(self) -> None:
        text = (
            "RootCertLoc = 'r'\n[Storage]\nName = 's'\nCertLoc = 'c'\nKeyLoc = 'k'\n"
            "StoreRoot = 'mail'\nMailSocket = '/run/mail'\n"
            "[Storage.Peers.a]\nw = '192.0.2.1:1'\n[Storage.Peers.b]\nw = '192.0.2.1:2'\n"
            "[Storage.SyncAddrs.a]\nPublic = '192.0.2.1:1'\n"
        )
        self.assertEqual(
            [error.split(" is missing")[0] for error in self.lacks(text)],
            ["Storage.SyncAddrs.a.Listen", "Storage.SyncAddrs.b"],
        )

    def test_a_subnet_is_a_directory(self) -> None:
        text = (
            "RootCertLoc = 'r'\n[Storage]\nName = 's'\nCertLoc = 'c'\nKeyLoc = 'k'\n"
            "StoreRoot = 'mail'\nMailSocket = '/run/mail'\n"
            "[Storage.Peers.'../x']\n[Storage.SyncAddrs.'../x']\nListen = ':1'\n"
        )
        [error] = self.lacks(text)
        self.assertIn("expected names of subnets that can be names of directories", error)


class FindTests(SynchronousTestCase):
    def test_what_is_named_is_taken(self) -> None:
        self.assertEqual(find("other.toml"), Path("other.toml"))

    def test_else_the_places(self) -> None:
        self.assertIn(find(None), PLACES)


class KeyTests(SynchronousTestCase):
    def test_names_are_unique_in_their_section(self) -> None:
        for section in SECTIONS:
            names = [key.name for key in section.keys]
            self.assertEqual(len(names), len(set(names)), section.name)

    def test_defaults_are_values_that_could_be_written(self) -> None:
        for section in SECTIONS:
            for key in section.keys:
                if key.default is not None:
                    given = list(key.default) if isinstance(key.default, tuple) else key.default
                    self.assertEqual(key.kind.read(given), key.default)
