# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration with every section and key of the original's example, in its own words."""

ORIGINAL = """\
RootCertLoc = "/certs/root-cert.pem"

[IMAP]
Greeting = "Pluto ready."
HierarchySeparator = "."

[Distributor]
Name = "eu-west-distributor"
PublicMailAddr = "127.0.0.1:993"
ListenMailAddr = "127.0.0.1:993"
PrometheusAddr = "127.0.0.1:9001"
PublicCertLoc = "/certs/public-distributor-cert.pem"
PublicKeyLoc = "/certs/public-distributor-key.pem"
InternalCertLoc = "/certs/internal-distributor-cert.pem"
InternalKeyLoc = "/certs/internal-distributor-key.pem"
AuthAdapter = "AuthPostgres"

    [Distributor.AuthPostgres]
    IP = "127.0.0.1"
    Port = 5432
    Database = "pluto"
    User = "pluto"
    Password = "a password"
    UseTLS = true

[Workers]

    [Workers.worker-1]
    Name = "eu-west-worker-1"
    PublicMailAddr = "127.0.0.1:20001"
    ListenMailAddr = "127.0.0.1:20001"
    PublicSyncAddr = "127.0.0.1:30001"
    ListenSyncAddr = "127.0.0.1:30001"
    PrometheusAddr = "127.0.0.1:9001"
    CertLoc = "/certs/internal-worker-1-cert.pem"
    KeyLoc = "/certs/internal-worker-1-key.pem"
    UserStart = 1
    UserEnd = 10
    MaildirRoot = "/home/worker-1/Maildir/"
    CRDTLayerRoot = "/home/worker-1/crdt-layer/"

        [Workers.worker-1.Peers.subnet-1]
        us-west-worker-1 = "127.0.0.1:30101"
        storage = "127.0.0.1:31000"

    [Workers.worker-2]
    Name = "eu-west-worker-2"
    PublicMailAddr = "127.0.0.1:20002"
    ListenMailAddr = "127.0.0.1:20002"
    PublicSyncAddr = "127.0.0.1:30002"
    ListenSyncAddr = "127.0.0.1:30002"
    PrometheusAddr = "127.0.0.1:9001"
    CertLoc = "/certs/internal-worker-2-cert.pem"
    KeyLoc = "/certs/internal-worker-2-key.pem"
    UserStart = 11
    UserEnd = 20
    MaildirRoot = "/home/worker-2/Maildir/"
    CRDTLayerRoot = "/home/worker-2/crdt-layer/"

        [Workers.worker-2.Peers.subnet-2]
        us-west-worker-2 = "127.0.0.1:30102"
        storage = "127.0.0.1:32000"

[Storage]
Name = "storage"
PublicMailAddr = "127.0.0.1:21000"
ListenMailAddr = "127.0.0.1:21000"
PrometheusAddr = "127.0.0.1:9001"
CertLoc = "/certs/internal-storage-cert.pem"
KeyLoc = "/certs/internal-storage-key.pem"
MaildirRoot = "/home/storage/Maildir/"
CRDTLayerRoot = "/home/storage/crdt-layer/"

    [Storage.SyncAddrs.subnet-1]
    Public = "127.0.0.1:31000"
    Listen = "127.0.0.1:31000"

    [Storage.Peers.subnet-1]
    eu-west-worker-1 = "127.0.0.1:30001"
    us-west-worker-1 = "127.0.0.1:30101"
"""
