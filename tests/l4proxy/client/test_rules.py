"""The defaults of the rules are the careful ones."""

import pytest

from l4proxy.client import OnSwitch, Reattest, Rules, Strangers
from tests.l4proxy.agent.parts import policy


def test_defaults() -> None:
    """Without a word another instance proves itself, and so does every full handshake."""
    assert Rules().on_switch is OnSwitch.REATTEST
    assert Rules().reattest is Reattest.FULL
    assert Rules().max_lineage <= 3600.0
    assert Rules().strangers is None
    assert Rules.by(policy()) == Rules()


def test_a_policy_can_say_them() -> None:
    """Its author says what its clients do."""
    asked = policy(on_switch="refuse", max_lineage="5m", set="reattest")
    assert Rules.by(asked) == Rules(
        on_switch=OnSwitch.REFUSE, max_lineage=300.0, strangers=Strangers.REATTEST
    )
    assert Rules.by(policy(reattest="always")).reattest is Reattest.ALWAYS


def test_always_and_a_set_are_two_wishes() -> None:
    """Who wants a proof on every connection wants no set."""
    with pytest.raises(ValueError, match="one or the other"):
        Rules(strangers=Strangers.REFUSE, reattest=Reattest.ALWAYS)
