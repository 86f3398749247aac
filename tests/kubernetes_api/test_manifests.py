"""The manifests of docs/kubernetes.md are what they say: enough to work with, and no more."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from l4proxy.actuators import Order, Victim
from l4proxy.actuators import kubernetes as actuator
from l4proxy.actuators.kubernetes import Kubernetes
from l4proxy.config import parse_config
from l4proxy.control.discovery import KubernetesDiscovery, KubernetesSource
from l4proxy.kubernetes import election
from routing import Address, BackendName, PoolName
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.objects import Json, mapping, section
from tests.kubernetes_api.rbac import Grant, grants_of
from tests.kubernetes_api.server import ApiServer
from tests.kubernetes_api.waiting import until
from tests.kubernetes_api.workload import FakeWorkload

PAGE = Path(__file__).parents[2] / "docs" / "kubernetes.md"
USER = "system:serviceaccount:default:l4proxy"


def manifests() -> list[Json]:
    """Every object on the page."""
    blocks = re.findall(r"^```yml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [mapping(each) for block in blocks for each in yaml.safe_load_all(block)]


def manifest(kind: str) -> Json:
    """The one of a kind."""
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


def test_the_manifests_fit_together() -> None:
    """Names, labels and ports that one says and another uses are the same."""
    spec = section(manifest("Deployment"), "spec")
    template = section(spec, "template")
    labels = section(section(template, "metadata"), "labels")
    assert section(section(spec, "selector"), "matchLabels") == labels
    service = section(manifest("Service"), "spec")
    assert service["selector"] == labels
    pod = section(template, "spec")
    account = section(manifest("ServiceAccount"), "metadata")["name"]
    assert pod["serviceAccountName"] == account
    names = {str(section(each, "metadata")["namespace"]) for each in manifests()}
    assert names == {"default"}
    assert not any("secrets" in grant.resources for grant in grants_of(manifests()))


def test_the_configuration_loads() -> None:
    """It listens where the Service leads, and ends before the pod is killed."""
    text = str(section(manifest("ConfigMap"), "data")["config.yaml"])
    config = parse_config(text, "ConfigMap")
    pod = section(section(section(manifest("Deployment"), "spec"), "template"), "spec")
    assert [listener.address.port for listener in config.listeners] == [8443]
    assert int(str(pod["terminationGracePeriodSeconds"])) > config.shutdown.timeout


async def work(server: ApiServer, folder: Path) -> None:
    """Discover, lead, mark, lower and let go."""
    kubeconfig = write_kubeconfig(folder / "k", server, {"token": "account"})
    discovery = KubernetesDiscovery(KubernetesSource("enclaves", 443, "default", kubeconfig))
    kind = Kubernetes()
    said = {"scale": "deployments/enclaves", "kubeconfig": str(kubeconfig)}
    scaler = kind.make(kind.settings.model_validate(said), PoolName("app"))
    victim = Victim(BackendName("enclaves-1"), Address("10.0.0.2", 443), 0)
    order = Order(PoolName("app"), 1, 0.0, 3, 2, release=(victim,))
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(discovery.watch(lambda _: None))
        running = tasks.create_task(scaler.run())
        await until(lambda: server.watches.open)
        await until(lambda: scaler.election and scaler.election.leading)
        await scaler.apply(order)
        running.cancel()
        watching.cancel()


async def test_the_role_is_enough_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything works by it, a Lease that has to be made first included; each right is used."""
    monkeypatch.setattr(actuator, "SETTLE_SECONDS", 0.001)
    monkeypatch.setattr(election, "RETRY_SECONDS", 0.005)
    grants = grants_of(manifests())
    async with ApiServer(tokens={"account": USER}, grants=grants).running() as server:
        workload = FakeWorkload(server)
        workload.begin(3)
        await work(server, tmp_path)
        assert workload.removed == ["enclaves-1"]
        used = {(each.verb, _resource(each.path)) for each in server.asked}
    allowed = {(verb, resource) for grant in grants for verb, resource in _rights(grant)}
    assert used == allowed


def _rights(grant: Grant) -> list[tuple[str, str]]:
    return [(verb, resource) for verb in grant.verbs for resource in grant.resources]


def _resource(path: str) -> str:
    """What RBAC calls what a path leads to."""
    plural, *rest = path.partition("/namespaces/default/")[2].split("/")
    return "/".join([plural, *rest[1:]])
