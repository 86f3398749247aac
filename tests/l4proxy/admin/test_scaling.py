"""The page of scaling: the numbers with their reasons, before the first round and after it."""

import json

from l4proxy.admin.scaling import ScalingDocument, scaling_document
from l4proxy.control.scaling.rounds import MAX_ROUNDS
from l4proxy.scaling import CPU, Reading
from tests.l4proxy.control.scaling.stand import APP, A, Stand, configured
from tests.l4proxy.telemetry.fake import FakeBalancer

METRICS = ", telemetry: {url: 'http://{host}:9/m'}"


def document(stand: Stand | None) -> ScalingDocument:
    """What a balancer with this pool says."""
    balancer = FakeBalancer()
    if stand is not None:
        balancer.scaling.pools = {APP: stand.scaler}
    found = scaling_document(balancer)
    assert json.loads(json.dumps(found)) == found
    return found


def test_without_scaled_pools_there_is_nothing() -> None:
    """Pools that are not scaled are not listed."""
    assert document(None) == {"pools": []}


async def test_before_the_first_round_nothing_is_known() -> None:
    """Null, and no number that nobody has found."""
    (pool,) = document(Stand(configured("{min: 2, max: 7}")))["pools"]
    assert (pool["pool"], pool["min"], pool["max"]) == ("app", 2, 7)
    assert [pool["desired"], pool["current"], pool["ready"], pool["forecast"]] == [None] * 4
    assert [pool["free_sessions"], pool["parked"], pool["standby"]] == [None] * 3
    assert (pool["terms"], pool["decisions"], pool["mark"]["order"]) == ([], [], [])
    told = {"name": "recommend-only", "applied": None, "failures": 0, "fault": None}
    assert pool["actuator"] == told


async def test_a_round_is_told_with_its_sum() -> None:
    """Each term has its number and its reason; they add up to what is asked for."""
    stand = Stand(configured("{metrics: {cpu: 50%}, sessions: {pack: false}}", METRICS))
    stand.sessions(a=9, b=9, c=9)
    stand.claims.told = {A: {CPU: Reading(-1.0, 0.0)}}
    stand.round()
    (pool,) = document(stand)["pools"]
    assert (pool["desired"], pool["current"], pool["ready"], pool["standby"]) == (4, 3, 3, 0)
    assert sum(term["backends"] for term in pool["terms"]) == pool["desired"]
    assert pool["terms"][0] == {
        "name": "sessions",
        "backends": 3,
        "reason": "27 sessions, 10 a backend",
    }
    assert pool["states"]["ready"] == 3
    assert (pool["free_sessions"], pool["parked"]) == (3, 0)
    assert pool["forecast"] == {
        "sessions": 27.0,
        "expected": 27.0,
        "error": 0.0,
        "lead": 120.0,
        "panic": False,
    }
    assert [doubt["backend"] for doubt in pool["doubts"]] == ["a", "b", "c"]
    (decision,) = pool["decisions"]
    assert (decision["did"], decision["desired"], decision["terms"]) == (["grow"], 4, pool["terms"])


async def test_decisions_are_the_newest_first_and_bounded() -> None:
    """Rounds that changed nothing are left out."""
    stand = Stand(configured("{max: 100, sessions: {pack: false}, grow: {backends: 100}}"))
    for number in range(MAX_ROUNDS + 5):
        stand.sessions(a=10 + 10 * number)
        stand.round(20.0)
        stand.round(0.5)
    (pool,) = document(stand)["pools"]
    assert 5 < len(pool["decisions"]) <= MAX_ROUNDS
    assert pool["decisions"][0]["desired"] == pool["desired"]
    ages = [decision["age"] for decision in pool["decisions"]]
    assert ages == sorted(ages)


async def test_who_rests_and_how_they_wake_is_told() -> None:
    """Those on standby, in the order in which workers wake them."""
    stand = Stand(configured())
    stand.round()
    stand.round()
    (pool,) = document(stand)["pools"]
    assert (pool["ready"], pool["standby"]) == (1, 2)
    assert pool["mark"]["below"] == 1
    assert len(pool["mark"]["order"]) == 2
    assert set(pool["decisions"][0]["rest"]) == set(pool["mark"]["order"])
