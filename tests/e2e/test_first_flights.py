"""Odd but valid first flights: each is routed by its name and replayed unchanged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.backends import Backend, Recorder
from tests.e2e.balancer import Address, Start
from tests.e2e.flights import NAME, Flight, odd_flights
from tests.e2e.sockets import connect, exactly

PAUSE = 0.003
"""Seconds between two writes, so that the balancer mostly reads them one by one."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A balancer whose default route leads to another backend than the name does."""

    address: Address
    right: Recorder
    default: Backend


@pytest.fixture(scope="module")
def scene(start_shared: Start) -> Iterator[Scene]:
    """One balancer for all flights."""
    right = Recorder(b"right")
    with Backend(right) as routed, Backend(Recorder(b"wrong")) as default:
        balancer = start_shared(
            {
                "routes": {NAME: "right", "default": "other"},
                "pools": {"right": [routed.address], "other": [default.address]},
            }
        )
        yield Scene(balancer.address, right, default)


@pytest.mark.parametrize("flight", list(odd_flights()), ids=str)
def test_an_odd_first_flight_is_routed_by_its_name_and_replayed_unchanged(
    scene: Scene, flight: Flight
) -> None:
    """However the hello is cut, padded or spelled, its backend gets it, byte for byte."""
    with connect(scene.address) as client:
        for piece in flight.pieces:
            client.sendall(piece)
            time.sleep(PAUSE if len(flight.pieces) == 2 else 0)
        assert exactly(client, 5) == b"right"
    assert scene.right.take() == b"".join(flight.pieces)
    assert scene.default.accepted == 0
