"""Fixtures of the worker's tests."""

import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from l4proxy.dataplane.engine import Engine
from l4proxy.snapshot import Timeouts
from tests.l4proxy.dataplane.joined import TIMEOUTS, Around, Join, Joined
from tests.l4proxy.dataplane.loopback import Clock, tcp_pair, tcp_pair_of
from tests.l4proxy.dataplane.stage import Stage
from tests.l4proxy.dataplane.twins import IN_C, PURE, built


@pytest.fixture(scope="module", params=[PURE, IN_C])
def twins(request: pytest.FixtureRequest) -> Iterator[str]:
    """Relays over the twins, each in turn; those in C link as soon as they can."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == IN_C:
            _put_in_c(patch)
        yield request.param


def _put_in_c(patch: pytest.MonkeyPatch) -> None:
    stream, epoll = built("stream"), built("epoll")
    make = partial(tcp_pair_of, stream.unconnected)
    patch.setattr("tests.l4proxy.dataplane.joined.tcp_pair", make)
    patch.setattr("l4proxy.dataplane.engine.epoll", epoll.epoll)
    patch.setattr("l4proxy.dataplane.engine.link", epoll.link)
    patch.setattr("l4proxy.dataplane.direction._copy", stream.copy)
    patch.setattr("l4proxy.dataplane.direction.NotTaken", stream.NotTaken)
    patch.setattr("l4proxy.dataplane.direction.RESTS_BEFORE_LINK", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The engine's clock, standing still."""
    standing = Clock()
    monkeypatch.setattr("l4proxy.dataplane.engine.time", standing)
    return standing


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that the test turns."""
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Make TCP connections that are closed after the test."""
    made: list[socket.socket] = []

    def make() -> tuple[socket.socket, socket.socket]:
        ends = tcp_pair()
        made.extend(ends)
        return ends

    yield make
    for sock in made:
        sock.close()


@pytest.fixture
def join(clock: Clock, engine: Engine) -> Iterator[Join]:
    """Make relays whose clock stands still; all their sockets are closed after the test."""
    made: list[Joined] = []
    engine.turn(0)

    def make(
        *,
        small: bool = False,
        start: bool = True,
        unix: bool = False,
        vsock: bool = False,
        room: Around | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> Joined:
        made.append(
            Joined(
                engine,
                small=small,
                start=start,
                unix=unix,
                vsock=vsock,
                room=room,
                timeouts=timeouts,
            )
        )
        return made[-1]

    yield make
    for joined in made:
        joined.close()


@pytest.fixture
def stage(clock: Clock, engine: Engine) -> Iterator[Stage]:
    """Two backends; in the end nothing is open, admitted, waiting or kept."""
    engine.turn(0)
    made = Stage(engine, clock)
    yield made
    made.close()
