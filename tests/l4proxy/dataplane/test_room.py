"""The worker as a connection sees it, and what the tests put in its place."""

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.room import Peer, Room
from tests.l4proxy.dataplane import room as played


def test_a_peer_is_what_the_listener_knew() -> None:
    """Address, port and the listener's part of the snapshot, in this order."""
    peer = Peer(bytes([192, 0, 2, 7]), 50_000, played.ENTRANCE)
    assert (peer.address, peer.port, peer.entrance) == (
        bytes([192, 0, 2, 7]),
        50_000,
        played.ENTRANCE,
    )


def test_the_tests_own_room_is_a_room(engine: Engine) -> None:
    """What connections are tested in has all that they find in a worker (the types: mypy)."""
    found = played.Room(engine, played.snapshot(1))
    as_room: Room = found
    wanted = [name for name in (*Room.__annotations__, *vars(Room)) if not name.startswith("_")]
    assert len(wanted) >= 10
    assert [name for name in wanted if not hasattr(as_room, name)] == []
    found.close()
