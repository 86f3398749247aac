"""Tests of the verdict on a backend, and of what a pool makes of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routing.backend import BackendName
from routing.health import (
    DIAL_MEMORY_SECONDS,
    EJECTED_SHARE,
    FAILED_DIALS,
    HOLD_BASE_SECONDS,
    HOLD_MAX_SECONDS,
    STEADY_SECONDS,
    Health,
    HealthChanged,
    HealthReason,
    PoolHealth,
    ProbeFault,
    Rules,
    Verdict,
)

REFUSED = ProbeFault("refused")
A, B, C, D = (BackendName(name) for name in "abcd")
EVERY = 5.0

# Of one backend, in any minute: with holds of 0, 10 and 20 s a fifth fall would come after 70 s.
MOST_FALLS_A_MINUTE = 4


def probed(health: Health, outcomes: str, start: float = 0.0) -> str:
    """The verdicts after probes 5 s apart; `+` is an answer and healthy, `-` the contrary."""
    said = ""
    for count, outcome in enumerate(outcomes):
        now = start + count * EVERY
        health.observe_probe(None if outcome == "+" else REFUSED, now)
        said += "+" if health.healthy(now) else "-"
    return said


def pool(*names: BackendName, rules: Rules | None = None) -> PoolHealth:
    """A pool of these backends at the moment 0."""
    health = PoolHealth(rules or Rules())
    for name in names:
        health.add(name, 0.0)
    return health


@pytest.mark.parametrize(
    ("outcomes", "verdicts"),
    [
        ("+++", "+++"),
        ("-++", "--+"),
        ("+--+---+++", "++++++--++"),
        ("+---+-++", "+++----+"),
        ("----+", "-----"),
    ],
)
def test_thresholds(outcomes: str, verdicts: str) -> None:
    """Three failures in a row fell a backend, two answers in a row raise it."""
    assert probed(Health(Rules(rise=2, fall=3), 0.0), outcomes) == verdicts


def test_a_start_is_no_outage() -> None:
    """A backend is healthy before its first probe, and says that this is assumed."""
    assert Health(Rules(), 0.0).verdict(0.0) == Verdict(healthy=True, reason=HealthReason.ASSUMED)


def test_the_first_probe_decides_at_once() -> None:
    """Neither a dead backend nor a new one that must prove itself waits for the thresholds."""
    assert probed(Health(Rules(rise=3, fall=3), 0.0), "-") == "-"
    strict = Health(Rules(rise=3, fall=3, assume_healthy=False), 0.0)
    assert strict.verdict(0.0) == Verdict(healthy=False, reason=HealthReason.UNPROBED)
    assert probed(strict, "+") == "+"
    assert probed(Health(Rules(assume_healthy=False), 0.0), "-+") == "--"


def test_a_verdict_says_what_the_newest_failed_probe_found() -> None:
    """An operator reads why a backend is out, as of now."""
    health = Health(Rules(fall=1), 0.0)
    health.observe_probe(REFUSED, 0.0)
    health.observe_probe(ProbeFault("timeout"), 5.0)
    expected = Verdict(
        healthy=False, reason=HealthReason.PROBES_FAILED, fault=ProbeFault("timeout")
    )
    assert health.verdict(5.0) == expected
    assert probed(health, "++", 10.0) == "-+"
    assert health.verdict(15.0) == Verdict(healthy=True, reason=HealthReason.ANSWERS)


def test_who_falls_again_and_again_is_held_longer_each_time() -> None:
    """The first fall costs `rise`; then 10, 20, 40 … seconds, at most five minutes."""
    health = Health(Rules(rise=1, fall=1), 0.0)
    now = 0.0
    holds = []
    for _ in range(8):
        health.observe_probe(REFUSED, now)
        health.observe_probe(None, now)
        until = health.verdict(now).until
        holds.append(0.0 if until is None else until - now)
        now += holds[-1]
    assert holds == [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_hold_after_flapping_is_called_so() -> None:
    """Who answers and is out all the same is told why and until when."""
    health = Health(Rules(rise=1, fall=1), 0.0)
    for outcome in (REFUSED, None, REFUSED, None):
        health.observe_probe(outcome, 1.0)
    until = 1.0 + HOLD_BASE_SECONDS
    expected = Verdict(healthy=False, reason=HealthReason.FLAPPING, until=until)
    assert health.verdict(1.0) == expected
    assert not health.healthy(until - 0.1)
    assert health.healthy(until)


def test_a_steady_backend_has_a_clean_sheet() -> None:
    """After five healthy minutes a fall counts as the first again."""
    health = Health(Rules(rise=1, fall=1), 0.0)
    assert probed(health, "-+-+") == "-+--"
    back = 10.0 + HOLD_BASE_SECONDS
    assert health.healthy(back)
    assert probed(health, "-+", back + STEADY_SECONDS) == "-+"


def test_a_fall_during_a_hold_does_not_prolong_it() -> None:
    """A backend that is out already cannot fall; it comes back when both are over."""
    health = Health(Rules(rise=1, fall=1), 0.0)
    health.eject(0.0)
    assert probed(health, "-+", 1.0) == "--"
    assert health.verdict(6.0).until == HOLD_BASE_SECONDS
    assert health.healthy(HOLD_BASE_SECONDS)


@pytest.mark.parametrize(
    ("reports", "ejects"),
    [
        ([(0, 4)], False),
        ([(0, 5)], True),
        ([(0, 3), (0, 2)], True),
        ([(0, 4), (4, 0), (0, 4)], False),
        ([(2, 3)] * 4, False),
        ([(2, 3)] * 5, True),
        ([(100, 0), (0, 5)], True),
        ([(0, 4)] + [(50, 49)] * 9, False),
    ],
)
def test_dials_that_mostly_fail_eject(reports: list[tuple[int, int]], ejects: bool) -> None:
    """Five failures beyond the successes eject; successes long ago are no credit."""
    health = Health(Rules(), 0.0)
    said = [health.observe_dials(good, bad, float(at)) for at, (good, bad) in enumerate(reports)]
    assert said[-1] is ejects
    assert not any(said[:-1])


def test_old_failures_are_forgotten() -> None:
    """A backend that fails a dial an hour is not ejected after five hours."""
    health = Health(Rules(), 0.0)
    health.observe_dials(0, FAILED_DIALS - 1, 0.0)
    assert health.observe_dials(0, 1, DIAL_MEMORY_SECONDS)
    assert not health.observe_dials(0, 1, 3 * DIAL_MEMORY_SECONDS)


def test_dials_of_an_unhealthy_backend_tell_nothing_new() -> None:
    """In an open pool a dead backend is dialled; that does not hold it out for longer."""
    health = Health(Rules(), 0.0)
    health.observe_probe(REFUSED, 0.0)
    assert not health.observe_dials(0, 100, 1.0)


def test_thresholds_below_one_mean_nothing() -> None:
    """A rise or fall of zero is refused with the values found."""
    with pytest.raises(ValueError, match="rise 0, fall 3: expected at least 1"):
        Rules(rise=0)


def test_a_pool_tells_each_change_once() -> None:
    """A change of verdict is returned by the observation that made it, and not again."""
    health = pool(A, B)
    fallen = health.observe_probe(A, REFUSED, 1.0)
    assert fallen == HealthChanged(A, health.verdict(A, 1.0))
    assert health.observe_probe(A, REFUSED, 2.0) is None
    assert health.advance(3.0) == ()
    assert health.usable(3.0) == {B}


def test_a_pool_tells_of_holds_that_end() -> None:
    """A backend that was ejected comes back by the passing of time."""
    health = pool(A, B)
    changed = health.observe_dials(A, 0, FAILED_DIALS, 1.0)
    assert changed is not None
    assert changed.verdict.reason is HealthReason.DIALS_FAILED
    until = 1.0 + HOLD_BASE_SECONDS
    assert changed.verdict.until == until
    assert health.advance(until - 0.1) == ()
    assert [change.backend for change in health.advance(until)] == [A]


@pytest.mark.parametrize(("size", "ejected"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_one_bad_moment_does_not_empty_a_pool(size: int, ejected: int) -> None:
    """When every dial fails, no more than the named share of the pool is ejected."""
    names = [BackendName(f"b{number}") for number in range(size)]
    health = pool(*names)
    changes = [health.observe_dials(name, 0, 100, 1.0) for name in names]
    assert sum(change is not None for change in changes) == ejected
    assert health.spared == size - ejected


def test_the_share_counts_who_is_out_already() -> None:
    """Half of the pool fails its probes: nobody is ejected on top."""
    health = pool(A, B, C, D)
    health.observe_probe(A, REFUSED, 0.0)
    health.observe_probe(B, REFUSED, 0.0)
    assert health.observe_dials(C, 0, 100, 1.0) is None
    assert health.usable(1.0) == {C, D}


def test_a_smaller_pool_pardons() -> None:
    """When members leave, those whose hold ends first come back until the share is kept."""
    health = pool(A, B, C, D)
    health.observe_dials(A, 0, 100, 1.0)
    health.observe_dials(B, 0, 100, 2.0)
    assert [change.backend for change in health.remove(C, 3.0)] == [A]
    assert health.remove(A, 3.0) == ()
    assert list(health) == [B, D]
    assert C not in health


def test_a_pool_of_which_nobody_is_healthy_opens() -> None:
    """All are usable when none is healthy, and only the healthy one as soon as there is one."""
    health = pool(A, B)
    health.observe_probe(A, REFUSED, 0.0)
    assert health.usable(0.0) == {B}
    health.observe_probe(B, REFUSED, 0.0)
    assert health.usable(0.0) == {A, B}
    health.observe_probe(B, None, 5.0)
    assert health.observe_probe(B, None, 10.0) is not None
    assert health.usable(10.0) == {B}


def test_other_rules_hold_for_everybody_at_once() -> None:
    """A reload changes thresholds and forgets nothing."""
    health = pool(A, B)
    health.observe_probe(A, None, 0.0)
    health.set_rules(Rules(fall=1))
    assert health.observe_probe(A, REFUSED, 5.0) is not None
    health.add(C, 5.0)
    assert health.usable(5.0) == {B, C}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 9.0, 30.0, 400.0]), st.integers(0, 3))),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_verdicts_do_not_flap(heard: list[tuple[float, int]], rise: int, fall: int) -> None:
    """Whatever a backend does, it falls at most four times in any minute."""
    health = pool(A, B, rules=Rules(rise, fall))
    now = 0.0
    falls = []
    for wait, event in heard:
        now += wait
        health.advance(now)
        if event in {0, 1}:
            changed = health.observe_probe(A, REFUSED if event else None, now)
        else:
            changed = health.observe_dials(A, 9 * (event - 2), 9 * (3 - event), now)
        if changed is not None and not changed.verdict.healthy:
            falls.append(now)
    assert all(
        later - first >= 60.0
        for first, later in zip(falls, falls[MOST_FALLS_A_MINUTE:], strict=False)
    )


class PoolMachine(RuleBasedStateMachine):
    """A pool under everything that can happen to it."""

    names = st.sampled_from([BackendName(f"b{number}") for number in range(7)])

    def __init__(self) -> None:
        """Begin with the two backends b0 and b1, of which b0 always answers."""
        super().__init__()
        self.now = 0.0
        self.good = BackendName("b0")
        self.health = pool(self.good, BackendName("b1"))
        self.told = {self.good: True, BackendName("b1"): True}

    def hear(self, *changes: HealthChanged | None) -> None:
        """Note what was told, each of which must be news."""
        for change in changes:
            if change is not None:
                assert self.told[change.backend] is not change.verdict.healthy
                self.told[change.backend] = change.verdict.healthy

    @rule(wait=st.sampled_from([0.1, 1.0, 5.0, 20.0, 100.0, 400.0]))
    def pass_time(self, wait: float) -> None:
        """Let holds end; the good backend answers meanwhile."""
        self.now += wait
        self.hear(*self.health.advance(self.now))
        self.hear(self.health.observe_probe(self.good, None, self.now))
        self.hear(self.health.observe_dials(self.good, 3, 0, self.now))

    @rule(name=names)
    def join(self, name: BackendName) -> None:
        """Add a backend."""
        if name not in self.health:
            self.health.add(name, self.now)
            self.told[name] = True

    @rule(name=names)
    def leave(self, name: BackendName) -> None:
        """Remove a backend, never the good one."""
        if name in self.health and name != self.good:
            del self.told[name]
            self.hear(*self.health.remove(name, self.now))

    @rule(name=names, answers=st.booleans())
    def probe(self, name: BackendName, answers: bool) -> None:
        """Probe a backend; the good one answers."""
        if name in self.health:
            fault = None if answers or name == self.good else REFUSED
            self.hear(self.health.observe_probe(name, fault, self.now))

    @precondition(lambda self: len(self.told) > 1)
    @rule(name=names, successes=st.integers(0, 10), failures=st.integers(0, 10))
    def dial(self, name: BackendName, successes: int, failures: int) -> None:
        """Report dials; those of the good backend succeed."""
        if name in self.health:
            failed = 0 if name == self.good else failures
            self.hear(self.health.observe_dials(name, successes, failed, self.now))

    @invariant()
    def no_more_than_the_share_is_ejected(self) -> None:
        """Dials alone never take more than the named share out of a pool."""
        reasons = [self.health.verdict(name, self.now).reason for name in self.health]
        assert reasons.count(HealthReason.DIALS_FAILED) <= EJECTED_SHARE * len(reasons)

    @invariant()
    def who_always_answers_is_healthy(self) -> None:
        """What happens to others takes nothing from a backend that answers."""
        assert self.health.verdict(self.good, self.now).healthy
        assert self.good in self.health.usable(self.now)

    @invariant()
    def every_change_was_told(self) -> None:
        """Who hears of every change knows every verdict."""
        self.hear(*self.health.advance(self.now))
        verdicts = {name: self.health.verdict(name, self.now) for name in self.health}
        assert self.told == {name: verdict.healthy for name, verdict in verdicts.items()}
        assert all(
            (verdict.until or 0) <= self.now + HOLD_MAX_SECONDS for verdict in verdicts.values()
        )


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=40, stateful_step_count=30)
