"""A pool, round by round: what is decided is carried out, and nothing that goes wrong breaks it."""

import logging
import math
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.actuators import Order
from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.control.found import Phase
from l4proxy.control.scaling.observe import Moment
from l4proxy.control.scaling.rounds import Kind
from l4proxy.dataplane.counters import PARKED
from l4proxy.messages import Report
from l4proxy.scaling import CPU, Reading, TermName
from routing import Address, BackendName
from routing.health import Verdict
from tests.l4proxy.control.scaling.stand import (
    APP,
    ILL,
    PROOF,
    WELL,
    A,
    B,
    C,
    D,
    Stand,
    configured,
)

QUICK = "{min: 1, max: 5, stabilisation: 0s, shrink: {backends: 3, every: 1s}, forecast: off}"
METRICS = ", telemetry: {url: 'http://{host}:9/m'}"


def stand(scaling: str = QUICK, more: str = "", backends: str = "abc") -> Stand:
    """A pool of three."""
    return Stand(configured(scaling, more, backends))


def shrinking(scaling: str = QUICK) -> Stand:
    """A pool of three of which two have just begun to drain, one with a session."""
    pool = stand(scaling)
    pool.sessions(a=1, c=2)
    pool.round()
    pool.round()
    return pool


def emptied() -> Stand:
    """The same, when both have been released."""
    pool = shrinking()
    pool.sessions(a=0)
    released = {name for _ in range(2) for name in pool.round().decision.release}
    assert released == {A, B}
    return pool


async def test_a_pool_that_fills_asks_for_more(caplog: pytest.LogCaptureFixture) -> None:
    """The number is logged with its sum; the free slots of those awake are told."""
    caplog.set_level(logging.INFO)
    pool = stand("{sessions: {pack: false}}")
    pool.sessions(a=9, b=9, c=9)
    done = pool.round()
    assert (done.decision.desired, done.current, done.free) == (4, 3, 3)
    assert done.kinds == (Kind.GROW,)
    assert "pool app: 4 backends, 3 there: sessions +3 (27 sessions, 10 a backend)" in caplog.text


async def test_those_who_are_not_needed_rest_and_wake_by_their_sessions() -> None:
    """Workers have begun sessions on the standby by the mark: the next round sees it awake."""
    pool = stand()
    pool.sessions(a=4)
    done = pool.round()
    assert set(done.taken.rest) == {B, C}
    assert pool.backends.lineup.resting == {(APP, B), (APP, C)}
    assert pool.backends.changed.is_set()
    mark = pool.backends.lineup.marks[APP]
    first = mark.order[0]
    assert (mark.below, set(mark.order)) == (1, {B, C})
    pool.sessions(a=10, **{first: 1})
    done = pool.round()
    assert done.taken.wake == (first,)
    assert pool.backends.lineup.marks[APP].order == tuple({B, C} - {first})
    # It does not go to rest again while it is needed.
    assert pool.round().taken.rest == ()


async def test_a_pool_shrinks_drain_first() -> None:
    """Drained, sealed when empty, released a round later; the number falls by it and no other."""
    pool = shrinking()
    assert pool.backends.lineup.drains.deadlines() == {(APP, A): None, (APP, B): None}
    rounds = [pool.round() for _ in range(4)]
    assert [each.decision.desired for each in rounds] == [3, 2, 2, 2]
    assert [each.decision.release for each in rounds] == [(), (B,), (), ()]
    kinds = [kind for each in rounds for kind in each.kinds if kind is not Kind.NONE]
    assert kinds == [Kind.SHRINK, Kind.RELEASE]
    pool.sessions(a=0)
    assert [pool.round().decision.desired for _ in range(3)] == [2, 1, 1]


async def test_the_actuator_hears_who_drains_and_who_may_go() -> None:
    """With address and sessions, in the order in which they are to go."""
    pool = shrinking()
    pool.round()
    pool.round()
    newest = pool.orders._newest  # noqa: SLF001 - what is handed over stands there
    assert newest is not None
    assert [(each.name, each.sessions) for each in newest.drain] == [(B, 0), (A, 1)]
    assert [each.address for each in newest.release] == [Address("127.0.0.1", 2)]
    assert (newest.current, newest.desired, newest.pool) == (3, 2, APP)
    assert newest.terms[0].name is TermName.SESSIONS


