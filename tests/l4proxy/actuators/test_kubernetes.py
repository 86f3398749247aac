"""A workload grows at once, and shrinks by those who were meant to go."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from l4proxy.actuators import Actuator, ActuatorError, Order
from l4proxy.actuators import kubernetes as module
from l4proxy.actuators.deletion_cost import LOWEST_COST
from l4proxy.actuators.kubernetes import Kubernetes, KubernetesScaler
from l4proxy.kubernetes import election
from routing import Address
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.objects import section
from tests.kubernetes_api.server import ApiServer, Asked, Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.waiting import PATIENCE_SECONDS, until
from tests.kubernetes_api.workload import COST, FakeWorkload
from tests.l4proxy.actuators.victims import APP, order, victim


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as can be."""
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.001)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(election, "RETRY_SECONDS", 0.005)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server."""
    async with ApiServer().running() as found:
        yield found


@pytest.fixture
def workload(server: ApiServer) -> FakeWorkload:
    """A Deployment of five pods."""
    found = FakeWorkload(server)
    found.begin(5)
    return found


def make(server: ApiServer, folder: Path, **settings: object) -> KubernetesScaler:
    """The actuator of the Deployment, by settings as a document has them."""
    kubeconfig = str(write_kubeconfig(folder / "k", server))
    said = {"scale": "deployments/enclaves", "lease": "off", "kubeconfig": kubeconfig} | settings
    kind = Kubernetes()
    return kind.make(kind.settings.model_validate(said), APP)


@pytest.fixture
def scaler(server: ApiServer, tmp_path: Path) -> KubernetesScaler:
    """The actuator, without a Lease."""
    return make(server, tmp_path)


def writes(server: ApiServer) -> list[str]:
    """What was changed, in order: the last two steps of each path."""
    return ["/".join(each.path.split("/")[-2:]) for each in server.asked if each.verb == "patch"]


# --- how many -------------------------------------------------------------------------------------


async def test_more_are_asked_for_at_once(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """One write; to give the same order again writes nothing."""
    for _ in range(3):
        await scaler.apply(order(8))
    assert (workload.replicas, writes(server)) == (8, ["enclaves/scale"])
    assert not workload.removed


async def test_those_go_who_were_released(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """Costs first, in the order of victims; then the number; the planned ones stay."""
    await scaler.apply(order(5, drain=(3, 1, 2)))
    assert workload.costs() == {
        "enclaves-3": LOWEST_COST,
        "enclaves-1": LOWEST_COST + 1,
        "enclaves-2": LOWEST_COST + 2,
    }
    await scaler.apply(order(3, drain=(3, 1, 2), release=(3, 1)))
    assert workload.removed == ["enclaves-3", "enclaves-1"]
    assert workload.costs() == {"enclaves-2": LOWEST_COST + 2}
    changed = writes(server)
    assert changed == [*(f"pods/enclaves-{n}" for n in (1, 2, 3)), "enclaves/scale"]


async def test_costs_come_before_the_number(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """Also when one is released that was never planned; found by its address as well."""
    ip = section(server.store.get(Key("pods", "default", "enclaves-2")), "status")["podIP"]
    await scaler.apply(order(4, release=(str(ip),)))
    assert workload.removed == ["enclaves-2"]
    assert writes(server) == ["pods/enclaves-2", "enclaves/scale"]


async def test_never_lower_than_what_was_released(
    workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """A number alone removes nobody; nor more than those released, however low it is."""
    await scaler.apply(order(1))
    await scaler.apply(order(1, drain=(0, 1)))
    assert workload.replicas == 5
    await scaler.apply(order(1, drain=(0, 1), release=(1,)))
    assert (workload.replicas, workload.removed) == (4, ["enclaves-1"])


@pytest.mark.parametrize("plural", ["deployments", "statefulsets"])
async def test_a_controller_that_is_late_removes_no_more(
    server: ApiServer, tmp_path: Path, plural: str
) -> None:
    """A pod that was released and is still there does not count a second time."""
    workload = FakeWorkload(server, plural)
    workload.begin(5)
    server.store.told.pop()  # nobody acts upon the number yet
    scaler = make(server, tmp_path, scale=f"{plural}/enclaves")
    for _ in range(3):
        await scaler.apply(order(1, drain=(4,), release=(4,)))
    workload.reconcile()
    assert (workload.replicas, workload.removed) == (4, ["enclaves-4"])


async def test_of_the_same_name_is_not_the_same(
    workload: FakeWorkload, scaler: KubernetesScaler, server: ApiServer
) -> None:
    """One that was made again under its name was not released, though it drains again."""
    server.faults.append(Fault(500, "/scale"))
    with pytest.raises(ActuatorError):
        await scaler.apply(order(4, drain=(0,), release=(0,)))
    again = victim(0)._replace(address=Address("10.9.9.10", 443))
    await scaler.apply(Order(APP, 1, 0.0, 5, 4, (again,)))
    assert (workload.replicas, workload.removed) == (5, [])


async def test_who_is_called_back_loses_the_cost(
    workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """Of those that drain, and of those that were released by half."""
    await scaler.apply(order(5, drain=(0, 1)))
    await scaler.apply(order(5, drain=(1,)))
    assert list(workload.costs()) == ["enclaves-1"]
    await scaler.apply(order(7))
    assert workload.costs() == {}
    assert not workload.removed


async def test_costs_of_others_stay(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler, tmp_path: Path
) -> None:
    """What we did not write is not taken away; a victim's is replaced."""
    for number, cost in ((0, "-5"), (1, "100")):
        key = Key("pods", "default", f"enclaves-{number}")
        found = server.store.get(key)
        meta = section(found, "metadata") | {"annotations": {COST: cost}}
        server.store.replace(key, {**found, "metadata": meta})
    await scaler.apply(order(5, drain=(1,)))
    assert workload.costs() == {"enclaves-0": -5, "enclaves-1": LOWEST_COST}
    # Another balancer's, or ours before a restart, are known by their range.
    await make(server, tmp_path).apply(order(5))
    assert workload.costs() == {"enclaves-0": -5}


