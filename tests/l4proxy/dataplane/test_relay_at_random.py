"""The copy under any interleaving: what a side said and ended cleanly, the other side hears."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.relay import Ending
from tests.l4proxy.dataplane.joined import PLENTY, Joined, around
from tests.l4proxy.dataplane.loopback import Peer, settle, undelivered
from tests.l4proxy.dataplane.room import nothing

pytestmark = pytest.mark.usefixtures("twins")

STREAM = bytes(range(251)) * 4_096
"""What each side says, as far as it gets; its period is no power of two."""

steps = st.tuples(
    st.sampled_from(["client", "backend"]),
    st.one_of(
        st.integers(1, 200_000),
        st.sampled_from(["finish", "reset", "read", "read", "turn", "turn"]),
    ),
)


@dataclass
class Side:
    """One side and what it did.

    Attributes:
        said: Bytes that its kernel took.
        broken: It was reset, and found that out by speaking.
        clean: It ended its direction, nothing having been reset, and its kernel got rid of it all.
    """

    peer: Peer
    said: int = 0
    finished: bool = False
    was_reset: bool = False
    clean: bool = False
    broken: bool = False
    open: bool = field(default=True)

    def do(self, step: int | str) -> None:
        """Take a step, if it still makes sense."""
        if not self.open:
            return
        if step == "read":
            self.peer.hear()
        elif step == "reset":
            self.clean = self.clean and undelivered(self.peer.sock) == 0
            self.open, self.was_reset = False, True
            self.peer.reset()
        elif isinstance(step, int) or step == "finish":
            self._speak(step)

    def _speak(self, step: int | str) -> None:
        if self.finished or self.broken:
            return
        try:
            if isinstance(step, int):
                self.said += self.peer.say(STREAM[self.said :][:step])
            else:
                self.peer.finish()
                self.finished = True
        except OSError:
            self.broken = True  # what came before the reset is still there to be read


@settings(max_examples=100)
@given(
    st.lists(steps, max_size=24),
    st.booleans(),
    st.booleans(),
    st.sampled_from([PLENTY, PLENTY, 20_000]),
)
def test_what_was_said_and_ended_is_heard(
    plan: list[tuple[str, int | str]], small: bool, another: bool, budget: int
) -> None:
    """Nothing is ever changed or out of order; a clean end before any reset brings everything."""
    engine = Engine()
    joined = Joined(engine, small=small, room=around(engine, budget))
    joined.another = another
    sides = {"client": Side(joined.client), "backend": Side(joined.backend)}
    client, backend = sides.values()
    try:
        for who, step in plan:
            side = sides[who]
            calm = not (client.was_reset or backend.was_reset)
            if step == "turn":
                engine.turn(0)
                _look(joined, budget)
            side.do(step)
            if step == "finish" and calm:
                side.clean = side.finished
        _end(engine, joined, client, backend)
        assert nothing(joined.room.backlog)
        if joined.endings != [Ending.BUFFERS] and not joined.given_back:
            _judge(client, backend)
            _judge(backend, client)
            if not (client.was_reset or backend.was_reset):
                assert joined.endings == [Ending.COMPLETE]
        for side in (client, backend):
            assert STREAM.startswith(side.peer.heard)
    finally:
        joined.close()
        engine.close()


def _look(joined: Joined, budget: int) -> None:
    """What holds between any two turns."""
    assert joined.room.backlog.kept <= budget
    if joined.given_back:
        assert not joined.ended()
        assert (backend_heard := joined.backend.heard) == b"", backend_heard
    elif not joined.ended():
        relay = joined.relay
        for direction in (relay.upstream, relay.downstream):
            assert not direction.ended or direction.pending is None
        assert relay.resetting is None or relay.resetting.pending is None


def _end(engine: Engine, joined: Joined, *sides: Side) -> None:
    """Both sides read to the end, and end what they have not."""

    def ended() -> bool:
        for side in sides:
            side.do("read")
            side.do("finish")
            if side.open and not any(other.was_reset for other in sides):
                side.clean = side.finished
        if joined.given_back:
            return True
        heard = all(side.peer.ending or not side.open for side in sides)
        return joined.ended() and heard

    settle(engine, ended)


def _judge(speaker: Side, hearer: Side) -> None:
    heard = hearer.peer.heard
    assert len(heard) <= speaker.said
    if speaker.clean and not hearer.was_reset:
        assert len(heard) == speaker.said
        if not speaker.was_reset:
            assert hearer.peer.ending == "fin"