async def test_demand_that_returns_calls_a_drain_back() -> None:
    """Nothing is ordered for it."""
    pool = shrinking()
    pool.sessions(c=10)
    done = pool.round()
    assert (len(done.taken.cancel), done.decision.desired) == (1, 3)


async def test_a_release_is_ordered_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actuator that was busy or failed meanwhile hears of it still; who is kept leaves it."""
    pool = emptied()
    orders: list[Order] = []
    monkeypatch.setattr(pool.orders, "give", orders.append)
    pool.round()
    pool.backends.lineup.undrain(APP, B, pool.now)
    pool.round()
    assert [[victim.name for victim in order.release] for order in orders] == [[A, B], [A]]


async def test_who_is_empty_is_sealed_before_it_is_released() -> None:
    """Between the look at its sessions and its removal nobody comes back to it."""
    pool = shrinking()
    assert pool.backends.lineup.sealed == frozenset()
    pool.sessions(a=0)
    assert pool.round().decision.release == ()
    assert pool.backends.lineup.sealed == {(APP, A), (APP, B)}


async def test_released_backends_that_nobody_removes_are_taken_back() -> None:
    """Where no actuator was told of them, the load that returns finds them, and nothing flaps."""
    pool = emptied()
    assert {pool.round().decision.desired for _ in range(200)} == {1}
    pool.sessions(c=10)
    assert pool.round().decision.desired == 2
    assert len(pool.round().taken.cancel) == 1
    assert pool.round().decision.desired == 2


async def test_an_operators_drain_is_replaced_and_never_called_back() -> None:
    """Scaling works around it; whom an operator brings back it leaves alone."""
    pool = shrinking()
    members = {member.name: member for member in pool.backends.members(APP)}
    pool.backends.lineup.drain(APP, members[A], None)
    pool.sessions(c=10)
    done = pool.round()
    assert done.decision.cancel == (B,)
    assert A not in pool.backends.lineup.marks[APP].order
    assert TermName.TAKEN in {term.name for term in done.decision.terms}
    pool.backends.lineup.undrain(APP, A, pool.now)
    pool.sessions(b=0, c=3)
    for _ in range(5):
        done = pool.round()
        assert A not in (*done.taken.drain, *done.taken.rest)


async def test_a_deadline_of_drains_is_told_to_workers() -> None:
    """Where the configuration sets one; without it sessions stay until they end."""
    pool = shrinking(QUICK[:-1] + ", drain_timeout: 1h}")
    deadline = pool.now + 3_600.0
    assert pool.backends.lineup.drains.deadlines() == {(APP, A): deadline, (APP, B): deadline}


async def test_missing_telemetry_shrinks_nothing() -> None:
    """Absent, stale, negative or no number: the pool stays as it is, and the doubt is told."""
    pool = stand(QUICK[:-1] + ", metrics: {cpu: 50%}}", METRICS)
    for name in (A, B, C):
        pool.claims.told[name] = {CPU: Reading(0.01, 1.0)}
    for found in ({}, {CPU: Reading(0.0, 90.0)}, {CPU: Reading(-1.0, 0.0)}):
        pool.claims.told[B] = found
        done = pool.round()
        assert (done.decision.desired, done.taken.drain, done.taken.rest) == (3, (), ())
        assert [doubt.backend for doubt in done.decision.doubts] == [B]
    pool.claims.told[B] = {CPU: Reading(math.nan, 0.0)}
    assert not pool.round().taken.drain
    pool.claims.told[B] = {CPU: Reading(0.01, 1.0)}
    assert pool.round().taken.drain


async def test_a_backend_that_lies_moves_the_pool_no_further_than_its_bounds() -> None:
    """A load without end counts ten times its target, a capacity over the policy's not at all."""
    pool = stand(QUICK[:-1] + ", metrics: {cpu: 50%}}", METRICS)
    for name in (A, B, C):
        pool.claims.told[name] = {CPU: Reading(0.2, 1.0)}
    pool.claims.told[A] = {CPU: Reading(1e300, 1.0)}
    pool.claims.slots = {B: 10**9, C: -3}
    done = pool.round()
    assert done.decision.desired == 5
    assert {doubt.backend for doubt in done.decision.doubts} == {A, B, C}


