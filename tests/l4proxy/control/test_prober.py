"""Tests of watching pools: real backends on the loopback, and scripted ones for the rest."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from l4proxy.control import prober as room
from l4proxy.control.dials import Dials
from l4proxy.control.membership import Member
from l4proxy.control.probe import Outcome, Probe, ProbeType
from l4proxy.control.prober import HealthRules, Prober
from routing import Address, BackendName, PoolName
from routing.health import FAILED_DIALS, HealthReason, ProbeFault, Rules, Verdict
from tests.l4proxy.control.servers import PATIENCE_SECONDS, backend, make_certificate

APP, API = PoolName("app"), PoolName("api")
A, B, C = (BackendName(name) for name in "abc")
QUICK = HealthRules(Probe(ProbeType.TCP, 0.02), 0.02, Rules(rise=2, fall=2))
WELL, ILL = Outcome(), Outcome(ProbeFault("refused"))


class Backends:
    """Backends by port, each with the outcome that probing it has."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.probed: list[int] = []
        self.at_once = 0
        self.most_at_once = 0

    async def ask(self, address: Address, _probe: Probe) -> Outcome:
        """Take a probe."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.probed.append(address.port)
        return self.outcomes.get(address.port, WELL)


class Told:
    """What a prober told."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[PoolName, BackendName, Verdict]] = []

    def __call__(self, pool: PoolName, name: BackendName, verdict: Verdict) -> None:
        """Hear of a change."""
        self.verdicts.append((pool, name, verdict))

    def brief(self) -> list[tuple[BackendName, bool]]:
        """Who became what."""
        return [(name, verdict.healthy) for _, name, verdict in self.verdicts]


def pools(**ports: int) -> dict[PoolName, tuple[Member, ...]]:
    """The pool `app`, whose backends have these ports."""
    return pool(APP, ports)


def pool(name: PoolName, ports: Mapping[str, int]) -> dict[PoolName, tuple[Member, ...]]:
    """One pool whose backends have these ports."""
    members = (
        Member(BackendName(text), Address("127.0.0.1", port)) for text, port in ports.items()
    )
    return {name: tuple(members)}


