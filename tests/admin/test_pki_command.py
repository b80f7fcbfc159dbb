# SPDX-License-Identifier: GPL-3.0-or-later
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin import pairs, private_files
from pluto_tw.admin.authority import Authority, new_key
from pluto_tw.admin.nodes import Node
from pluto_tw.net.nodes import Role
from pluto_tw.net.tls import KeyPair
from tests.admin.running import Ran, pluto
from tests.node.original import ORIGINAL

WORKER = "worker:eu-worker-1:127.0.0.1"


class PkiCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())

    def pki(self, *options: object) -> Ran:
        return pluto("pki", "--dir", self.directory, "--node", WORKER, *options)

    def pair(self, name: str = "eu-worker-1") -> KeyPair:
        return KeyPair.from_files(
            self.directory / f"internal-{name}-cert.pem",
            self.directory / f"internal-{name}-key.pem",
        )

    def octets(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}


class MakingTests(PkiCase):
    def test_root_and_pair_are_made_and_told(self) -> None:
        ran = self.pki()
        self.assertEqual((ran.status, ran.errors), (0, ""))
        self.assertEqual(
            sorted(self.octets()),
            [
                "internal-eu-worker-1-cert.pem",
                "internal-eu-worker-1-key.pem",
                "root-cert.pem",
                "root-key.pem",
            ],
        )
        root, worker = ran.lines()
        self.assertRegex(root, r"root-cert\.pem: made: valid until \d{4}-\d\d-\d\d$")
        self.assertRegex(worker, r"internal-eu-worker-1-cert\.pem: made: valid until ")

    def test_keys_are_their_owners_alone(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        self.pki()
        for path in self.directory.iterdir():
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode, 0o600 if path.name.endswith("key.pem") else 0o644, path)
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)

    def test_a_key_is_never_readable_in_between(self) -> None:
        """The file has its mode before its first octet, and gets its name when it is whole."""
        self.addCleanup(os.umask, os.umask(0))
        seen: list[int] = []
        real = os.fsync

        def look(descriptor: int) -> None:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                seen.extend(
                    stat.S_IMODE(path.stat().st_mode)
                    for path in self.directory.iterdir()
                    if b"PRIVATE KEY" in path.read_bytes()
                )
            real(descriptor)

        with patch("os.fsync", look):
            self.pki()
        self.assertEqual(set(seen), {0o600})

    def test_what_is_good_is_left(self) -> None:
        self.pki()
        before = self.octets()
        for option in ("--days=30", "--renew"):
            ran = self.pki(option)
            self.assertEqual(ran.status, 0)
            self.assertIn("kept: valid until", ran.lines()[1])
        self.assertEqual(self.octets(), before)

    def test_a_node_more_is_signed_by_the_same_authority(self) -> None:
        self.pki()
        before = self.octets()
        pluto("pki", "--dir", self.directory, "--node", "storage:storage")
        self.assertLess(before.items(), self.octets().items())

    def test_force_makes_nodes_anew_and_the_authority_not(self) -> None:
        self.pki()
        before = self.octets()
        ran = self.pki("--force")
        self.assertIn("replaced", ran.lines()[1])
        after = self.octets()
        changed = {name for name in before if before[name] != after[name]}
        self.assertEqual(changed, {"internal-eu-worker-1-cert.pem", "internal-eu-worker-1-key.pem"})
        self.pair()

    def test_days(self) -> None:
        self.pki("--days", 30)
        certificate = self.pair().certificate
        end = certificate.not_valid_after_utc - datetime.now(UTC)
        self.assertEqual(end.days, 29)


