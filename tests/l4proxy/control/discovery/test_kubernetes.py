"""The endpoints of a Service are there, and stay there while the API is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from l4proxy.control.discovery import KubernetesDiscovery, KubernetesSource, Unfit
from l4proxy.control.found import Found, Phase
from l4proxy.kubernetes import ApiFault, backoff, reflector
from routing import Address, BackendName
from tests.kubernetes_api.access import certified, write_kubeconfig
from tests.kubernetes_api.objects import Json
from tests.kubernetes_api.rbac import Grant
from tests.kubernetes_api.server import ApiServer, Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.waiting import until
from tests.l4proxy.control.discovery.test_endpoints import endpoint, slice_


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as can be."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.005)
    monkeypatch.setattr(backoff, "MOST_SECONDS", 0.01)
    monkeypatch.setattr(reflector, "LEAST_WATCH_SECONDS", 0.001)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server without objects."""
    async with ApiServer().running() as found:
        yield found


@dataclass
class Watched:
    """A source that is watched, and every set that it told."""

    discovery: KubernetesDiscovery
    told: list[Collection[Found]] = field(default_factory=list)

    async def says(self, *names: str) -> None:
        """Wait until it has said that these pods are there."""
        await until(lambda: self.told and [each.name for each in self.told[-1]] == list(names))


@contextlib.asynccontextmanager
async def watching(source: KubernetesSource) -> AsyncIterator[Watched]:
    """A source at work."""
    watched = Watched(KubernetesDiscovery(source))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watched.discovery.watch(watched.told.append))
        try:
            yield watched
        finally:
            task.cancel()


def labelled(found: object, service: str = "enclaves") -> Json:
    """A slice of a Service."""
    assert isinstance(found, dict)
    return {"metadata": {"labels": {"kubernetes.io/service-name": service}}, **found}


def source(server: ApiServer, folder: Path, port: str | int = "https") -> KubernetesSource:
    """The Service `enclaves`, as the administrator sees it."""
    return KubernetesSource("enclaves", port, kubeconfig=write_kubeconfig(folder / "k", server))


async def test_endpoints_are_found_and_followed(server: ApiServer, tmp_path: Path) -> None:
    """Of several slices of this Service alone; a change of phase is a change."""
    server.add("endpointslices", "s1", labelled(slice_(endpoint("10.0.0.1", "a", ready=False))))
    server.add("endpointslices", "s2", labelled(slice_(endpoint("10.0.0.2", "b"))))
    server.add("endpointslices", "s3", labelled(slice_(endpoint("10.0.0.3", "c")), "other"))
    async with watching(source(server, tmp_path)) as watched:
        await watched.says("a", "b")
        await until(lambda: server.watches.open)
        assert watched.discovery.statistics().phases == {Phase.WAITING: 1, Phase.ELIGIBLE: 1}
        server.change("endpointslices", "s1", labelled(slice_(endpoint("10.0.0.1", "a"))))
        await until(lambda: len(watched.told) == 2)
        assert next(iter(watched.told[-1])) == Found(Address("10.0.0.1", 8443), BackendName("a"))
        # What changes nothing for us is not told.
        server.change(
            "endpointslices", "s1", labelled({**slice_(endpoint("10.0.0.1", "a")), "x": 1})
        )
        server.store.delete(Key("endpointslices", "default", "s2"))
        await watched.says("a")
        assert len(watched.told) == 3
        seen = watched.discovery.statistics()
    assert (seen.addresses, seen.fault, seen.lists, seen.portless) == (1, None, 1, 0)
    assert seen.age is not None


async def test_none_is_an_answer(server: ApiServer, tmp_path: Path) -> None:
    """A Service that is scaled to nothing has no endpoints, from the start or later."""
    async with watching(source(server, tmp_path)) as watched:
        await until(lambda: watched.told == [()])
        await until(lambda: server.watches.open)
        server.add("endpointslices", "s1", labelled(slice_(endpoint("10.0.0.1", "a"))))
        await watched.says("a")
        server.change("endpointslices", "s1", labelled(slice_()))
        await until(lambda: watched.told[-1] == ())


async def test_the_last_set_stays_while_the_api_is_away(server: ApiServer, tmp_path: Path) -> None:
    """However it is away; afterwards what has changed meanwhile is seen."""
    server.add("endpointslices", "s1", labelled(slice_(endpoint("10.0.0.1", "a"))))
    async with watching(source(server, tmp_path)) as watched:
        await watched.says("a")
        await until(lambda: server.watches.open)
        outage = Fault(0, times=10_000)
        server.faults.append(outage)
        server.watches.say(None)
        server.add("endpointslices", "s2", labelled(slice_(endpoint("10.0.0.2", "b"))))
        await until(lambda: watched.discovery.statistics().fault is ApiFault.UNREACHABLE)
        assert len(watched.told) == 1
        outage.code = 500
        await until(lambda: watched.discovery.statistics().fault is ApiFault.SERVER)
        assert len(watched.told) == 1
        server.faults.clear()
        await watched.says("a", "b")


async def test_what_is_left_out_is_counted(server: ApiServer, tmp_path: Path) -> None:
    """Endpoints that may not be dialled, and those without the port."""
    server.add("endpointslices", "s1", labelled(slice_(endpoint("127.0.0.1", "a"))))
    server.add("endpointslices", "s2", labelled(slice_(endpoint("10.0.0.1", "b"), ports=[])))
    async with watching(source(server, tmp_path)) as watched:
        await until(lambda: watched.told)
        seen = watched.discovery.statistics()
    assert (seen.addresses, seen.refused, seen.portless) == (0, {Unfit.LOOPBACK: 1}, 1)


async def test_two_rights_are_enough(server: ApiServer, tmp_path: Path) -> None:
    """List and watch of EndpointSlices in one namespace; without one of them it says so."""
    server.add("endpointslices", "s1", labelled(slice_(endpoint("10.0.0.1", "a"))))
    rights = frozenset({"list", "watch"})
    slices = (frozenset({"discovery.k8s.io"}), frozenset({"endpointslices"}), frozenset[str]())
    kubeconfig = write_kubeconfig(tmp_path / "k", server, certified("l4proxy"))
    asked = KubernetesSource("enclaves", 443, "default", kubeconfig)
    for verb in sorted(rights):
        server.grants = [Grant("l4proxy", "default", rights - {verb}, *slices)]
        async with watching(asked) as watched:
            await until(lambda: watched.discovery.statistics().fault is ApiFault.FORBIDDEN)
    server.grants = [Grant("l4proxy", "default", rights, *slices)]
    async with watching(asked) as watched:
        await watched.says("a")
    assert {each.verb for each in server.asked} == rights