@asynccontextmanager
async def running(prober: Prober) -> AsyncIterator[None]:
    """A prober at work."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(prober.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.005)


def states(prober: Prober) -> Mapping[BackendName, bool]:
    """Who is healthy."""
    return {name: verdict.healthy for name, verdict in prober.verdicts(APP).items()}


async def test_certificates_are_passed_on() -> None:
    """Whoever attests hears of each that a backend shows, answer or not; TCP shows none."""
    shown: list[tuple[PoolName, BackendName, bytes]] = []
    backends = Backends()
    backends.outcomes[1] = Outcome(ProbeFault("http_status:500"), certificate=b"der")
    prober = Prober(Told(), backends.ask, lambda *seen: shown.append(seen))
    async with running(prober):
        prober.watch(pools(a=1, b=2), {APP: QUICK})
        await until(lambda: shown and backends.probed.count(2) > 1)
    assert set(shown) == {(APP, A, b"der")}


async def test_real_backends_come_and_go(tmp_path: Path) -> None:
    """A real backend is healthy; when it stops listening it is unhealthy, and told so once."""
    told = Told()
    prober = Prober(told)
    asked = HealthRules(Probe(ProbeType.TLS, 5.0), 5.0)
    quick = HealthRules(Probe(ProbeType.TCP, 0.1), 0.1, Rules(rise=1, fall=1))
    async with backend(context=make_certificate(tmp_path).context()) as good:
        prober.watch(pools(a=good.address.port), {APP: asked})
        async with running(prober):
            await until(lambda: prober.outcomes[APP, ""])
            assert prober.verdicts(APP)[A].reason is HealthReason.ANSWERS
            prober.watch(pools(a=good.address.port), {APP: quick})
            await until(lambda: prober.outcomes[APP, ""] > 2)
    async with running(prober):
        await until(lambda: prober.outcomes[APP, "refused"] > 2)
    refused = Verdict(healthy=False, reason=HealthReason.PROBES_FAILED, fault=ProbeFault("refused"))
    assert told.verdicts == [(APP, A, refused)]


async def test_verdicts_follow_the_backends() -> None:
    """Each backend is judged by its own probes, and each change is told."""
    told, play = Told(), Backends()
    play.outcomes[2] = ILL
    prober = Prober(told, play.ask)
    prober.watch(pools(a=1, b=2), {APP: QUICK})
    assert states(prober) == {A: True, B: True}
    async with running(prober):
        await until(lambda: told.brief() == [(B, False)])
        assert prober.usable(APP) == frozenset({A})
        play.outcomes[2] = WELL
        await until(lambda: told.brief() == [(B, False), (B, True)])
    assert prober.usable(APP) == frozenset({A, B})


async def test_backends_are_added_and_removed_while_running() -> None:
    """New backends are probed from then on, removed ones no more; the others go on undisturbed."""
    told, play = Told(), Backends()
    play.outcomes = {1: ILL, 3: ILL}
    prober = Prober(told, play.ask)
    async with running(prober):
        prober.watch(pools(a=1, b=2), {APP: QUICK})
        await until(lambda: told.brief() == [(A, False)])
        prober.watch(pools(a=1, c=3), {APP: QUICK})
        assert states(prober) == {A: False, C: True}
        play.probed.clear()
        await until(lambda: play.probed.count(1) > 3 and (C, False) in told.brief())
    assert 2 not in play.probed
    assert told.brief() == [(A, False), (C, False)]


async def test_a_backend_that_moves_starts_anew() -> None:
    """What is known belongs to an address, not to a name."""
    told, play = Told(), Backends()
    play.outcomes[1] = ILL
    prober = Prober(told, play.ask)
    prober.watch(pools(a=1, b=2), {APP: QUICK})
    async with running(prober):
        await until(lambda: states(prober) == {A: False, B: True})
        prober.watch(pools(a=3, b=2), {APP: QUICK})
        assert prober.verdicts(APP)[A].reason is HealthReason.ASSUMED
        await until(lambda: prober.verdicts(APP)[A].reason is HealthReason.ANSWERS)


async def test_other_rules_take_effect_at_once() -> None:
    """A reload with other thresholds and another pace keeps what is known."""
    told, play = Told(), Backends()
    prober = Prober(told, play.ask)
    slow = HealthRules(Probe(ProbeType.TCP, 1.0), 3600.0, Rules(fall=9))
    prober.watch(pools(a=1, b=2), {APP: slow})
    async with running(prober):
        await until(lambda: len(play.probed) == 2)
        play.outcomes[1] = ILL
        prober.watch(pools(a=1, b=2), {APP: QUICK})
        assert prober.verdicts(APP)[A].reason is HealthReason.ANSWERS
        await until(lambda: told.brief() == [(A, False)])


async def test_a_pool_without_rules_is_not_watched() -> None:
    """Where health is switched off nobody is probed, barred or told of."""
    told, play = Told(), Backends()
    prober = Prober(told, play.ask)
    prober.watch({**pools(a=1), **pool(API, {"b": 2})}, {API: QUICK})
    async with running(prober):
        await until(lambda: play.probed.count(2) > 2)
        prober.observe_dials([Dials(APP, A, 0, 100)])
    assert 1 not in play.probed
    assert prober.usable(APP) is None
    assert prober.verdicts(APP) == {}
    assert told.verdicts == []


async def test_dials_of_the_workers_count() -> None:
    """A backend that workers cannot dial is ejected though its probes are well; and comes back."""
    told, play = Told(), Backends()
    prober = Prober(told, play.ask)
    prober.watch(pools(a=1, b=2), {APP: QUICK})
    prober.observe_dials([Dials(APP, C, 0, 100), Dials(APP, A, 0, FAILED_DIALS)])
    assert told.brief() == [(A, False)]
    assert prober.usable(APP) == frozenset({B})
    assert prober.verdicts(APP)[A].reason is HealthReason.DIALS_FAILED


async def test_holds_end_without_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passing of time alone brings an ejected backend back."""
    monkeypatch.setattr("routing.health.HOLD_BASE_SECONDS", 0.05)
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.01)
    told = Told()
    prober = Prober(told, Backends().ask)
    never = HealthRules(Probe(ProbeType.TCP, 1.0), 3600.0)
    prober.watch(pools(a=1, b=2), {APP: never})
    async with running(prober):
        prober.observe_dials([Dials(APP, A, 0, FAILED_DIALS)])
        await until(lambda: told.brief() == [(A, False), (A, True)])


