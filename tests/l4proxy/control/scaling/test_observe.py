"""What the recommender is told of a pool: states, counts, claims, and whether all is seen."""

from dataclasses import replace

import pytest

from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.control.found import Phase
from l4proxy.control.scaling.lives import Lives
from l4proxy.control.scaling.observe import EVICT_SECONDS, Moment, Sight, observe
from l4proxy.dataplane.counters import PARKED, UNPARKED
from l4proxy.messages import Report
from l4proxy.scaling import CPU, BackendState, Reading
from routing import BackendName
from tests.l4proxy.control.scaling.stand import (
    APP,
    ILL,
    NEW,
    PROOF,
    UTC,
    WELL,
    A,
    B,
    C,
    Stand,
    configured,
)

PROBED = ", health: tls"


class Seen(Stand):
    """A pool that is looked at, and not scaled."""

    def __init__(self, more: str = "") -> None:
        super().__init__(configured(more=more))
        self.lives = Lives()

    def look(self, now: float = 0.0, *, settled: bool = True) -> Sight:
        """One look."""
        moment = Moment(now, UTC, settled)
        return observe(self.ground, APP, self.settings, self.lives, moment)

    def states(self, now: float = 0.0) -> str:
        """The state of each backend."""
        reports = self.look(now).observation.backends
        return " ".join(f"{report.name}:{report.state}" for report in reports)


def test_a_pool_that_nobody_watches_is_well() -> None:
    """Without probes and proofs everybody is ready, or full."""
    pool = Seen()
    pool.sessions(a=3, b=10)
    assert pool.states() == "a:ready b:full c:ready"
    reports = pool.look().observation.backends
    assert [report.sessions for report in reports] == [3, 10, 0]
    assert (pool.look().observation.utc, pool.look().observation.parked) == (UTC, 0)


def test_whoever_never_answered_boots_and_whoever_did_has_failed() -> None:
    """Healthy on trust, before the first probe, is no answer; without probes it is one."""
    pool = Seen(PROBED)
    pool.backends.held = {A: NEW, B: WELL, C: ILL}
    assert pool.states() == "a:booting b:ready c:booting"
    pool.backends.held = {A: WELL, B: ILL, C: NEW}
    assert pool.states() == "a:ready b:failed c:booting"
    unprobed = Seen()
    unprobed.backends.held = {A: NEW, B: NEW, C: ILL}
    assert unprobed.states() == "a:ready b:ready c:booting"


def test_who_has_not_proved_itself_attests() -> None:
    """A refuted one has failed; where proofs are only observed nobody is barred."""
    pool = Seen()
    pool.backends.attestor.asked = PROOF
    held = {A: TrustState.TRUSTED, B: TrustState.UNTESTED, C: TrustState.REFUTED}
    pool.backends.attestor.held = {
        name: Trust(state, reason="measurement: another one") for name, state in held.items()
    }
    assert pool.states() == "a:ready b:attesting c:failed"
    assert [*pool.look().refuted, *pool.look().evictable] == [C, C]
    pool.backends.attestor.asked = replace(PROOF, enforced=False)
    assert pool.states() == "a:ready b:ready c:ready"
    assert [*pool.look().refuted, *pool.look().evictable] == [C]
    pool.backends.attestor.asked, pool.backends.attestor.held = PROOF, {}
    assert pool.states() == "a:attesting b:attesting c:attesting"


def test_proof_that_has_ended_counts_from_its_end() -> None:
    """It is being renewed: nobody takes a backend for lost because it was ordered long ago."""
    pool = Seen()
    pool.backends.attestor.asked = PROOF
    trusted = dict.fromkeys((A, B, C), Trust(TrustState.TRUSTED))
    pool.backends.attestor.held = trusted
    pool.look(0.0)
    pool.backends.attestor.held = {**trusted, A: Trust(TrustState.EXPIRED)}
    pool.look(900.0)
    report = pool.look(1_000.0).observation.backends[0]
    assert (report.state, report.started_at) == (BackendState.ATTESTING, 900.0)
    assert not pool.look(9_000.0).evictable


def test_drains_have_an_owner() -> None:
    """Scaling's may be called back, an operator's not; whoever rests is on standby."""
    pool = Seen()
    members = pool.backends.members(APP)
    pool.backends.lineup.drains.begin(APP, members[0], None, by_scaling=True)
    pool.backends.lineup.drain(APP, members[1], None)
    assert pool.states() == "a:draining b:taken c:ready"
    pool.backends.held = dict.fromkeys((A, B), ILL) | {C: WELL}
    assert pool.states() == "a:failed b:taken c:ready"


