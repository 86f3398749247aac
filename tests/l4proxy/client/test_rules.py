"""The defaults of the rules are the careful ones."""

from l4proxy.client import OnSwitch, Reattest, Rules


def test_defaults() -> None:
    """Without a word another instance proves itself, and so does every full handshake."""
    assert Rules().on_switch is OnSwitch.REATTEST
    assert Rules().reattest is Reattest.FULL
    assert Rules().max_lineage <= 3600.0