async def test_probes_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many backends there are, no more than the bound are probed at a time."""
    monkeypatch.setattr(room, "MAX_PROBES", 3)
    play = Backends()
    prober = Prober(Told(), play.ask)
    many = {f"b{port}": port for port in range(1, 51)}
    prober.watch(pools(**many), {APP: QUICK})
    async with running(prober):
        await until(lambda: len(set(play.probed)) == 50)
    assert 1 <= play.most_at_once <= 3


async def test_want_of_our_own_changes_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    """While this process is short of something, backends keep their verdicts; one line says so."""
    told, play = Told(), Backends()
    short = Outcome(ProbeFault(f"os_error:{errno.errorcode[errno.EMFILE].lower()}"), ours=True)
    play.outcomes[1] = short
    prober = Prober(told, play.ask)
    prober.watch(pools(a=1), {APP: QUICK})
    async with running(prober):
        await until(lambda: prober.outcomes[APP, "os_error:emfile"] > 5)
    assert states(prober) == {A: True}
    assert [line.levelno for line in caplog.records] == [logging.WARNING]
    assert "os_error:emfile" in caplog.text


async def test_a_bug_in_a_probe_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A backend that makes a probe raise is logged, and the others are probed on."""
    play = Backends()

    async def ask(address: Address, asked: Probe) -> Outcome:
        if address.port == 1:
            raise LookupError("nobody foresaw this")
        return await play.ask(address, asked)

    prober = Prober(Told(), ask)
    prober.watch(pools(a=1, b=2), {APP: QUICK})
    async with running(prober):
        await until(lambda: prober.outcomes[APP, "internal"] > 2 and play.probed.count(2) > 2)
    assert states(prober) == {A: True, B: True}
    assert "nobody foresaw this" in caplog.text


@pytest.mark.parametrize(("timeout", "every"), [(5.1, 5.0), (0.0, 5.0), (-1.0, 5.0)])
def test_a_probe_ends_before_the_next(timeout: float, every: float) -> None:
    """A timeout beyond the period, or none at all, is refused."""
    with pytest.raises(ValueError, match="timeout"):
        HealthRules(Probe(timeout=timeout), every)


async def test_a_pool_may_be_watched_by_its_dials_alone() -> None:
    """Without probes a backend is well until workers cannot dial it."""
    play, told = Backends(), Told()
    prober = Prober(told, play.ask)
    prober.watch(pools(a=1, b=2), {APP: HealthRules(probe=None)})
    async with running(prober):
        prober.observe_dials([Dials(APP, A, 0, FAILED_DIALS)])
        await asyncio.sleep(0)
        assert states(prober) == {A: False, B: True}
    assert play.probed == []


async def test_a_backend_may_be_sent_something_first() -> None:
    """Each is asked with its own preamble; another one is another probe."""
    heard: dict[int, bytes] = {}

    async def ask(address: Address, asked: Probe) -> Outcome:
        await asyncio.sleep(0)
        heard[address.port] = asked.preamble
        return WELL

    prober = Prober(Told(), ask)
    prober.watch(pools(a=1, b=2), {APP: replace(QUICK, preambles={A: b"first"})})
    async with running(prober):
        await until(lambda: heard == {1: b"first", 2: b""})
        prober.watch(pools(a=1, b=2), {APP: replace(QUICK, preambles={B: b"second"})})
        await until(lambda: heard == {1: b"", 2: b"second"})
