"""The copy: every byte in order, whatever the sockets take, and nothing kept without a bound."""

import pytest

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.relay import Ending
from l4proxy.limits import BULK_READ_BYTES, LINGER_SECONDS, READS_PER_TURN, RELAY_BUFFER_BYTES
from tests.l4proxy.dataplane.joined import BULK, Join, fill, sides
from tests.l4proxy.dataplane.loopback import Clock, quiet, settle


@pytest.mark.parametrize("way", [0, 1])
def test_bytes_travel_both_ways(join: Join, engine: Engine, way: int) -> None:
    """What one side says the other hears, unchanged, again and again."""
    joined = join()
    speaker, hearer = sides(joined)[way]
    for turn in range(1, 4):
        speaker.say(b"ping")
        settle(engine, hearer.heard_all(b"ping" * turn))
    assert not joined.ended()


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("way", [0, 1])
def test_bulk_arrives_whole(join: Join, engine: Engine, way: int, small: bool) -> None:
    """Megabytes with the end right behind them arrive in order and before the end."""
    joined = join(small=small)
    speaker, hearer = sides(joined)[way]
    rest = BULK
    while rest:
        rest = rest[speaker.say(rest) :]
        engine.turn(0.001)
        hearer.hear()
    speaker.finish()
    settle(engine, hearer.heard_all(BULK, "fin"))


def test_a_busy_direction_gives_way(join: Join, engine: Engine) -> None:
    """One turn reads a bounded amount of one source; the rest follows without a new event."""
    joined = join()
    # Twice: what gives way in a turn has its next one at the end of the same.
    most = 2 * (BULK_READ_BYTES + (READS_PER_TURN - 1) * RELAY_BUFFER_BYTES)
    sent = 0
    while sent < 2 * most and (more := joined.client.say(BULK[sent : 2 * most])):
        sent += more
    assert sent > most
    engine.turn(0)
    assert joined.relay.upstream.count <= most
    settle(engine, joined.backend.heard_all(BULK[:sent]))


@pytest.mark.parametrize("way", [0, 1])
def test_a_side_that_does_not_read_stops_the_other(join: Join, engine: Engine, way: int) -> None:
    """At most one buffer is kept and the source is not read; reading makes all of it flow again."""
    joined = join(small=True)
    speaker, hearer = sides(joined)[way]
    sent = fill(engine, speaker)
    direction = (joined.relay.upstream, joined.relay.downstream)[way]
    assert direction.pending is not None
    assert 0 < len(direction.pending) <= RELAY_BUFFER_BYTES
    read = direction.count
    hearer.say(b"still alive")  # the other way is not stopped
    settle(engine, speaker.heard_all(b"still alive"))
    speaker.say(b"more")
    quiet(engine)
    assert direction.count == read < sent
    speaker.finish()
    settle(engine, hearer.has_ended)
    assert len(hearer.heard) >= sent
    assert hearer.ending == "fin"


@pytest.mark.parametrize("small", [False, True])
def test_a_stream_is_read_in_large_pieces_that_fit(join: Join, engine: Engine, small: bool) -> None:
    """Once reads are full they take more at once, where the other side has room for all of it."""
    joined = join(small=small)
    before = largest = sent = 0
    while sent < 2 * len(BULK):
        sent += joined.client.say(BULK)
        engine.turn(0.001)
        read, before = joined.relay.upstream.count - before, joined.relay.upstream.count
        largest = max(largest, read)
        joined.backend.hear()
        pending = joined.relay.upstream.pending
        assert len(pending or b"") <= RELAY_BUFFER_BYTES
    assert (largest > READS_PER_TURN * RELAY_BUFFER_BYTES) is not small


def test_the_rest_of_a_hello_goes_first(join: Join, engine: Engine) -> None:
    """Bytes that a dial could not send arrive before those that the client says meanwhile."""
    joined = join(start=False)
    joined.relay.upstream.keep(b"rest of the hello, ")
    joined.start()
    joined.client.say(b"then early data")
    engine.again(joined.relay.upstream)
    settle(engine, joined.backend.heard_all(b"rest of the hello, then early data"))
    joined.client.finish()
    joined.backend.finish()
    settle(engine, joined.ended)
    assert joined.counts == (15, 0)


def test_discarding_reads_in_turns_and_ends(join: Join, clock: Clock, engine: Engine) -> None:
    """What is said to nobody is dropped without a stop, for a bounded time."""
    joined = join()
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"", "fin"))
    joined.client.reset()
    for _ in range(20):
        joined.backend.say(BULK)
        engine.turn(0)
    assert not joined.ended()
    clock.now += LINGER_SECONDS
    settle(engine, joined.ended)
    assert joined.endings == [Ending.CLIENT_RESET]