def test_who_found_a_backend_may_know_more() -> None:
    """One that goes is gone; one that only keeps its sessions is taken; one that waits boots."""
    pool = Seen()
    pool.backends.phases = {A: Phase.DRAINING, B: Phase.HELD, C: Phase.WAITING}
    assert pool.states() == "b:taken c:booting"
    assert pool.look().leaving == {A}
    pool.backends.phases = {}
    pool.look()
    pool.backends.phases = {C: Phase.WAITING}
    assert pool.states() == "a:ready b:ready c:failed"


def test_who_boots_unasked_is_told_of_when_it_serves() -> None:
    """As in a rolling update: else a backend would be ordered for each that takes another's place.

    Those who were there at the beginning, and those who were ordered, count at once.
    """
    pool = Seen(PROBED)
    pool.backends.held = dict.fromkeys((A, B, C), NEW)
    assert pool.states() == "a:booting b:booting c:booting"
    pool.put("d")
    pool.backends.held[BackendName("d")] = NEW
    assert pool.states() == "a:booting b:booting c:booting"
    pool.backends.held = dict.fromkeys((A, B, C, BackendName("d")), WELL)
    assert pool.states() == "d:ready a:ready b:ready c:ready"
    pool.backends.held[BackendName("d")] = ILL
    assert pool.states().startswith("d:failed")


def test_only_who_is_gone_for_a_while_is_removed() -> None:
    """A restart is no reason; nor is it while none of the pool answers."""
    pool = Seen(PROBED)
    pool.backends.held = dict.fromkeys((A, B, C), WELL)
    pool.look(0.0)
    pool.backends.held = {A: ILL, B: WELL, C: WELL}
    assert not pool.look(10.0).evictable
    assert not pool.look(9.0 + EVICT_SECONDS).evictable
    assert pool.look(10.0 + EVICT_SECONDS).evictable == {A}
    pool.backends.held = dict.fromkeys((A, B, C), ILL)
    assert not pool.look(10.0 + EVICT_SECONDS).evictable


def test_only_who_was_ordered_is_removed_for_never_having_come_up() -> None:
    """Who was there before us may be proved to others, and serve them."""
    pool = Seen(PROBED)
    pool.backends.held = {A: WELL, B: WELL, C: NEW}
    pool.look(0.0)
    pool.lives.expect(1, 0.0)
    pool.put("d")
    pool.backends.held[BackendName("d")] = ILL
    assert pool.look(10.0).evictable == {"d"}


def test_while_nobody_answers_nothing_is_clear() -> None:
    """Those who answered before count as there; the observation says that it is blurred."""
    pool = Seen(PROBED)
    pool.backends.held = {A: WELL, B: WELL, C: NEW}
    assert not pool.look(0.0).observation.blurred
    pool.backends.held = {A: ILL, B: ILL, C: ILL}
    assert pool.states(5.0) == "a:ready b:ready c:booting"
    assert pool.look(5.0).observation.blurred
    pool.backends.held = {A: WELL, B: ILL, C: ILL}
    assert not pool.look(5.0).observation.blurred
    assert pool.look(5.0, settled=False).observation.blurred


def test_claims_stand_beside_counts() -> None:
    """What telemetry says is passed on as a claim, with its age."""
    pool = Seen()
    pool.claims.told, pool.claims.slots = {A: {CPU: Reading(0.5, 3.0)}}, {A: 7}
    first, second, _ = pool.look().observation.backends
    assert (first.metrics, first.capacity) == ({CPU: Reading(0.5, 3.0)}, 7)
    assert (second.metrics, second.capacity) == ({}, None)


def test_a_backend_with_a_connection_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client's session may be counted elsewhere: many clients may share one address."""
    pool = Seen()
    pool.sessions(a=3, b=1)
    monkeypatch.setattr(pool.load, "sessions", lambda _: 0)
    reports = pool.look().observation.backends
    assert [report.sessions for report in reports] == [1, 1, 0]


def test_who_is_in_no_plan_yet_has_no_sessions() -> None:
    """A backend that has just been found has no cell to be counted in."""
    pool = Seen()
    pool.cells.assign([(APP, A)])
    pool.sessions(a=2)
    assert [report.sessions for report in pool.look().observation.backends] == [2, 0, 0]


@pytest.mark.parametrize(("unparked", "waiting"), [(0, 3), (2, 1), (5, 0)])
def test_hellos_that_wait_are_counted(unparked: int, waiting: int) -> None:
    """Those of a worker that has ended wait no more."""
    pool = Seen()
    pool.totals.take(0, Report(((PARKED, APP, 3), (UNPARKED, APP, unparked))))
    assert pool.look().observation.parked == waiting
    pool.totals.close(0)
    assert pool.look().observation.parked == 0
