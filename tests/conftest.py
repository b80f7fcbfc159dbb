# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests: how Hypothesis runs."""

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