class RenewalTests(PkiCase):
    def aged(self, days: int) -> None:
        """A pair that was made so long ago that *days* of 825 are left."""
        past = datetime.now(UTC) - timedelta(days=825 - days)
        root = Authority.new(past)
        pairs.write_key(self.directory / "root-key.pem", root.key)
        pairs.write_certificate(self.directory / "root-cert.pem", root.certificate)
        keeper = pairs.Keeper(root.certificate, root, past, 825, renew=False, force=True)
        files = pairs.Files(
            self.directory / "internal-eu-worker-1-cert.pem",
            self.directory / "internal-eu-worker-1-key.pem",
        )
        keeper.care(files, Node(Role.WORKER, "eu-worker-1"))

    def test_what_is_about_to_end_is_told_of_and_left(self) -> None:
        self.aged(59)
        before = self.octets()
        ran = self.pki()
        self.assertEqual(ran.status, 1)
        self.assertRegex(ran.lines()[1], r"left: it ends on \S+: --renew makes")
        self.assertEqual(self.octets(), before)

    def test_renew_changes_the_certificate_and_not_the_key(self) -> None:
        for days in (59, -3):
            self.aged(days)
            before = self.octets()
            ran = self.pki("--renew")
            self.assertEqual(ran.status, 0, ran.out)
            self.assertIn("renewed: valid until", ran.lines()[1])
            after = self.octets()
            changed = {name for name in before if before[name] != after[name]}
            self.assertEqual(changed, {"internal-eu-worker-1-cert.pem"})
            self.pair()

    def test_what_has_more_time_is_kept(self) -> None:
        self.aged(61)
        self.assertIn("kept", self.pki("--renew").lines()[1])

    def test_short_lived_certificates_are_kept_for_two_thirds_of_their_time(self) -> None:
        self.pki("--days", 30)
        self.assertIn("kept", self.pki("--renew").lines()[1])

    def test_a_missing_name_is_a_reason(self) -> None:
        pluto("pki", "--dir", self.directory, "--node", "storage:eu-worker-1")
        ran = self.pki()
        self.assertEqual(ran.status, 1)
        self.assertIn("it does not name pluto:worker:eu-worker-1", ran.out)
        self.assertEqual(self.pki("--renew").status, 0)
        self.assertEqual(self.pki().status, 0)

    def test_the_authority_is_renewed_with_its_key(self) -> None:
        past = datetime.now(UTC) - timedelta(days=3600)
        root = Authority.new(past)
        pairs.write_key(self.directory / "root-key.pem", root.key)
        pairs.write_certificate(self.directory / "root-cert.pem", root.certificate)
        ran = self.pki()
        self.assertEqual(ran.status, 1)
        self.assertIn("root-cert.pem: left: it ends on", ran.out)
        ran = self.pki("--renew")
        self.assertEqual(ran.status, 0)
        self.assertIn("root-cert.pem: renewed", ran.out)
        self.assertIn("copy it to every node", ran.out)
        self.assertEqual(self.pki().status, 0)


class RefusalTests(PkiCase):
    def test_a_key_without_certificate_is_used(self) -> None:
        self.pki()
        key = self.octets()["internal-eu-worker-1-key.pem"]
        (self.directory / "internal-eu-worker-1-cert.pem").unlink()
        self.assertEqual(self.pki().status, 0)
        self.assertEqual(self.octets()["internal-eu-worker-1-key.pem"], key)
        self.pair()

    def test_what_is_wrong_is_left_until_forced(self) -> None:
        self.pki()
        certificate = self.directory / "internal-eu-worker-1-cert.pem"
        key = self.directory / "internal-eu-worker-1-key.pem"
        good = certificate.read_bytes(), key.read_bytes()

        def nonsense() -> None:
            certificate.write_bytes(b"nonsense")

        def no_key() -> None:
            key.unlink()

        def other_key() -> None:
            pairs.write_key(key, new_key())

        def key_of_nonsense() -> None:
            certificate.unlink()
            key.write_bytes(b"nonsense")

        for spoil, text in (
            (nonsense, "no certificate in PEM form"),
            (no_key, "eu-worker-1-key.pem is missing"),
            (other_key, "not the key of"),
            (key_of_nonsense, "no private key in PEM form"),
        ):
            spoil()
            before = self.octets()
            ran = self.pki("--renew")
            self.assertEqual(ran.status, 1, text)
            self.assertIn(f"{text}", ran.out)
            self.assertIn("--force makes key and certificate anew", ran.out)
            self.assertEqual(self.octets(), before)
            self.assertEqual(self.pki("--force").status, 0)
            self.pair()
            private_files.replace(certificate, good[0], private_files.PUBLIC)
            private_files.replace(key, good[1], private_files.PRIVATE)

    def test_a_certificate_of_another_authority_is_left(self) -> None:
        self.pki()
        (self.directory / "root-cert.pem").unlink()
        (self.directory / "root-key.pem").unlink()
        ran = self.pki("--renew")
        self.assertEqual(ran.status, 1)
        self.assertIn("left: another authority has signed it", ran.out)

    def test_without_the_roots_key_pairs_are_looked_at(self) -> None:
        self.pki()
        (self.directory / "root-key.pem").unlink()
        self.assertEqual(self.pki().status, 0)
        ran = pluto("pki", "--dir", self.directory, "--node", "storage:storage")
        self.assertEqual(ran.status, 1)
        self.assertIn("needs the authority's key", ran.out)

    def test_an_authority_of_ones_own(self) -> None:
        elsewhere = Path(self.mktemp())
        pluto("pki", "--dir", elsewhere, "--node", "storage:storage")
        ran = self.pki("--root-cert", elsewhere / "root-cert.pem")
        self.assertEqual(ran.status, 0)
        self.assertEqual(len(self.octets()), 2)

    def test_an_authority_that_was_named_is_not_made(self) -> None:
        ran = self.pki("--root-cert", self.directory / "none.pem")
        self.assertEqual(ran.status, 2)
        self.assertIn("none.pem is missing", ran.errors)

    def test_a_root_that_is_none_is_refused(self) -> None:
        self.pki()
        leaf = self.directory / "internal-eu-worker-1-cert.pem"
        key = self.directory / "internal-eu-worker-1-key.pem"
        ran = self.pki("--root-cert", leaf, "--root-key", key)
        self.assertEqual(ran.status, 2)
        self.assertIn("CA:FALSE", ran.errors)

    def test_a_key_that_others_may_read_is_told_of(self) -> None:
        self.pki()
        for name in ("internal-eu-worker-1-key.pem", "root-key.pem"):
            (self.directory / name).chmod(0o640)
            ran = self.pki()
            self.assertEqual(ran.status, 1)
            self.assertIn(f"{name}: left: others may read it: chmod 600", ran.out)
            (self.directory / name).chmod(0o600)

    def test_two_nodes_of_one_name(self) -> None:
        ran = self.pki("--node", "storage:eu-worker-1")
        self.assertEqual(ran.status, 2)
        self.assertIn("two nodes 'eu-worker-1'", ran.errors)

    def test_a_directory_that_cannot_be(self) -> None:
        self.directory.write_text("a file")
        ran = self.pki()
        self.assertEqual(ran.status, 2)
        self.assertIn(str(self.directory), ran.errors)

    def test_nodes_that_cannot_be(self) -> None:
        for node in ("worker", "king:x", "worker:a|b", "worker:a:b c", "worker:-a", "worker:"):
            with self.assertRaises(SystemExit):
                pluto("pki", "--node", node)
        with self.assertRaises(SystemExit):
            self.pki("--days", "0")


