# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests: how Hypothesis runs, and where temporary files go."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No test is timed: a busy machine is no mistake of the code. What was found once is kept as an
# `@example` in the test, not in a database beside the tree.
settings.register_profile(
    "pluto_tw",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("pluto_tw")


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`TestCase.mktemp` makes its directories where the tests run: that is not the tree."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("tests"))
    yield
    os.chdir(before)
