"""The attestor at work: real enclaves, and scripted ones for the rest."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from attestation import AgentClaims, Expectation, Policy, SimulatedTee, in_user_data
from l4proxy.control.attesting import attestor as room
from l4proxy.control.attesting.attestor import MAX_VISITS, Attestor, Surroundings
from l4proxy.control.attesting.fetch import Fetched, FetchFault, Manner
from l4proxy.control.attesting.revoked import Revocations
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import CARRIED_SECONDS, Trust, TrustState, key_of
from l4proxy.control.membership import Member
from l4proxy.control.tickets.visit import Approach
from l4proxy.revocation import Revocation, Revoked
from routing import Address, BackendName, PoolName
from tests.l4proxy.control.attesting.enclave import (
    AGENT,
    DEBUG,
    KINDS,
    TEE,
    WRONG,
    Enclave,
    certificate_of,
    new_key,
    policy,
    running,
    spki_of,
)
from tests.l4proxy.control.servers import PATIENCE_SECONDS

APP, API = PoolName("app"), PoolName("api")
A, B = BackendName("a"), BackendName("b")
NOW = 1_800_000_000.0
NONCE = b"n" * 32
RULES = AttestationRules(policy(freshness={"mode": "nonce"}), KINDS, every=60.0)
KEYS = [new_key() for _ in range(3)]


@dataclass
class Scripted:
    """One enclave as a visit finds it."""

    tee: SimulatedTee = TEE
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: KEYS[0])
    fault: FetchFault | None = None
    detail: str = ""
    agent: AgentClaims = AGENT

    @property
    def certificate(self) -> bytes:
        """What it shows."""
        return certificate_of(self.key).public_bytes(Encoding.DER)


@dataclass
class Play:
    """Enclaves by port, and a clock."""

    enclaves: dict[int, Scripted] = field(default_factory=dict)
    now: float = NOW
    visits: Counter[int] = field(default_factory=Counter)
    shared: tuple[frozenset[BackendName], ...] = ()
    gate: asyncio.Event | None = None
    at_once: int = 0
    most_at_once: int = 0

    async def fetch(self, approach: Approach, _manner: Manner) -> Fetched:
        """Show the evidence of this moment."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        self.at_once -= 1
        self.visits[approach.address.port] += 1
        enclave = self.enclaves[approach.address.port]
        if enclave.fault is not None:
            return Fetched(enclave.fault, enclave.detail)
        spki = spki_of(enclave.key)
        evidence = enclave.tee.evidence(in_user_data(spki, enclave.agent, NONCE), self.now)
        return Fetched(None, "", enclave.certificate, evidence, Expectation(spki=spki, nonce=NONCE))

    def sharing(self, pool: PoolName) -> Iterable[frozenset[BackendName]]:
        """Who holds a ticket key together."""
        return self.shared if pool == APP else ()

    def surroundings(self) -> Surroundings:
        """The world."""
        return Surroundings(self.fetch, lambda: self.now, self.sharing)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for its turn."""
    monkeypatch.setattr(room, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(room, "SHARING_SECONDS", 0.005)


def members(**ports: int) -> dict[PoolName, tuple[Member, ...]]:
    """The pool `app`, whose backends have these ports."""
    found = (Member(BackendName(name), Address("127.0.0.1", port)) for name, port in ports.items())
    return {APP: tuple(found)}


@asynccontextmanager
async def attesting(
    play: Play | None, rules: AttestationRules = RULES, **ports: int
) -> AsyncIterator[tuple[Attestor, list[PoolName]]]:
    """An attestor at work, and the pools of which it told."""
    told: list[PoolName] = []
    attestor = Attestor(told.append, play.surroundings() if play else None)
    attestor.watch(members(**ports), {APP: rules})
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(attestor.run())
        yield attestor, told
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; the attestor's own end is bounded."""
    while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
        await asyncio.sleep(0.002)


def state(attestor: Attestor, name: BackendName = A) -> TrustState:
    """How a backend stands."""
    return attestor.trusts(APP)[name].state