# --- what goes wrong ------------------------------------------------------------------------------


async def test_nobody_else_goes_first(workload: FakeWorkload, scaler: KubernetesScaler) -> None:
    """A pod that is not ready would: until it is, or failed, the number stays, and it is told."""
    workload.set_ready("enclaves-4", ready=False)
    with pytest.raises(ActuatorError, match="not ready"):
        await scaler.apply(order(4, drain=(0,), release=(0,)))
    assert workload.replicas == 5
    workload.set_ready("enclaves-4", ready=True)
    await scaler.apply(order(4, drain=(0,)))
    assert workload.removed == ["enclaves-0"]


async def test_one_that_failed_may_go(workload: FakeWorkload, scaler: KubernetesScaler) -> None:
    """It has no session that could be broken."""
    workload.set_ready("enclaves-4", ready=False)
    await scaler.apply(order(4, release=(0,), evict=(4,)))
    assert workload.replicas == 4


@pytest.mark.parametrize("broken", ["pods/enclaves-0", "pods?", "enclaves/scale"])
async def test_what_was_done_by_half_is_completed(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler, broken: str
) -> None:
    """By the next order, though that does not name the released one as such any more."""
    server.faults.append(Fault(500, broken))
    with pytest.raises(ActuatorError, match="500"):
        await scaler.apply(order(4, drain=(0,), release=(0,)))
    assert workload.replicas == 5
    await scaler.apply(order(4, drain=(0,)))
    assert workload.removed == ["enclaves-0"]


