"""Another client that others wrote, kubernetes_asyncio, beside ours at the same server.

It lists and watches what ours does, and its leader election and ours ask for one Lease.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from l4proxy.kubernetes import ApiClient, Election, Lease, load_access
from l4proxy.kubernetes.election import LEASE_SECONDS
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.server import ApiServer

pytest.importorskip("kubernetes_asyncio", reason="no kubernetes_asyncio: install the dev extra")

from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.leaderelection.electionconfig import Config
from kubernetes_asyncio.leaderelection.leaderelection import LeaderElection
from kubernetes_asyncio.leaderelection.resourcelock.leaselock import LeaseLock


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server without objects."""
    async with ApiServer().running() as found:
        yield found


@pytest_asyncio.fixture
async def theirs(server: ApiServer, tmp_path: Path) -> AsyncIterator[client.ApiClient]:
    """Their client, with the administrator's kubeconfig."""
    settings = client.Configuration()
    path = str(write_kubeconfig(tmp_path / "k", server))
    await config.load_kube_config(config_file=path, client_configuration=settings)
    async with client.ApiClient(settings) as found:
        yield found


@pytest_asyncio.fixture
async def ours(tmp_path: Path, theirs: client.ApiClient) -> AsyncIterator[ApiClient]:
    """Our client, with the same kubeconfig."""
    async with ApiClient(load_access(tmp_path / "k")) as found:
        yield found


async def test_it_lists_in_pages_and_watches(server: ApiServer, theirs: client.ApiClient) -> None:
    """Pages of one version; what a watch tells from then on, in pieces, until it ends."""
    for number in range(3):
        server.add("pods", f"p{number}", {"metadata": {"labels": {"app": "e"}}})
    api = client.CoreV1Api(theirs)
    first = await api.list_namespaced_pod("default", limit=2, label_selector="app=e")
    token = first.metadata._continue  # noqa: SLF001 - what that client calls it
    rest = await api.list_namespaced_pod("default", limit=2, _continue=token)
    assert [pod.metadata.name for pod in (*first.items, *rest.items)] == ["p0", "p1", "p2"]
    server.watches.piece = 5
    server.add("pods", "p3", {"metadata": {"labels": {"app": "e"}}})
    seen = []
    async with watch.Watch() as watching:
        since = first.metadata.resource_version
        events = watching.stream(
            api.list_namespaced_pod, "default", resource_version=since, timeout_seconds=5
        )
        async for event in events:
            seen.append((event["type"], event["object"].metadata.name))
            break
    assert seen == [("ADDED", "p3")]


async def test_it_scales(server: ApiServer, theirs: client.ApiClient) -> None:
    """By the subresource, which has the type that it expects."""
    server.add(
        "deployments", "d", {"spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}}}
    )
    api = client.AppsV1Api(theirs)
    scale = await api.read_namespaced_deployment_scale("d", "default")
    assert (scale.spec.replicas, scale.status.selector) == (1, "a=b")
    scale.spec.replicas = 4
    await api.replace_namespaced_deployment_scale("d", "default", scale)
    with pytest.raises(client.ApiException) as caught:
        await api.replace_namespaced_deployment_scale("d", "default", scale)
    assert caught.value.status == 409


async def test_its_election_and_ours_elect_one(theirs: client.ApiClient, ours: ApiClient) -> None:
    """Each respects the other's hold, takes over when it ends, and reads what the other wrote."""
    now = [1000.0]
    mine = Election(Lease("default", "l", "ours"), lambda: now[0])
    lock = LeaseLock("l", "default", "theirs", theirs)
    other = LeaderElection(Config(lock, 15, 10, 2, _nothing, _nothing))
    assert await other.try_acquire_or_renew()
    await mine.ask(ours)
    assert (leads(mine), mine.holder) == (False, "theirs")
    assert await other.try_acquire_or_renew()
    now[0] += LEASE_SECONDS - 1
    await mine.ask(ours)  # sees the renewal, and begins to count anew
    now[0] += LEASE_SECONDS - 1
    await mine.ask(ours)
    assert not leads(mine)
    now[0] += 1
    await mine.ask(ours)
    assert leads(mine)
    assert not await other.try_acquire_or_renew()


def leads(one: Election) -> bool:
    """Whether it does at this moment."""
    return one.leading


async def _nothing() -> None:
    return