# --- real enclaves ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked", [policy(), policy(freshness={"mode": "nonce"})], ids=["exporter", "nonce"]
)
async def test_real_enclaves_are_told_apart(asked: Policy) -> None:
    """One is what it should be, one is not, one is in debug, and one is nobody."""
    enclaves = Enclave(), Enclave(WRONG), Enclave(DEBUG)
    with running(enclaves[0]) as a, running(enclaves[1]) as b, running(enclaves[2]) as c:
        ports = {"a": a.port, "b": b.port, "c": c.port, "d": 1}
        async with attesting(None, replace(RULES, policy=asked), **ports) as (attestor, told):
            await until(lambda: sum(attestor.outcomes.values()) >= 4)
            found = {name: trust.state for name, trust in attestor.trusts(APP).items()}
            assert found == {
                "a": TrustState.TRUSTED,
                "b": TrustState.REFUTED,
                "c": TrustState.REFUTED,
                "d": TrustState.UNTESTED,
            }
            reasons = {str(name): trust.reason for name, trust in attestor.trusts(APP).items()}
            assert reasons["b"].startswith("pcr0")
            assert reasons["c"].startswith("debug")
            assert reasons["d"].startswith("unreachable")
            ends = attestor.barred(1_000.0)
            assert ends == {(APP, "b"): -math.inf, (APP, "c"): -math.inf, (APP, "d"): None}
            assert told


async def test_a_slow_backend_delays_only_itself() -> None:
    """The others are trusted while it has not said a word."""

    def stuck(enclave: Enclave, _connection: object, _target: str) -> bytes:
        enclave.asked.append("stuck")
        return b""

    slow = Enclave(endpoint=stuck)
    with running(Enclave()) as good, running(slow) as bad:
        async with attesting(None, a=good.port, b=bad.port) as (attestor, _):
            await until(lambda: state(attestor) is TrustState.TRUSTED)
            assert state(attestor, B) is TrustState.UNTESTED


# --- the lives of trust -------------------------------------------------------------------------


async def test_who_is_new_is_barred_until_proved() -> None:
    """The answer stands as soon as a backend is watched."""
    play = Play({1: Scripted()}, gate=asyncio.Event())
    async with attesting(play, a=1) as (attestor, told):
        assert attestor.barred(0.0) == {(APP, A): None}
        assert play.gate is not None
        play.gate.set()
        await until(lambda: told)
        assert attestor.barred(0.0) == {}
        assert attestor.trusts(APP)[A].simulated
        assert attestor.outcomes == {(APP, "accepted"): 1}


async def test_trust_ends_with_its_evidence() -> None:
    """Nobody answers any more: no new connection from then on, and a while for those there are."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        end = attestor.trusts(APP)[A].until or 0.0
        play.enclaves[1].fault = FetchFault.UNREACHABLE
        play.now = end - 100
        assert attestor.barred(0.0) == {}
        told.clear()
        play.now = end
        await until(lambda: told)
        assert state(attestor) is TrustState.EXPIRED
        assert attestor.barred(1_000.0) == {(APP, A): 1_000.0 + 3_600.0}


async def test_evidence_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the period is."""
    play = Play({1: Scripted()})
    rules = replace(RULES, every=86_400.0)
    monkeypatch.setattr("l4proxy.control.attesting.subject.RENEW_SHARE", 0.0)
    monkeypatch.setattr("l4proxy.control.attesting.subject.RETRY_SECONDS", 0.0)
    async with attesting(play, rules, a=1) as (attestor, _):
        await until(lambda: play.visits[1] > 2)
        assert state(attestor) is TrustState.TRUSTED


async def test_a_key_that_changes_is_barred_and_asked_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A probe sees it: out of rotation at once, in again when it has proved itself."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        play.enclaves[1].key = KEYS[1]
        play.gate = asyncio.Event()
        attestor.seen(APP, A, play.enclaves[1].certificate)
        assert attestor.barred(0.0) == {(APP, A): None}
        assert "a is untested: key_change" in caplog.text
        play.gate.set()
        await until(lambda: state(attestor) is TrustState.TRUSTED)
        assert attestor.trusts(APP)[A].key == key_of(play.enclaves[1].certificate)
        assert play.visits[1] == 2


async def test_the_same_certificate_changes_nothing() -> None:
    """Probes see it every few seconds; a new one of the same key is asked for proof, in trust."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        shown = play.enclaves[1].certificate
        attestor.seen(APP, A, shown)
        await until(lambda: play.visits[1] == 2)
        for _ in range(5):
            attestor.seen(APP, A, shown)
            await asyncio.sleep(0)
        assert state(attestor) is TrustState.TRUSTED
        attestor.seen(APP, BackendName("nobody"), shown)
        attestor.seen(API, A, shown)


async def test_two_keys_behind_one_address_are_not_trusted() -> None:
    """A visit meets the proved key, and probes another one: some client would meet that."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        other = certificate_of(KEYS[2]).public_bytes(Encoding.DER)
        attestor.seen(APP, A, other)
        await until(lambda: play.visits[1] >= 2 and "two keys" in attestor.trusts(APP)[A].reason)
        assert not attestor.trusts(APP)[A].admits
        attestor.seen(APP, A, play.enclaves[1].certificate)
        await until(lambda: state(attestor) is TrustState.TRUSTED)