async def test_while_workers_have_not_obeyed_nobody_goes() -> None:
    """A victim may get a session from a worker that has not heard of it."""
    pool = shrinking()
    for _ in range(4):
        done = pool.round(settled=False)
        assert (done.decision.desired, done.decision.release, done.taken.cancel) == (3, (), ())
    assert pool.round().decision.release == (B,)


async def test_while_nobody_answers_nothing_shrinks_and_nobody_is_removed() -> None:
    """Whose fault it is, nobody knows."""
    pool = stand(more=", health: tls")
    pool.backends.held = dict.fromkeys((A, B, C), WELL)
    pool.sessions(a=5)
    pool.round()
    pool.backends.held = dict.fromkeys((A, B, C), ILL)
    for _ in range(30):
        done = pool.round()
        assert (done.decision.desired, done.evict, done.taken.drain) == (3, (), ())


async def test_a_backend_that_failed_is_replaced_and_then_removed() -> None:
    """Replaced at once, removed when it has been gone for a minute; told once."""
    pool = stand(more=", health: tls")
    pool.backends.held = {A: ILL, B: WELL, C: WELL}
    pool.sessions(b=9, c=9)
    pool.backends.held[A] = WELL
    pool.round()
    pool.backends.held[A] = ILL
    first = pool.round()
    assert (first.decision.evict, first.evict, first.decision.desired) == ((A,), (), 4)
    late = pool.round(61.0)
    assert (late.evict, Kind.EVICT in late.kinds) == ((A,), True)
    again = pool.round()
    assert (again.evict, Kind.EVICT in again.kinds) == ((A,), False)


async def test_refused_evidence_is_told_once() -> None:
    """With the check that failed."""
    pool = stand()
    pool.backends.attestor.asked = PROOF
    trusted = dict.fromkeys((A, B, C), Trust(TrustState.TRUSTED))
    refuted = Trust(TrustState.REFUTED, reason="measurement: found x, expected y")
    pool.backends.attestor.held = {**trusted, B: refuted}
    for _ in range(3):
        pool.round()
    told = list(pool.orders._refusals)  # noqa: SLF001 - what is handed over stands there
    assert [(each.backend, each.check, each.reason) for each in told] == [
        (B, "measurement", "measurement: found x, expected y")
    ]


async def test_hellos_that_wait_are_heard_of_before_the_round() -> None:
    """Once: the round that they bring about knows of them."""
    pool = stand()
    assert not pool.scaler.parked()
    pool.totals.take(0, Report(((PARKED, APP, 2),)))
    assert pool.scaler.parked()
    done = pool.round()
    assert (done.parked, pool.scaler.parked()) == (2, False)
    assert TermName.PARKED in {term.name for term in done.decision.terms}


async def test_an_empty_pool_asks_for_a_backend_when_somebody_knocks() -> None:
    """Even where its minimum is none."""
    pool = stand("{min: 0, max: 3}", backends="a")
    pool.backends.roll.delete(APP, A)
    pool.scaler.rounds.last = None
    pool.totals.take(0, Report(((PARKED, APP, 1),)))
    assert pool.round().decision.desired == 1


async def test_a_reload_goes_on_with_what_is_known() -> None:
    """Other bounds hold from the next round on; rounds, drains and the window stay."""
    pool = stand("{min: 1, max: 9, sessions: {pack: false}}")
    pool.sessions(a=9, b=9, c=9)
    pool.round()
    pool.adopt(configured("{min: 1, max: 3, sessions: {pack: false}}"))
    assert pool.round().decision.desired == 3
    assert len(pool.scaler.rounds.changes) == 2


