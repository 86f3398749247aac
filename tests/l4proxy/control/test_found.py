"""What a source tells of a backend."""

from l4proxy.control.found import Found, Phase
from routing import Address


def test_an_address_alone_is_enough() -> None:
    """Then the backend is called by it, and may have everything."""
    found = Found(Address("10.0.0.1", 443))
    assert (found.name, found.phase) == (None, Phase.ELIGIBLE)


def test_phases_go_from_most_to_least() -> None:
    """Of two words about one address the first of these counts."""
    assert list(Phase) == [Phase.ELIGIBLE, Phase.HELD, Phase.DRAINING, Phase.WAITING]