async def test_a_measurement_that_changes_is_refuted() -> None:
    """Its connections end at once, and it is told why."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        play.enclaves[1].tee = WRONG
        attestor.seen(APP, A, certificate_of(KEYS[0]).public_bytes(Encoding.DER))
        await until(lambda: state(attestor) is TrustState.REFUTED)
        assert attestor.barred(0.0) == {(APP, A): -math.inf}
        assert (APP, "pcr0") in attestor.outcomes


async def test_a_backend_that_comes_back_is_asked_at_once() -> None:
    """No back-off is waited for."""
    play = Play({1: Scripted(fault=FetchFault.UNREACHABLE)})
    async with attesting(play, a=1) as (attestor, _):
        await until(lambda: play.visits[1])
        play.enclaves[1].fault = None
        attestor.returned(APP, A)
        attestor.returned(APP, B)
        await until(lambda: state(attestor) is TrustState.TRUSTED)


async def test_faults_do_not_reach_the_log_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """A backend's words stand on one line, and are few."""
    hostile = Scripted(fault=FetchFault.NO_ANSWER, detail="a\nb\x1b[31m" + "x" * 1_000)
    async with attesting(Play({1: hostile}), a=1) as (attestor, _):
        await until(lambda: attestor.trusts(APP)[A].reason)
        reason = attestor.trusts(APP)[A].reason
        assert reason.startswith("no_answer: a?b?[31mxxx")
        assert len(reason) < 200
        assert "no_answer" in caplog.text
        assert "\x1b" not in caplog.text


