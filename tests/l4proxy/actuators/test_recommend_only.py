"""The actuator that does nothing."""

from l4proxy.actuators.recommend_only import RecommendOnly
from l4proxy.conformance import check_actuator_kind


def test_it_keeps_the_promises_of_an_actuator() -> None:
    """Which are few where nothing can fail."""
    check_actuator_kind(RecommendOnly(), "{}")
