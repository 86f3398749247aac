"""Two directions joined: ends passed on as what they are, deadlines, and nothing left behind."""

import gc
import select
import socket
import sys
from dataclasses import replace

import pytest

from l4proxy.dataplane.direction import Direction
from l4proxy.dataplane.engine import READABLE, Engine
from l4proxy.dataplane.relay import Ending, Relay
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import LINGER_SECONDS, RESET_DELIVERY_SECONDS, SETTLED_SECONDS
from tests.l4proxy.dataplane.joined import (
    BULK,
    HALF_CLOSED,
    IDLE,
    TIMEOUTS,
    Join,
    Joined,
    around,
    fill,
    let,
    sides,
    stuck,
    until_delivered,
)
from tests.l4proxy.dataplane.loopback import (
    Clock,
    open_descriptors,
    quiet,
    settle,
    undelivered,
)
from tests.l4proxy.dataplane.room import nothing
from tests.l4proxy.dataplane.twins import PURE

pytestmark = pytest.mark.usefixtures("twins")

# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [0, 1])
def test_an_end_of_file_is_passed_on_and_the_other_way_lives(
    join: Join, engine: Engine, way: int
) -> None:
    """After one side's end the other still talks; when it ends too the relay is complete."""
    joined = join()
    first, second = sides(joined)[way]
    first.say(b"question")
    first.finish()
    settle(engine, second.heard_all(b"question", "fin"))
    second.say(b"a long answer")
    settle(engine, first.heard_all(b"a long answer"))
    assert not joined.ended()
    second.finish()
    settle(engine, joined.ended)
    settle(engine, first.heard_all(b"a long answer", "fin"))
    assert joined.endings == [Ending.COMPLETE]
    assert sorted(joined.counts) == [8, 13]


def test_both_ends_at_once(join: Join, engine: Engine) -> None:
    """Last data and ends of both sides in one turn: everything arrives, nobody is reset."""
    joined = join()
    for peer in (joined.client, joined.backend):
        peer.say(b"last words")
        peer.finish()
    settle(engine, joined.ended)
    for peer in (joined.client, joined.backend):
        settle(engine, peer.heard_all(b"last words", "fin"))
    assert joined.endings == [Ending.COMPLETE]
    assert joined.counts == (10, 10)


def test_data_and_end_after_the_peers_end_in_one_turn(join: Join, engine: Engine) -> None:
    """The answer and its end together, long after the question ended (EPOLLHUP): nothing is cut."""
    joined = join()
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"", "fin"))
    joined.backend.say(BULK[:100_000])
    joined.backend.finish()
    settle(engine, joined.ended)
    settle(engine, joined.client.heard_all(BULK[:100_000], "fin"))
    assert joined.endings == [Ending.COMPLETE]


def test_an_end_behind_kept_bytes_waits_for_them(join: Join, engine: Engine) -> None:
    """The end of file is not passed on while bytes of its direction are kept."""
    joined = join(small=True)
    fill(engine, joined.client)
    joined.client.finish()
    quiet(engine)
    assert not joined.relay.upstream.delivered
    settle(engine, joined.backend.has_ended)
    assert joined.relay.upstream.delivered


# --- resets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "ending"), [(0, Ending.CLIENT_RESET), (1, Ending.BACKEND_RESET)])
@pytest.mark.parametrize("words", [b"", b"half a sentence"])
def test_a_reset_is_passed_on(
    join: Join, clock: Clock, engine: Engine, way: int, words: bytes, ending: Ending
) -> None:
    """A reset before or after data is a reset for the other side too, behind the data."""
    joined = join()
    speaker, hearer = sides(joined)[way]
    speaker.say(words)
    settle(engine, hearer.heard_all(words))
    speaker.reset()
    until_delivered(clock, engine, joined)
    assert joined.endings == [ending]
    settle(engine, hearer.heard_all(words, "reset"))