async def test_a_bug_of_ours_is_no_proof(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and trusts nobody."""
    play = Play({})  # a KeyError in place of a visit
    async with attesting(play, a=1) as (attestor, _):
        await until(lambda: attestor.outcomes)
        assert attestor.outcomes == {(APP, "local"): 1}
        assert state(attestor) is TrustState.UNTESTED
    assert "KeyError" in caplog.text


async def test_visits_at_once_are_bounded() -> None:
    """However many backends there are."""
    ports = {f"b{n}": n for n in range(1, 3 * MAX_VISITS)}
    play = Play({n: Scripted(fault=FetchFault.TIMEOUT) for n in ports.values()})
    async with attesting(play, RULES, **ports) as (attestor, _):
        await until(lambda: len(play.visits) == len(ports))
        assert play.most_at_once <= MAX_VISITS
        assert attestor.outcomes[APP, "timeout"] >= len(ports)


# --- what operators say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation(Revoked.KEY, key_of(Scripted().certificate)),
        Revocation(Revoked.MEASUREMENT, TEE.registers()[0]),
    ],
    ids=["key", "measurement"],
)
async def test_a_revocation_acts_at_once_and_stays(revocation: Revocation) -> None:
    """Before the next visit, and after it."""
    play = Play({1: Scripted(), 2: Scripted(WRONG, KEYS[1])})
    rules = replace(RULES, policy=policy(TEE, WRONG, freshness={"mode": "nonce"}))
    async with attesting(play, rules, a=1, b=2) as (attestor, told):
        await until(lambda: not attestor.barred(0.0))
        told.clear()
        assert attestor.revoke([revocation]) == 1
        assert told == [APP]
        assert attestor.barred(0.0) == {(APP, A): -math.inf}
        attestor.returned(APP, A)
        await until(lambda: play.visits[1] >= 2)
        assert (state(attestor), state(attestor, B)) == (TrustState.REFUTED, TrustState.TRUSTED)
        assert attestor.trusts(APP)[A].reason.startswith("revoked")


async def test_what_the_configuration_revokes_comes_and_goes_with_it() -> None:
    """At once, and for as long as it stands there."""
    play = Play({1: Scripted()})
    async with attesting(play, a=1) as (attestor, told):
        await until(lambda: told)
        revoked = Revocations([Revocation(Revoked.MEASUREMENT, TEE.registers()[1])])
        attestor.watch(members(a=1), {APP: replace(RULES, revoked=revoked)})
        assert attestor.barred(0.0) == {(APP, A): -math.inf}
        await until(lambda: play.visits[1] >= 2)
        assert state(attestor) is TrustState.REFUTED
        attestor.watch(members(a=1), {APP: RULES})
        await until(lambda: state(attestor) is TrustState.TRUSTED)


async def test_observing_reports_and_admits(caplog: pytest.LogCaptureFixture) -> None:
    """Loudly: at the start, and of each backend that enforcing would bar."""
    play = Play({1: Scripted(WRONG)})
    async with attesting(play, replace(RULES, enforced=False), a=1) as (attestor, _):
        await until(lambda: state(attestor) is TrustState.REFUTED)
        assert attestor.barred(0.0) == {}
    assert "pool app: attestation is observed only, NOT enforced" in caplog.text
    assert "pool app: SIMULATED evidence is accepted" in caplog.text
    assert "it has traffic: observed only" in caplog.text


async def test_debug_is_told_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """A policy that lets operators read memory says so at the start."""
    rules = replace(RULES, policy=policy(allow_debug=True, freshness={"mode": "nonce"}))
    async with attesting(Play({}), rules) as (attestor, _):
        attestor.watch(members(), {APP: rules})
    told = [each for each in caplog.records if "DEBUG" in each.message]
    assert [each.levelno for each in told] == [logging.WARNING]


async def test_another_policy_is_asked_at_once() -> None:
    """What the old one accepted goes on for a moment only, answered or not."""
    play = Play({1: Scripted(), 2: Scripted(key=KEYS[1])})
    async with attesting(play, a=1, b=2) as (attestor, _):
        await until(lambda: not attestor.barred(0.0))
        play.enclaves[2].fault = FetchFault.UNREACHABLE
        other = replace(RULES, policy=policy(WRONG, freshness={"mode": "nonce"}))
        attestor.watch(members(a=1, b=2), {APP: other})
        await until(lambda: state(attestor) is TrustState.REFUTED)
        assert attestor.trusts(APP)[B].until == NOW + CARRIED_SECONDS
        play.now += CARRIED_SECONDS
        assert state(attestor, B) is TrustState.EXPIRED


async def test_a_verdict_by_a_policy_that_has_gone_is_dropped() -> None:
    """It answers a question that nobody asks any more."""
    play = Play({1: Scripted()}, gate=asyncio.Event())
    async with attesting(play, a=1) as (attestor, _):
        await until(lambda: play.at_once)
        other = replace(RULES, policy=policy(WRONG, freshness={"mode": "nonce"}))
        attestor.watch(members(a=1), {APP: other})
        assert play.gate is not None
        play.gate.set()
        await until(lambda: state(attestor) is TrustState.REFUTED)
        assert (APP, "accepted") not in attestor.outcomes


async def test_backends_come_go_and_move() -> None:
    """At another address a backend is another one, which proves itself anew."""
    play = Play({1: Scripted(), 2: Scripted(), 3: Scripted(fault=FetchFault.TIMEOUT)})
    async with attesting(play, a=1, b=2) as (attestor, _):
        await until(lambda: not attestor.barred(0.0))
        attestor.watch(members(a=3), {APP: RULES})
        assert attestor.trusts(APP) == {A: Trust(since=NOW)}
        assert attestor.barred(0.0) == {(APP, A): None}
        await until(lambda: play.visits[3])
        attestor.watch(members(a=3), {})
        assert attestor.trusts(APP) == {}
        assert attestor.barred(0.0) == {}
        assert attestor.rules(APP) is None


async def test_a_shared_ticket_key_refutes_and_is_forgiven() -> None:
    """For as long as it is shared."""
    play = Play({1: Scripted(), 2: Scripted(key=KEYS[1]), 3: Scripted(key=KEYS[2])})
    async with attesting(play, a=1, b=2, c=3) as (attestor, told):
        await until(lambda: not attestor.barred(0.0))
        told.clear()
        play.shared = (frozenset({A, B}),)
        await until(lambda: len(told) == 2)
        assert attestor.barred(0.0) == {(APP, A): -math.inf, (APP, B): -math.inf}
        assert attestor.trusts(APP)[A].reason.startswith("ticket_names")
        play.shared = ()
        await until(lambda: not attestor.barred(0.0))
