"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

# No test judges by the clock: a machine that is busy with something else is no fault of the code.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("house", max_examples=40, deadline=None, suppress_health_check=_SLOW)
# For a machine with time: `HYPOTHESIS_PROFILE=thorough make test`.
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_configure() -> None:
    """Measure what the tests run themselves, not each daemon that they start.

    A measured daemon takes twice as long to start, and the tests start hundreds.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
