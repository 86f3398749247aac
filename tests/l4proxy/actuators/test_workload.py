"""What is scaled, as settings name it and as the API has it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from l4proxy.actuators.workload import Scale, Workload, WorkloadClient, read_workload
from l4proxy.config.mistakes import BadValueError
from l4proxy.kubernetes import ApiClient, ApiError, ApiFault, Resource, load_access
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.server import ApiServer, Fault
from tests.kubernetes_api.workload import FakeWorkload


@pytest.mark.parametrize(
    ("text", "resource", "name"),
    [
        ("deployments/enclaves", ("apps", "v1", "deployments"), "enclaves"),
        ("statefulsets/e.f-g", ("apps", "v1", "statefulsets"), "e.f-g"),
        ("apps.kruise.io/v1alpha1/clonesets/c", ("apps.kruise.io", "v1alpha1", "clonesets"), "c"),
    ],
)
def test_a_workload_is_named(text: str, resource: tuple[str, str, str], name: str) -> None:
    """By its kind and its name; written back it is the same text."""
    found = read_workload(text)
    assert found == Workload(Resource(*resource), name)
    assert str(found) == text
    assert found.by_number is text.startswith("statefulsets")


@pytest.mark.parametrize(
    "text",
    [
        "enclaves",
        "deployment/enclaves",
        "deployments/",
        "deployments/A",
        "deployments/a/b",
        "deployments/..",
        "apps/v1/deployments",
        "apps/v1/deployments/a/b",
        "apps/1/deployments/a",
        "-/v1/deployments/a",
        f"deployments/{'a' * 254}",
        "",
        None,
        7,
    ],
)
def test_what_is_no_workload_is_refused(text: object) -> None:
    """A kind that is not known has to be said in full."""
    with pytest.raises(BadValueError, match="expected deployments/NAME"):
        read_workload(text)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server without objects."""
    async with ApiServer().running() as found:
        yield found


@pytest_asyncio.fixture
async def api(server: ApiServer, tmp_path: Path) -> AsyncIterator[ApiClient]:
    """Its administrator's client."""
    async with ApiClient(load_access(write_kubeconfig(tmp_path / "k", server))) as found:
        yield found


async def test_any_kind_with_a_scale_is_scaled(server: ApiServer, api: ApiClient) -> None:
    """Also one of a custom resource; a version that is old by now is refused."""
    workload = read_workload("example.com/v1alpha1/enclavesets/e")
    server.add("enclavesets", "e", {"spec": {"replicas": 2}})
    there = WorkloadClient(api, "default", workload)
    scale = await there.scale()
    assert (scale.number, scale.selector, await there.pods(scale.selector)) == (2, "", ())
    await there.set(scale, 3)
    assert (await there.scale()).number == 3
    with pytest.raises(ApiError) as caught:
        await there.set(scale, 9)
    assert caught.value.fault is ApiFault.CONFLICT


async def test_pods_are_found_and_marked(server: ApiServer, api: ApiClient) -> None:
    """By the selector that the scale says; a mark that is taken back is gone."""
    fake = FakeWorkload(server)
    fake.begin(2)
    server.add("pods", "other", {})
    there = WorkloadClient(api, "default", read_workload("deployments/enclaves"))
    scale = await there.scale()
    pods = await there.pods(scale.selector)
    assert [pod.name for pod in pods] == ["enclaves-0", "enclaves-1"]
    await there.mark(pods[0], -7)
    assert fake.costs() == {"enclaves-0": -7}
    with pytest.raises(ApiError) as caught:
        await there.mark(pods[0], None)
    assert caught.value.fault is ApiFault.CONFLICT  # it is another version by now
    pods = await there.pods(scale.selector)
    await there.mark(pods[0], None)
    assert fake.costs() == {}
    await there.mark(pods[0]._replace(name="gone"), 3)
    server.faults.append(Fault(500))
    with pytest.raises(ApiError):
        await there.mark(pods[1], 3)


@pytest.mark.parametrize("name", ["", "..", "a/b", "\\ud800"])
async def test_a_pod_that_cannot_be_named_is_malformed(
    server: ApiServer, api: ApiClient, name: str
) -> None:
    """What stands in a path has to be a name; and without a version it could not be changed."""
    there = WorkloadClient(api, "default", read_workload("deployments/enclaves"))
    for meta in (f'"name": "{name}", "resourceVersion": "1"', '"name": "a"'):
        body = f'{{"metadata": {{"resourceVersion": "1"}}, "items": [{{"metadata": {{{meta}}}}}]}}'
        server.faults.append(Fault(200, body=body.encode()))
        with pytest.raises(ApiError) as caught:
            await there.pods("app=e")
        assert caught.value.fault is ApiFault.MALFORMED


async def test_a_scale_that_was_never_written_is_none(server: ApiServer, api: ApiClient) -> None:
    """And one without a version is malformed."""
    there = WorkloadClient(api, "default", read_workload("deployments/enclaves"))
    server.faults.append(Fault(200, body=b'{"metadata": {"resourceVersion": "1"}, "spec": {}}'))
    assert await there.scale() == Scale(0, "1", "")
    server.faults.append(Fault(200))
    with pytest.raises(ApiError) as caught:
        await there.scale()
    assert caught.value.fault is ApiFault.MALFORMED


@pytest.mark.parametrize("spec", ['{"replicas": "7"}', '{"replicas": -1}', "[]", "null"])
async def test_what_is_no_number_is_not_zero(server: ApiServer, api: ApiClient, spec: str) -> None:
    """Else a number would be set that is meant to be higher, and is lower."""
    there = WorkloadClient(api, "default", read_workload("deployments/enclaves"))
    body = f'{{"metadata": {{"resourceVersion": "1"}}, "spec": {spec}}}'
    server.faults.append(Fault(200, body=body.encode()))
    with pytest.raises(ApiError) as caught:
        await there.scale()
    assert caught.value.fault is ApiFault.MALFORMED
