"""Departures: who has left the snapshot, and whose last connection has ended."""

from l4proxy.dataplane.departures import Departures
from routing import Pools
from tests.l4proxy.dataplane.room import snapshot


def _pools(count: int) -> Pools:
    return snapshot(*range(1, count + 1)).pools


def test_a_backend_has_left_once_its_last_connection_has_ended() -> None:
    """One that still has connections is waited for; each is told of once."""
    departures = Departures()
    departures.apply(_pools(3))
    cells = memoryview(bytearray(16)).cast("i")
    cells[2] = 1
    assert departures.ended(cells) == set()
    departures.apply(_pools(1))
    assert departures.ended(cells) == {"app/b1"}
    assert departures.ended(cells) == set()
    cells[2] = 0
    assert departures.ended(cells) == {"app/b2"}


def test_a_backend_that_has_come_back_has_not_left() -> None:
    """What is counted for it goes on."""
    departures = Departures()
    for count in (2, 1, 2):
        departures.apply(_pools(count))
    assert departures.ended(memoryview(bytearray(16)).cast("i")) == set()