class ConfigurationTests(PkiCase):
    def test_the_originals_example(self) -> None:
        config = Path(self.mktemp())
        config.write_text(ORIGINAL)
        ran = pluto("pki", "--config", config, "--dir", self.directory)
        self.assertEqual(ran.status, 0, ran.errors)
        self.assertEqual(len(ran.lines()), 5)
        self.pair("eu-west-worker-2")
        self.pair("storage")

    def test_files_lie_where_the_configuration_says(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        config = directory / "config.toml"
        config.write_text(
            'RootCertLoc = "pki/ca.pem"\n'
            '[Distributor]\nName = "d"\nInternalCertLoc = "d.pem"\nInternalKeyLoc = "d.key"\n'
            'PublicMailAddr = "mx.example.org:993"\nListenMailAddr = ":993"\n'
        )
        ran = pluto("pki", "--config", config)
        self.assertEqual(ran.status, 0, ran.errors)
        names = {str(path.relative_to(directory)) for path in directory.rglob("*.*")}
        self.assertEqual(names, {"config.toml", "pki/ca.pem", "pki/root-key.pem", "d.pem", "d.key"})
        pair = KeyPair.from_files(directory / "d.pem", directory / "d.key")
        self.assertEqual(pair.names(), ["d", "mx.example.org"])
        shutil.rmtree(directory)

    def test_errors_of_the_configuration_are_told(self) -> None:
        config = Path(self.mktemp())
        config.write_text("[Storage]\n")
        ran = pluto("pki", "--config", config)
        self.assertEqual(ran.status, 2)
        self.assertIn("Storage.Name is missing", ran.errors)

    def test_configurations_and_nodes_exclude_each_other(self) -> None:
        self.assertEqual(self.pki("--config", "x").status, 2)

    def test_two_roots(self) -> None:
        files = []
        for number in "12":
            config = Path(self.mktemp())
            config.write_text(f'RootCertLoc = "{number}.pem"\n[Storage]\nName = "s{number}"\n')
            files += ["--config", config]
        ran = pluto("pki", *files)
        self.assertEqual(ran.status, 2)
        self.assertIn("RootCertLoc differs", ran.errors)

    def test_one_file_of_two_nodes(self) -> None:
        config = Path(self.mktemp())
        config.write_text(
            "".join(
                f'[{section}]\nName = "{section[0]}"\n{own}CertLoc="x.pem"\n{own}KeyLoc="x.key"\n'
                for section, own in (("Storage", ""), ("Distributor", "Internal"))
            )
        )
        ran = pluto("pki", "--config", config)
        self.assertEqual(ran.status, 2)
        self.assertIn("would share this file", ran.errors)