@pytest.mark.parametrize("way", [0, 1])
def test_a_reset_together_with_data_waits_for_it(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """Data and reset in one turn: the other side hears the data, then the reset."""
    joined = join()
    speaker, hearer = sides(joined)[way]
    speaker.say(b"half a sentence")
    assert undelivered(speaker.sock) == 0
    speaker.reset()
    until_delivered(clock, engine, joined)
    settle(engine, hearer.heard_all(b"half a sentence", "reset"))


@pytest.mark.parametrize("way", [0, 1])
def test_a_reset_never_overtakes_undelivered_bytes(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """Bytes that are kept for a slow reader reach it before the reset of their sender does."""
    joined = join(small=True)
    speaker, hearer = sides(joined)[way]
    fill(engine, speaker)
    speaker.reset()
    quiet(engine)
    assert not joined.ended()
    # All that the relay's own kernel had acknowledged, and at least what the relay had read.
    read = (joined.relay.upstream, joined.relay.downstream)[way].count

    def reset_heard() -> bool:
        clock.now += RESET_DELIVERY_SECONDS
        hearer.hear()
        return hearer.ending == "reset"

    settle(engine, reset_heard)
    assert len(hearer.heard) >= read
    assert (BULK * 16).startswith(hearer.heard[:256])
    assert joined.ended()


@pytest.mark.parametrize(("way", "ending"), [(0, Ending.CLIENT_RESET), (1, Ending.BACKEND_RESET)])
def test_a_reader_that_never_reads_is_reset_at_last(
    join: Join, clock: Clock, engine: Engine, way: int, ending: Ending
) -> None:
    """A reset waits for delivery a bounded time; bytes given up never look like a clean end."""
    joined = join(small=True)
    speaker, hearer = sides(joined)[way]
    direction = (joined.relay.upstream, joined.relay.downstream)[way]
    while not stuck(engine, direction):
        speaker.say(BULK[:2_048])
        quiet(engine, 2)
    assert direction.pending is None
    speaker.reset()
    start = clock.now
    until_delivered(clock, engine, joined)
    assert clock.now - start >= HALF_CLOSED
    assert joined.endings == [ending]
    settle(engine, hearer.has_ended)
    assert hearer.ending == "reset"


@pytest.mark.parametrize("way", [0, 1])
def test_a_reset_after_ones_own_end_is_noticed_by_a_failing_send(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """A side that ended cleanly and is then gone: the other hears a clean end and is not reset."""
    joined = join()
    gone, other = sides(joined)[way]
    gone.say(b"complete")
    gone.finish()
    settle(engine, other.heard_all(b"complete", "fin"))
    gone.reset()
    quiet(engine)
    for _ in range(3):
        assert other.say(b"an answer to nobody")
        quiet(engine)
    assert not joined.ended()
    clock.now += LINGER_SECONDS
    settle(engine, joined.ended)
    assert joined.endings == [(Ending.CLIENT_RESET, Ending.BACKEND_RESET)[way]]


@pytest.mark.parametrize("way", [0, 1])
def test_a_reset_after_ones_own_end_is_noticed_without_a_send(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """A side that ended and is then gone ends the relay soon, though the other says nothing."""
    joined = join()
    gone, other = sides(joined)[way]
    gone.say(b"complete")
    gone.finish()
    settle(engine, other.heard_all(b"complete", "fin"))
    near = (joined.near_backend, joined.near_client)[way]
    settle(engine, lambda: not undelivered(near))
    gone.reset()
    quiet(engine)
    clock.now += LINGER_SECONDS
    settle(engine, joined.ended)
    assert joined.endings == [(Ending.CLIENT_RESET, Ending.BACKEND_RESET)[way]]
    assert other.heard_all(b"complete", "fin")()


def test_an_end_without_a_reset_is_taken_for_no_reset(join: Join, engine: Engine) -> None:
    """Events are hints: without an error on the socket a half-closed relay lives on."""
    joined = join()
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"", "fin"))
    joined.relay.upstream.on_ready(select.EPOLLERR | select.EPOLLHUP)
    joined.backend.say(b"still here")
    settle(engine, joined.client.heard_all(b"still here"))


def test_a_relay_that_is_cut_is_accounted_for(join: Join, engine: Engine) -> None:
    """At the end of the process both sides are closed, once, with what was copied."""
    joined = join()
    joined.client.say(b"three")
    settle(engine, joined.backend.heard_all(b"three"))
    engine.cut()
    assert joined.endings == [Ending.SHUTDOWN]
    assert joined.counts == (5, 0)


def test_a_completed_answer_survives_its_senders_reset_in_one_turn(
    join: Join, engine: Engine
) -> None:
    """The send that finds the backend gone, and its reset, in one turn: the client is not reset."""
    joined = join()
    joined.backend.say(b"complete")
    joined.backend.finish()
    settle(engine, lambda: joined.relay.downstream.delivered)
    joined.client.say(b"one more question")  # ready first, then the reset
    joined.backend.reset()
    quiet(engine)
    assert not joined.ended()
    assert joined.client.say(b"and one more")
    quiet(engine)
    settle(engine, joined.client.heard_all(b"complete", "fin"))
    assert joined.client.say(b"and one more")
    joined.client.finish()
    settle(engine, joined.ended)
    assert joined.endings == [Ending.BACKEND_RESET]


@pytest.mark.parametrize("way", [0, 1])
def test_a_whole_answer_with_its_end_and_a_reset_in_one_turn(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """A send finds a side gone that had said all and ended: the other hears a clean end."""
    joined = join()
    gone, other = sides(joined)[way]
    other.say(b"one more question")  # ready first
    gone.say(b"complete")
    gone.finish()
    gone.reset()
    settle(engine, other.heard_all(b"complete", "fin"))
    assert not joined.ended()
    until_delivered(clock, engine, joined)
    assert joined.endings == [(Ending.CLIENT_RESET, Ending.BACKEND_RESET)[way]]


@pytest.mark.parametrize("way", [0, 1])
def test_a_reset_after_the_others_end(join: Join, clock: Clock, engine: Engine, way: int) -> None:
    """A side that is reset before it ended resets the other, though that one had ended."""
    joined = join()
    ended, gone = sides(joined)[way]
    ended.finish()
    settle(engine, gone.heard_all(b"", "fin"))
    gone.say(b"half an answer")
    gone.reset()
    until_delivered(clock, engine, joined)
    settle(engine, ended.heard_all(b"half an answer", "reset"))
    assert joined.endings == [(Ending.BACKEND_RESET, Ending.CLIENT_RESET)[way]]


def test_an_end_for_a_side_that_is_gone(join: Join, clock: Clock, engine: Engine) -> None:
    """One side ends and the other resets in one turn: what the reset one had said arrives."""
    for way in (0, 1):
        for words in (b"", b"said before"):  # which of the two is ready first
            joined = join()
            ended, gone = sides(joined)[way]
            gone.say(words)
            ended.finish()
            gone.reset()
            until_delivered(clock, engine, joined)
            settle(engine, ended.heard_all(words, "reset"))


def test_both_sides_reset_at_once(join: Join, clock: Clock, engine: Engine) -> None:
    """Two resets in one turn end the relay once."""
    joined = join()
    joined.client.say(b"a")
    joined.backend.say(b"b")
    joined.client.reset()
    joined.backend.reset()
    until_delivered(clock, engine, joined)
    assert len(joined.endings) == 1


def test_a_slow_reader_hears_what_a_reset_backend_had_said(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """A send to a reset backend fails while its answer is kept: the client gets all of it."""
    joined = join(small=True)
    fill(engine, joined.backend)
    read = joined.relay.downstream.count
    joined.backend.reset()
    joined.client.say(b"into the void")
    quiet(engine)
    assert not joined.ended()

    def reset_heard() -> bool:
        clock.now += RESET_DELIVERY_SECONDS
        joined.client.hear()
        return joined.client.ending == "reset"

    settle(engine, reset_heard)
    assert len(joined.client.heard) >= read
    assert joined.endings == [Ending.BACKEND_RESET]


def test_both_gone_while_a_reset_waits(join: Join, clock: Clock, engine: Engine) -> None:
    """A reset that waits for delivery to a side that is reset itself ends the relay."""
    joined = join(small=True)
    fill(engine, joined.backend)
    joined.backend.reset()
    joined.client.say(b"into the void")
    quiet(engine)
    joined.client.reset()
    until_delivered(clock, engine, joined, HALF_CLOSED / 2)
    assert len(joined.endings) == 1


def test_a_reset_waits_for_nobody_who_is_reset(join: Join, clock: Clock, engine: Engine) -> None:
    """The kernel still counts bytes of a client that is gone: they are waited for no more."""
    joined = join(small=True)
    while not stuck(engine, joined.relay.downstream):
        joined.backend.say(BULK[:1_024])
        quiet(engine, 2)
    joined.backend.reset()
    quiet(engine)
    assert joined.relay.resetting is joined.relay.downstream
    joined.client.reset()
    quiet(engine)
    let(clock, engine, RESET_DELIVERY_SECONDS)
    assert joined.endings == [Ending.BACKEND_RESET]


def test_a_client_gone_after_its_end_while_the_answer_is_kept(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """The question ended, the answer stuck, the client reset: the backend is let go, not reset."""
    joined = join(small=True)
    joined.client.say(b"question")
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"question", "fin"))
    fill(engine, joined.backend)
    joined.client.reset()
    quiet(engine)
    assert joined.relay.discarding
    joined.backend.finish()
    settle(engine, joined.ended)
    assert joined.endings == [Ending.CLIENT_RESET]


def test_discarding_lasts_until_the_answer_is_delivered(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """A slow reader of a completed answer is not cut before it has all of it."""
    joined = join(small=True)
    while not stuck(engine, joined.relay.downstream):
        joined.backend.say(BULK[:1_024])
        quiet(engine, 2)
    joined.backend.finish()
    settle(engine, lambda: joined.relay.downstream.delivered)
    joined.client.say(b"one more question")
    joined.backend.reset()
    for _ in range(5):
        let(clock, engine, LINGER_SECONDS)
    assert not joined.ended()
    settle(engine, joined.client.has_ended)
    let(clock, engine, LINGER_SECONDS)
    settle(engine, joined.ended)
    assert joined.client.ending == "fin"


def test_a_reset_ends_discarding(join: Join, engine: Engine) -> None:
    """When the side that is read from to the end is reset too, nothing is left to wait for."""
    joined = join()
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"", "fin"))
    joined.client.reset()
    joined.backend.say(b"to nobody")
    quiet(engine)
    joined.backend.say(b"to nobody")
    quiet(engine)
    assert not joined.ended()
    joined.backend.reset()
    settle(engine, joined.ended)


# --- a backend without an answer -----------------------------------------------------------------


def _ends(joined: Joined, how: str) -> None:
    if how == "fin":
        joined.backend.sock.close()
    else:
        joined.backend.reset()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_backend_that_says_nothing_gives_the_client_back(
    join: Join, engine: Engine, how: str
) -> None:
    """It ends before a byte moved: the client is open, its bytes unread, and nothing is told it."""
    joined = join()
    joined.another = True
    _ends(joined, how)
    settle(engine, lambda: joined.given_back == 1)
    joined.client.say(b"for another backend")
    quiet(engine)
    assert joined.near_client.recv(100) == b"for another backend"
    assert (joined.endings, joined.client.ending) == ([], "")
    with pytest.raises(AttributeError):
        _ = joined.relay.upstream  # let go, so that no cycle is left


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_half_a_hello_may_be_said_again_too(join: Join, engine: Engine, how: str) -> None:
    """A backend that did not take all of the first words: what was kept of them is released."""
    joined = join(small=True, start=False)
    joined.another = True
    while True:  # until the backend's sockets are full
        try:
            joined.near_backend.send(BULK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
    joined.start()
    joined.relay.upstream.keep(BULK[:1_000])
    quiet(engine)
    assert joined.room.backlog.kept == 1_000
    _ends(joined, how)
    settle(engine, lambda: joined.given_back == 1)
    assert nothing(joined.room.backlog)
    assert joined.endings == []


def test_a_send_may_find_a_backend_without_an_answer(join: Join, engine: Engine) -> None:
    """Room for the rest of the hello and the reset are one event: no byte moved, so it counts."""
    joined = join(start=False)
    joined.another = True
    joined.start()
    joined.relay.upstream.keep(b"the rest of a hello")
    joined.backend.reset()
    settle(engine, lambda: joined.given_back == 1)
    assert nothing(joined.room.backlog)


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("what", ["answered", "said more", "half-closed", "no other"])
def test_no_other_backend_is_asked(
    join: Join, clock: Clock, engine: Engine, what: str, how: str
) -> None:
    """After a byte either way, the client's end, or without leave: the end is passed on."""
    joined = join()
    joined.another = what != "no other"
    heard = b""
    if what == "answered":
        heard = b"a"
        joined.backend.say(heard)
        settle(engine, joined.client.heard_all(heard))
    elif what == "said more":
        joined.client.say(b"more")
        settle(engine, joined.backend.heard_all(b"more"))
    elif what == "half-closed":
        joined.client.finish()
        settle(engine, joined.backend.heard_all(b"", "fin"))
    if how == "fin":
        joined.backend.finish()
    else:
        joined.backend.reset()
    if (what, how) == ("half-closed", "fin") or how == "reset":
        until_delivered(clock, engine, joined)
    settle(engine, joined.client.heard_all(heard, how))
    assert joined.given_back == 0


def test_the_clients_own_end_asks_nobody(join: Join, clock: Clock, engine: Engine) -> None:
    """A client that resets before any answer is gone: its backend hears a reset."""
    joined = join()
    joined.another = True
    joined.client.reset()
    until_delivered(clock, engine, joined)
    settle(engine, joined.backend.heard_all(b"", "reset"))
    assert (joined.given_back, joined.endings) == (0, [Ending.CLIENT_RESET])


# --- what is kept for slow readers ---------------------------------------------------------------


def test_whoever_waited_longest_is_ended_for_room(join: Join, engine: Engine) -> None:
    """Beyond the budget the first slow reader hears a reset; the others keep what they have."""
    room = around(engine)
    first, second, third = (join(small=True, room=room) for _ in range(3))
    for joined in (first, second):
        fill(engine, joined.backend)
    kept = room.backlog.kept
    assert kept > 0
    room.backlog.limit = kept
    third.client.say(b"small talk")
    settle(engine, third.backend.heard_all(b"small talk"))
    assert not first.ended()
    fill(engine, third.client)
    assert first.endings == [Ending.BUFFERS]
    assert room.backlog.kept <= kept
    settle(engine, first.client.has_ended)
    assert first.client.ending == "reset"
    assert not third.ended()


def test_who_alone_is_beyond_the_budget_is_ended(join: Join, engine: Engine) -> None:
    """Bytes that no budget has room for end their own relay, in whatever it was doing."""
    room = around(engine, 100)
    joined = join(small=True, room=room)
    fill(engine, joined.backend)
    assert joined.endings == [Ending.BUFFERS]
    assert nothing(room.backlog)


def test_the_other_way_may_be_the_one_that_waited_longest(join: Join, engine: Engine) -> None:
    """Both sides write and nobody reads: the relay ends once, while it is keeping bytes."""
    room = around(engine)
    joined = join(small=True, room=room)
    fill(engine, joined.backend)
    room.backlog.limit = room.backlog.kept + 100
    sent = 0
    while not joined.ended():
        sent += joined.client.say(BULK)
        engine.turn(0.001)
    assert joined.endings == [Ending.BUFFERS]
    assert nothing(room.backlog)


def test_a_smaller_budget_holds_from_the_next_byte_on(join: Join, engine: Engine) -> None:
    """A new limit ends nobody by itself; a reader that takes a little is judged by it."""
    room = around(engine)
    joined = join(small=True, room=room)
    fill(engine, joined.backend)
    room.backlog.limit = 10
    quiet(engine)
    assert not joined.ended()
    while not joined.ended():
        assert room.backlog.kept
        joined.client.sock.recv(3_000)
        engine.turn(0.001)
    assert joined.endings == [Ending.BUFFERS]
    assert nothing(room.backlog)


def test_a_reader_that_reads_again_is_counted_no_more(join: Join, engine: Engine) -> None:
    """Once what was kept is gone, the budget is whole."""
    joined = join(small=True)
    sent = fill(engine, joined.backend)
    assert joined.room.backlog.kept
    settle(engine, lambda: joined.client.heard_all(b"")() or len(joined.client.heard) == sent)
    assert nothing(joined.room.backlog)


# --- deadlines -----------------------------------------------------------------------------------


def test_an_idle_relay_is_closed(join: Join, clock: Clock, engine: Engine) -> None:
    """Without a byte for the idle time both sides are closed; each byte buys the whole time."""
    joined = join()
    let(clock, engine, IDLE - 1)
    joined.client.say(b"a")
    settle(engine, joined.backend.heard_all(b"a"))
    let(clock, engine, IDLE - 1)
    joined.backend.say(b"b")
    settle(engine, joined.client.heard_all(b"b"))
    let(clock, engine, IDLE - 1)
    assert not joined.ended()
    let(clock, engine, 1)
    assert joined.endings == [Ending.IDLE]


@pytest.mark.parametrize("way", [0, 1])
def test_a_half_closed_relay_is_closed_sooner(
    join: Join, clock: Clock, engine: Engine, way: int
) -> None:
    """After one side's end the shorter time holds, counted from the last byte."""
    joined = join()
    first, second = sides(joined)[way]
    first.finish()
    settle(engine, second.heard_all(b"", "fin"))
    let(clock, engine, HALF_CLOSED - 1)
    second.say(b"still thinking")
    settle(engine, first.heard_all(b"still thinking"))
    let(clock, engine, HALF_CLOSED - 1)
    assert not joined.ended()
    let(clock, engine, 1)
    assert joined.endings == [Ending.HALF_CLOSED]


def test_bytes_given_up_at_the_deadline_are_no_clean_end(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """A reader that was too slow for the idle time hears a reset: what it has is not all."""
    joined = join(small=True)
    fill(engine, joined.backend)
    let(clock, engine, IDLE)
    assert joined.endings == [Ending.IDLE]
    settle(engine, joined.client.has_ended)
    assert joined.client.ending == "reset"


def test_a_relay_has_a_lifetime(join: Join, clock: Clock, engine: Engine) -> None:
    """However busy, it ends when its time is over, and not before."""
    joined = join(timeouts=replace(TIMEOUTS, lifetime=100.0))
    for _ in range(9):
        let(clock, engine, 11)
        joined.client.say(b"a")
        quiet(engine, 2)
    assert not joined.ended()
    let(clock, engine, 1)
    assert joined.endings == [Ending.LIFETIME]


def test_a_late_half_close_buys_no_lifetime(join: Join, clock: Clock, engine: Engine) -> None:
    """A side that ends shortly before the lifetime is over moves nothing."""
    joined = join(timeouts=replace(TIMEOUTS, lifetime=100.0))
    let(clock, engine, 99)
    joined.client.finish()
    settle(engine, joined.backend.heard_all(b"", "fin"))
    let(clock, engine, 1)
    assert joined.endings == [Ending.LIFETIME]


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_settled_relay_watches_its_peers(
    join: Join, clock: Clock, engine: Engine, half_closed: bool
) -> None:
    """After two seconds, not before, both sockets ask whether their peer lives, as configured."""
    joined = join()
    quiet(engine)
    if half_closed:
        joined.client.finish()
        settle(engine, joined.backend.heard_all(b"", "fin"))
    let(clock, engine, SETTLED_SECONDS - 0.01)
    near = (joined.near_client, joined.near_backend)
    assert [_watch(sock)[0] for sock in near] == [0, 0]
    let(clock, engine, 0.01)
    assert [_watch(sock) for sock in near] == [(1, 40, 10, 20_000)] * 2
    assert joined.begun == []


def test_what_a_link_copies_keeps_a_relay_alive(
    join: Join, clock: Clock, engine: Engine, twins: str
) -> None:
    """The idle time counts from the last bytes of all, which no watcher was told of."""
    if twins == PURE:
        pytest.skip("the pure build has no links")
    joined = join()
    joined.client.say(b"first")
    settle(engine, joined.backend.heard_all(b"first"))
    joined.client.say(b", more")
    settle(engine, joined.backend.heard_all(b"first, more"))
    copied_at = joined.relay.upstream.copied_at()
    assert joined.relay.active_at < copied_at
    let(clock, engine, copied_at - clock.now + IDLE - 1)
    assert not joined.ended()
    let(clock, engine, 2)
    assert joined.endings == [Ending.IDLE]
    assert joined.counts == (11, 0)


def _watch(sock: Stream) -> tuple[int, ...]:
    tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *((socket.IPPROTO_TCP, n) for n in tcp)]
    return tuple(int.from_bytes(sock.getsockopt(*each, 4), sys.byteorder) for each in options)


def test_the_owner_hears_once_of_each_sides_first_bytes(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """Whoever speaks is told of at once, however late, and never again."""
    joined = join()
    let(clock, engine, 10 * SETTLED_SECONDS)
    assert joined.begun == []
    joined.backend.say(b"answer")
    settle(engine, joined.client.heard_all(b"answer"))
    assert joined.begun == [True]
    for _ in range(3):
        joined.client.say(b"a")
        joined.backend.say(b"b")
        quiet(engine)
    assert joined.begun == [True, False]


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_the_owner_sees_as_much_of_the_answer_as_it_asks_for(
    join: Join, engine: Engine, looks: int
) -> None:
    """From the first bytes on, in order, until it has seen enough; never what the client says."""
    joined = join()
    joined.looks = looks
    heard = b""
    for part in (b"one", b"two", b"three", b"four"):
        joined.client.say(b"client")
        joined.backend.say(part)
        heard += part
        settle(engine, joined.client.heard_all(heard))
    assert joined.looked == [b"one", b"two", b"three"][: max(1, looks)]


def test_a_relay_is_closed_once_with_the_ending_it_is_given(join: Join, engine: Engine) -> None:
    """Both sides hear of it; a relay that has ended is left alone."""
    joined = join()
    relay = joined.relay
    relay.close(Ending.DRAINED)
    relay.close(Ending.UNTRUSTED)
    assert joined.endings == [Ending.DRAINED]
    settle(engine, joined.client.has_ended)
    settle(engine, joined.backend.has_ended)


@pytest.mark.parametrize("vsock", [False, True])
def test_a_backend_without_tcp_settles_without_options(
    join: Join, clock: Clock, engine: Engine, vsock: bool
) -> None:
    """A socket that knows no keepalive is left alone, and the relay goes on both ways."""
    joined = join(unix=not vsock, vsock=vsock)
    let(clock, engine, SETTLED_SECONDS)
    assert (joined.begun, joined.failures) == ([], [])
    joined.client.say(b"question")
    settle(engine, joined.backend.heard_all(b"question"))
    joined.backend.say(b"answer")
    joined.backend.finish()
    settle(engine, joined.client.heard_all(b"answer", "fin"))


def test_a_unix_backend_gets_everything_before_its_clients_reset(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """It is let go only when it has read what the client had said."""
    joined = join(unix=True)
    joined.client.say(b"last words")
    quiet(engine)
    joined.client.reset()
    let(clock, engine, RESET_DELIVERY_SECONDS)
    assert not joined.ended()
    joined.backend.hear()
    until_delivered(clock, engine, joined)
    assert joined.backend.heard == b"last words"
    assert joined.endings == [Ending.CLIENT_RESET]


def test_a_vsock_backend_is_let_go_at_its_clients_reset(
    join: Join, clock: Clock, engine: Engine
) -> None:
    """Nothing counts what it has not read; what was sent comes before the end all the same."""
    joined = join(vsock=True)
    joined.client.say(b"last words")
    quiet(engine)
    joined.client.reset()
    let(clock, engine, RESET_DELIVERY_SECONDS)
    assert joined.endings == [Ending.CLIENT_RESET]
    joined.backend.hear()
    assert joined.backend.heard == b"last words"


# --- what is left behind -------------------------------------------------------------------------


def test_no_descriptor_and_no_memory_is_left(clock: Clock) -> None:
    """However a relay ends, its sockets are closed and its objects freed, without a collector."""
    gc.collect()
    before = open_descriptors()
    gc.disable()
    try:
        engine = Engine()
        for end in _ENDS:
            joined = Joined(engine, small=True)
            end(joined)
            while not joined.ended() and not joined.given_back:
                clock.now += LINGER_SECONDS / 2
                engine.turn(0.001)
            assert nothing(joined.room.backlog)
            engine.forget(joined.near_client.fileno())  # whoever took it back
            joined.close()
            del joined.relay, joined  # the relay holds its owner
        clock.now += 2 * IDLE  # an ended relay may be remembered until it would have been due
        engine.turn(0)
        engine.close()
        left = [found for found in gc.get_objects() if isinstance(found, Relay | Direction)]
    finally:
        gc.enable()
    assert left == []
    assert open_descriptors() == before


def _complete(joined: Joined) -> None:
    joined.client.say(b"a")
    joined.client.finish()
    joined.backend.finish()


def _reset(joined: Joined) -> None:
    joined.client.say(b"a")
    joined.client.reset()


def _gone(joined: Joined) -> None:
    joined.client.finish()
    quiet(joined.engine)
    joined.client.reset()
    joined.backend.say(BULK)


def _idle(joined: Joined) -> None:
    joined.backend.say(b"a")


def _failed(joined: Joined) -> None:
    joined.relay.upstream.on_failure(RuntimeError("a bug"))


def _slow(joined: Joined) -> None:
    fill(joined.engine, joined.backend)


def _shed(joined: Joined) -> None:
    fill(joined.engine, joined.backend)
    joined.room.backlog.limit = 0
    joined.client.hear()


def _silent(joined: Joined) -> None:
    joined.another = True
    joined.relay.upstream.keep(b"the rest of a hello")
    joined.backend.reset()


_ENDS = [_complete, _reset, _gone, _idle, _failed, _slow, _shed, _silent]


def test_an_unforeseen_error_ends_one_relay(join: Join, engine: Engine) -> None:
    """The owner hears of the error and of the end, once; late events change nothing."""
    joined, other = join(), join()
    upstream = joined.relay.upstream
    error = RuntimeError("a bug")
    upstream.on_failure(error)
    upstream.on_failure(error)
    upstream.on_ready(READABLE)
    assert joined.failures == [error, error]
    assert joined.endings == [Ending.FAILURE]
    other.client.say(b"a")
    settle(engine, other.backend.heard_all(b"a"))
