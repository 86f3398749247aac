"""Promises of `attestation.wishes`: what a policy says of connections, or why it cannot be had."""

import pytest

from attestation import OnSwitch, PolicyError, Reattest, Strangers, Wishes
from attestation.wishes import read_wishes


def test_what_is_not_said_is_left_open() -> None:
    """So that defaults, or options, can say it."""
    assert read_wishes({"accept": []}, by_exporter=False) == Wishes()


def test_what_is_said() -> None:
    """Each key in its own words."""
    said = {"on_switch": "allow", "reattest": "full", "max_lineage": "90s", "set": "refuse"}
    found = Wishes(OnSwitch.ALLOW, Reattest.FULL, 90.0, Strangers.REFUSE)
    assert read_wishes(said, by_exporter=True) == found


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"on_switch": "maybe"}, "on_switch"),
        ({"reattest": True}, "reattest"),
        ({"max_lineage": 90}, "max_lineage"),
        ({"set": True}, "set"),
        ({"set": "refuse", "reattest": "always"}, "set"),
    ],
)
def test_mistakes(said: dict[str, object], key: str) -> None:
    """They are told with their key."""
    with pytest.raises(PolicyError) as caught:
        read_wishes(said, by_exporter=True)
    assert caught.value.path == (key,)


def test_a_set_needs_the_exporter() -> None:
    """Nothing less shows who has sent it."""
    with pytest.raises(PolicyError, match="expected exporter"):
        read_wishes({"set": "refuse"}, by_exporter=False)