async def test_a_backend_that_somebody_else_removes_is_not_asked_for_again() -> None:
    """It goes by the word of who found it; one that just vanishes is asked for again."""
    pool = stand("{min: 1, max: 9, sessions: {pack: false}}", more=", health: tls")
    pool.backends.held = dict.fromkeys((A, B, C), WELL)
    pool.sessions(a=6, b=6, c=6)
    pool.round()
    pool.put("d")
    pool.backends.held[D] = WELL
    assert pool.round().decision.desired == 4
    pool.backends.phases = {C: Phase.DRAINING}
    assert (pool.round().decision.desired, pool.scaler.rounds.changes[-1].current) == (3, 3)
    assert pool.round().decision.desired == 3
    pool.backends.roll.delete(APP, C)
    assert pool.round().decision.desired == 3
    pool.backends.roll.delete(APP, A)
    assert pool.round().decision.desired == 3


async def test_while_it_is_not_known_who_is_there_nothing_is_done() -> None:
    """A directory that has not answered yet must not look like an empty pool."""
    pool = stand()
    pool.backends.known = False
    pool.scaler.round(Moment(1.0, 2.0))
    assert (pool.scaler.rounds.last, pool.orders.applied) == (None, None)
    assert not pool.orders._news.is_set()  # noqa: SLF001 - an order would stand there
    pool.backends.known = True
    assert pool.round().decision.desired == 3


async def test_an_ordered_backend_tells_the_lead_time() -> None:
    """From the order to the round in which it can serve."""
    pool = stand(more=", health: tls")
    pool.backends.held = dict.fromkeys((A, B, C), WELL)
    pool.sessions(a=9, b=9, c=9)
    pool.round()
    pool.put("d")
    pool.backends.held[D] = ILL
    pool.round(40.0)
    pool.backends.held[D] = WELL
    pool.round(35.0)
    assert pool.round().decision.outlook.lead == 75.0


class Event(NamedTuple):
    """What happens before a round."""

    seconds: float
    sessions: tuple[int, int, int, int]
    cpu: float
    health: tuple[bool, bool, bool]
    there: bool


EVENTS = st.builds(
    Event,
    st.sampled_from((5.0, 0.0, -3_600.0, 7.0, 90.0, 1e6)),
    st.tuples(*[st.integers(0, 12)] * 4),
    st.sampled_from((0.1, 0.9, math.nan, -1.0, 1e300, math.inf)),
    st.tuples(*[st.booleans()] * 3),
    st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=25))
async def test_whatever_happens_the_bounds_hold(events: list[Event]) -> None:
    """Clocks jump, claims lie, backends come, fall ill and go: never under min, never over max.

    Nobody is awake less than nobody: somebody who is well always takes new sessions.
    """
    scaling = "{min: 2, max: 6, stabilisation: 10s, standby: 1, metrics: {cpu: 50%}}"
    pool = stand(scaling, METRICS + ", health: tls")
    pool.backends.held = dict.fromkeys((A, B, C), WELL)
    for event in events:
        _happen(pool, event)
        done = pool.round(event.seconds)
        assert 2 <= done.decision.desired <= 6
        lineup, members = pool.backends.lineup, pool.backends.members(APP)
        assert lineup.resting.isdisjoint(lineup.drains.deadlines())
        awake = [
            each
            for each in members
            if (APP, each.name) not in lineup.drains and (APP, each.name) not in lineup.resting
        ]
        assert awake
        assert len(done.decision.mark.order) == len(set(done.decision.mark.order))


def _happen(pool: Stand, event: Event) -> None:
    there = {member.name for member in pool.backends.members(APP)}
    if event.there and D not in there:
        pool.put("d")
        there.add(D)
    elif not event.there and D in there:
        pool.backends.roll.delete(APP, D)
        there.discard(D)
    counts = dict(zip("abcd", event.sessions, strict=True))
    pool.sessions(**{name: count for name, count in counts.items() if BackendName(name) in there})
    well: dict[BackendName, Verdict] = {
        name: WELL if so else ILL for name, so in zip((A, B, C), event.health, strict=True)
    }
    pool.backends.held = {name: verdict for name, verdict in well.items() if name in there}
    if D in there:
        pool.backends.held[D] = WELL
    for name in there:
        pool.claims.told[name] = {CPU: Reading(event.cpu if name == A else 0.3, 1.0)}
