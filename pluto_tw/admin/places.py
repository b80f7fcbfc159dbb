# SPDX-License-Identifier: GPL-3.0-or-later
"""
Where files lie by default: certificates and keys, under the names that the original used, and the
demo.
"""

import os
from pathlib import Path
from typing import Final

from pluto_tw.admin.nodes import Node
from pluto_tw.admin.pairs import Files

#: Here.
DIRECTORY: Final = Path("certs")

#: Of `make run`, unless DEMO_DIR says another place.
DEMO: Final = "demo"


def node_files(node: Node, directory: Path) -> Files:
    """Where a node's pair lies in *directory*; names follow the original's."""
    return Files(
        directory / f"internal-{node.name}-cert.pem", directory / f"internal-{node.name}-key.pem"
    )


def root_files(directory: Path) -> Files:
    """Where the authority's pair lies in *directory*."""
    return Files(directory / "root-cert.pem", directory / "root-key.pem")


def public_files(directory: Path) -> Files:
    """Where the pair for mail programs lies in *directory*."""
    return Files(
        directory / "public-distributor-cert.pem", directory / "public-distributor-key.pem"
    )


def demo_directory() -> Path:
    """Where `make run` keeps everything."""
    return Path(os.environ.get("DEMO_DIR") or DEMO).absolute()