async def test_others_may_change_the_scale_meanwhile(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """Then it is read again, and what is there by then counts."""

    def cross(asked: Asked) -> None:
        if asked.verb == "patch" and asked.path.endswith("/scale"):
            server.before = lambda _: None
            found = server.store.get(workload.key)
            spec = section(found, "spec") | {"replicas": 6}
            server.store.replace(workload.key, {**found, "spec": spec})

    server.before = cross
    await scaler.apply(order(4, release=(0,)))
    assert (workload.replicas, workload.removed) == (5, ["enclaves-0"])


async def test_others_may_not_change_it_for_ever(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """After some attempts it is the next order's turn."""
    server.faults.append(Fault(409, "replicas/none"))
    server.faults.append(Fault(409, "fieldManager", times=100))
    with pytest.raises(ActuatorError, match="others changed its scale"):
        await scaler.apply(order(8))
    assert workload.replicas == 5


async def test_a_scale_without_a_selector_only_grows(server: ApiServer, tmp_path: Path) -> None:
    """Without it nobody knows whose pods would go."""
    server.add("enclavesets", "e", {"spec": {"replicas": 2}})
    scaler = make(server, tmp_path, scale="example.com/v1alpha1/enclavesets/e")
    await scaler.apply(order(3))
    with pytest.raises(ActuatorError, match="no selector"):
        await scaler.apply(order(2, release=(0,)))
    found = server.store.get(Key("enclavesets", "default", "e"))
    assert section(found, "spec")["replicas"] == 3


async def test_a_statefulset_shrinks_from_the_top(server: ApiServer, tmp_path: Path) -> None:
    """Only as far as the highest numbers were released, for costs count nothing there."""
    workload = FakeWorkload(server, "statefulsets")
    workload.begin(5)
    scaler = make(server, tmp_path, scale="statefulsets/enclaves")
    with pytest.raises(ActuatorError, match="higher number"):
        await scaler.apply(order(3, drain=(0, 4), release=(0,)))
    await scaler.apply(order(3, drain=(0, 4), release=(4,)))
    assert (workload.removed, workload.costs()) == (["enclaves-4"], {})


async def test_without_credentials_nothing_is_done(tmp_path: Path) -> None:
    """It is told, also by who waits for a Lease."""
    scaler = make(ApiServer(port=1), tmp_path, kubeconfig="/nowhere/k")
    with pytest.raises(ActuatorError, match="credentials"):
        await scaler.apply(order(3))
    leader = make(ApiServer(port=1), tmp_path, kubeconfig="/nowhere/k", lease="l")
    with pytest.raises(ActuatorError, match="credentials"):
        await leader.run()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_fails_only_those_released_go(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler, seed: int
) -> None:
    """Orders in any sequence, with an API that fails now and then."""
    chance = random.Random(seed)
    released: set[str] = set()
    for _ in range(12):
        there = [int(name.rpartition("-")[2]) for name in workload.pods()]
        drain = chance.sample(there, chance.randrange(len(there)))
        release = drain[: chance.randrange(2)]
        if chance.random() < 0.3:
            server.faults.append(
                Fault(chance.choice([500, 409, 0]), chance.choice(["pods", "scale"]))
            )
        # As the recommender has it: no fewer than those who were not released.
        released = {name for name in released if _number(name) in drain}
        released |= {f"enclaves-{number}" for number in release}
        desired = len(there) - len(released) + chance.randrange(3)
        before = len(workload.removed)
        with contextlib.suppress(ActuatorError):
            await scaler.apply(order(desired, drain=drain, release=release))
        assert set(workload.removed[before:]) <= released
    assert workload.removed


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


# --- who does it ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(*scalers: Actuator) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Actuators at work."""
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(each.run()) for each in scalers]
        try:
            yield made
        finally:
            for task in made:
                task.cancel()


async def test_of_two_balancers_one_scales(
    server: ApiServer, workload: FakeWorkload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other keeps its newest order, and carries it out as soon as it leads."""
    names = iter("ab")
    monkeypatch.setattr(module, "_identity", lambda: next(names))
    first, second = (make(server, tmp_path, lease="l") for _ in range(2))
    async with running(first, second) as tasks:
        await until(lambda: _leading(first) or _leading(second))
        leader, other = (first, second) if _leading(first) else (second, first)
        await other.apply(order(9))
        await other.apply(order(7))
        assert workload.replicas == 5
        await leader.apply(order(6))
        assert workload.replicas == 6
        server.faults.append(Fault(500, "/scale", times=3))  # and it tries until it is done
        tasks[0 if leader is first else 1].cancel()
        await until(lambda: workload.replicas == 7)


def _leading(scaler: KubernetesScaler) -> bool:
    return scaler.election is not None and scaler.election.leading


async def test_credentials_are_loaded_again(
    server: ApiServer, tmp_path: Path, workload: FakeWorkload
) -> None:
    """It is told that they are refused, and is run again, by those that are there by then."""
    leader = make(server, tmp_path, lease="l")
    tokens, server.tokens = server.tokens, {}
    with pytest.raises(ActuatorError, match="401"):
        await asyncio.wait_for(leader.run(), PATIENCE_SECONDS)
    server.tokens = tokens
    async with running(leader):
        await until(lambda: _leading(leader))
        await leader.apply(order(6))
    assert workload.replicas == 6


async def test_who_leads_no_more_changes_nothing(
    workload: FakeWorkload, scaler: KubernetesScaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Lease that is lost on the way, as while a balancer sleeps, stops it before each write."""
    for leading, late in ((1, order(8)), (2, order(5, drain=(0, 1)))):
        leads = iter([True] * leading + [False])
        monkeypatch.setattr(scaler, "_leads", lambda: next(leads))  # noqa: B023 - called at once
        with pytest.raises(ActuatorError, match="another balancer leads"):
            await scaler.apply(late)
    assert (workload.replicas, list(workload.costs())) == (5, ["enclaves-0"])


async def test_a_mark_meets_no_other_one(
    server: ApiServer, workload: FakeWorkload, scaler: KubernetesScaler
) -> None:
    """A pod that somebody has marked since it was read is read again before it is changed."""

    def cross(asked: Asked) -> None:
        if asked.verb == "patch":
            server.before = lambda _: None
            key = Key("pods", "default", "enclaves-0")
            found = server.store.get(key)
            meta = section(found, "metadata") | {"annotations": {COST: str(LOWEST_COST + 7)}}
            server.store.replace(key, {**found, "metadata": meta})

    server.before = cross
    await scaler.apply(order(5, drain=(0,)))
    assert workload.costs() == {"enclaves-0": LOWEST_COST + 7}


async def test_without_a_lease_there_is_nothing_to_run(scaler: KubernetesScaler) -> None:
    """And it leads."""
    await scaler.run()
    assert scaler.election is None


def test_settings_have_a_lease_of_the_workload() -> None:
    """So that two pools do not wait for each other's."""
    settings = Kubernetes.settings.model_validate({"scale": "deployments/enclaves"})
    assert (settings.lease, settings.namespace, settings.kubeconfig) == (
        "l4proxy-enclaves",
        None,
        None,
    )
