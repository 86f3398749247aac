"""One question, one bounded answer; and what goes wrong has one word each."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from l4proxy.kubernetes import Access, ApiClient, ApiError, ApiFault, Query, client
from l4proxy.kubernetes.access import tls_context
from l4proxy.kubernetes.objects import field, text, version
from l4proxy.kubernetes.resources import ENDPOINT_SLICES, LEASES, PODS, Resource
from l4proxy.kubernetes.watch import Event, EventKind
from tests.kubernetes_api.rbac import Grant
from tests.kubernetes_api.server import ApiServer, Asked, Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.waiting import until

SLICES = Query(ENDPOINT_SLICES.path("default"))


@pytest_asyncio.fixture
async def api(access: Access) -> AsyncIterator[ApiClient]:
    """The administrator's client."""
    async with ApiClient(access) as found:
        yield found


def pod(name: str, labels: dict[str, object] | None = None) -> dict[str, object]:
    """A pod."""
    return {"metadata": {"name": name, "labels": labels or {}}}


async def fault_of(api: ApiClient, path: str = PODS.path("default", "a")) -> ApiError:
    """What comes of a question."""
    with pytest.raises(ApiError) as caught:
        await api.get(path)
    return caught.value


async def test_objects_are_read_created_and_changed(server: ApiServer, api: ApiClient) -> None:
    """Each answer is the object as it is then, with its version."""
    made = await api.create(LEASES.path("default"), {"metadata": {"name": "l"}, "spec": {"a": 1}})
    path = LEASES.path("default", "l")
    assert (await api.get(path)) == made
    changed = await api.patch(path, {"spec": {"a": None, "b": 2}})
    assert field(changed, "spec") == {"b": 2}
    assert version(changed) != version(made)
    assert [each.verb for each in server.asked] == ["create", "get", "patch"]


async def test_a_change_to_an_old_version_is_told(server: ApiServer, api: ApiClient) -> None:
    """Whoever changed it first is not overwritten: 409, and the object is theirs."""
    found = server.add("deployments", "d", {"spec": {"replicas": 1}})
    path = Resource("apps", "v1", "deployments").path("default", "d", "scale")
    old = {"metadata": {"resourceVersion": version(found)}, "spec": {"replicas": 2}}
    await api.patch(path, old)
    with pytest.raises(ApiError) as caught:
        await api.patch(path, old | {"spec": {"replicas": 7}})
    assert caught.value.fault is ApiFault.CONFLICT
    assert "modified" in str(caught.value)
    assert field(await api.get(path), "spec", "replicas") == 2


async def test_a_list_is_asked_for_page_by_page(
    server: ApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, of one version, though it changes between two pages."""
    monkeypatch.setattr(client, "PAGE_ITEMS", 2)
    for number in range(5):
        server.add("pods", f"p{number}", pod(f"p{number}", {"app": "e"}))
    server.add("pods", "q", pod("q"))
    newest = str(server.store.version)

    def late(asked: Asked) -> None:
        if asked.verb == "list" and len(server.asked) == 2:
            server.add("pods", "late", pod("late", {"app": "e"}))

    server.before = late
    listing = await api.list(Query(PODS.path("default"), "app=e"))
    assert [text(each, "metadata", "name") for each in listing.objects] == [
        f"p{number}" for number in range(5)
    ]
    assert listing.version == newest
    assert len(server.asked) == 3


async def test_a_list_that_is_forgotten_between_two_pages_is_gone(
    server: ApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next page of a version that is compacted away is 410."""
    monkeypatch.setattr(client, "PAGE_ITEMS", 1)
    server.add("pods", "a", pod("a"))
    server.add("pods", "b", pod("b"))
    server.before = lambda _: server.store.compact() if server.asked[1:] else None
    with pytest.raises(ApiError) as caught:
        await api.list(Query(PODS.path("default")))
    assert caught.value.fault is ApiFault.GONE


async def test_a_list_without_end_is_refused(
    server: ApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More objects than are kept are an error, not memory."""
    monkeypatch.setattr(client, "MAX_ITEMS", 1)
    server.add("pods", "a", pod("a"))
    server.add("pods", "b", pod("b"))
    with pytest.raises(ApiError) as caught:
        await api.list(Query(PODS.path("default")))
    assert caught.value.fault is ApiFault.TOO_LARGE


async def test_pages_without_end_are_refused(
    server: ApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there is nothing on them."""
    monkeypatch.setattr(client, "MAX_ITEMS", 3)
    body = b'{"metadata": {"resourceVersion": "1", "continue": "more"}, "items": []}'
    server.faults.append(Fault(200, times=9, body=body))
    with pytest.raises(ApiError) as caught:
        await api.list(Query(PODS.path("default")))
    assert (caught.value.fault, server.faults[0].times) == (ApiFault.TOO_LARGE, 5)


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata": {"resourceVersion": "1"}}',
        b'{"metadata": {"resourceVersion": "1"}, "items": null}',
        b'{"metadata": {"resourceVersion": "1"}, "items": [{}, 1]}',
        b'{"metadata": {"resourceVersion": "1", "continue": 7}, "items": []}',
    ],
)
async def test_what_is_no_list_is_not_an_empty_one(
    server: ApiServer, api: ApiClient, body: bytes
) -> None:
    """Else all that there is would be gone."""
    server.faults.append(Fault(200, body=body))
    with pytest.raises(ApiError) as caught:
        await api.list(Query(PODS.path("default")))
    assert caught.value.fault is ApiFault.MALFORMED


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(401), ApiFault.UNAUTHORIZED),
        (Fault(403), ApiFault.FORBIDDEN),
        (Fault(404), ApiFault.NOT_FOUND),
        (Fault(429, headers={"Retry-After": "7"}), ApiFault.BUSY),
        (Fault(500), ApiFault.SERVER),
        (Fault(599), ApiFault.SERVER),
        (Fault(422), ApiFault.REFUSED),
        (Fault(302, headers={"Location": "https://127.0.0.1:1/"}), ApiFault.REFUSED),
        (Fault(0, times=2), ApiFault.UNREACHABLE),  # aiohttp asks once more by itself
        (Fault(200, body=b"[]"), ApiFault.MALFORMED),
        (Fault(200, body=b"{"), ApiFault.MALFORMED),
        (
            Fault(200, body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
            ApiFault.MALFORMED,
        ),
        (Fault(200, body=b"[" * 100_000), ApiFault.MALFORMED),
        (Fault(200, body=b" " * 3_000), ApiFault.TOO_LARGE),
        (Fault(500, body=b" " * 3_000), ApiFault.TOO_LARGE),
    ],
)
async def test_each_failure_has_its_word(
    server: ApiServer,
    api: ApiClient,
    fault: Fault,
    expected: ApiFault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the server does, an error with a word for it comes back, and the next one works."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 2_000 if len(fault.body) == 3_000 else 1 << 20)
    server.add("pods", "a", pod("a"))
    server.faults.append(replace(fault))
    error = await fault_of(api)
    assert error.fault is expected
    assert error.retry_after == (7.0 if expected is ApiFault.BUSY else None)
    assert await api.get(PODS.path("default", "a"))


async def test_no_answer_is_not_waited_for(server: ApiServer, access: Access) -> None:
    """Each question has a deadline."""
    server.faults.append(Fault(-1))
    async with ApiClient(access, deadline=0.05) as api:
        assert (await fault_of(api)).fault is ApiFault.TIMEOUT


async def test_what_rbac_does_not_allow_says_so(server: ApiServer, access: Access) -> None:
    """The message names verb, resource and namespace, and where the Role is written down."""
    server.tokens["t"] = "system:serviceaccount:default:l4proxy"
    grant = Grant(server.tokens["t"], "default", *map(frozenset, (["get"], [""], ["pods"], ["a"])))
    server.grants.append(grant)
    server.add("pods", "a", pod("a"))
    async with ApiClient(replace(access, token=lambda: "t")) as api:
        await api.get(PODS.path("default", "a"))
        error = await fault_of(api, PODS.path("default", "b"))
    assert error.fault is ApiFault.FORBIDDEN
    for part in ('cannot get resource "pods"', "docs/kubernetes.md", "403"):
        assert part in str(error)


async def test_the_server_is_believed_by_its_authority_alone(access: Access) -> None:
    """A certificate that another one signed, or for another name, is no server of ours."""
    async with ApiClient(replace(access, tls=tls_context(None))) as api:
        assert (await fault_of(api)).fault is ApiFault.UNREACHABLE
    async with ApiClient(replace(access, server_name="elsewhere.example.com")) as api:
        assert (await fault_of(api)).fault is ApiFault.UNREACHABLE
    async with ApiClient(replace(access, server_name="kubernetes.default")) as api:
        assert (await fault_of(api)).fault is ApiFault.NOT_FOUND


async def test_a_token_is_read_for_each_question(server: ApiServer, access: Access) -> None:
    """One that was rotated counts from then on."""
    server.tokens = {"new": "admin"}
    tokens = iter(["old", "new"])
    async with ApiClient(replace(access, token=lambda: next(tokens))) as api:
        assert (await fault_of(api)).fault is ApiFault.UNAUTHORIZED
        assert (await fault_of(api)).fault is ApiFault.NOT_FOUND


async def test_a_client_that_is_not_open_is_a_mistake_of_ours(access: Access) -> None:
    """It is told at once."""
    with pytest.raises(RuntimeError):
        await ApiClient(access).get("/")


# --- watches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [0, 1, 50])
async def test_a_watch_hears_of_everything_in_order(
    server: ApiServer, api: ApiClient, piece: int
) -> None:
    """From its version on, bookmarks too, however the lines are cut; it ends with the server's."""
    server.watches.piece = piece
    first = server.add("endpointslices", "a", pod("a"))
    heard: list[Event] = []
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(api.watch(SLICES, version(first) or "", heard.extend))
        await until(lambda: server.watches.open)
        server.add("endpointslices", "b", pod("b"))
        server.change("endpointslices", "b", pod("b", {"x": "y"}))
        server.watches.bookmark()
        server.store.delete(Key("endpointslices", "default", "a"))
        await until(lambda: len(heard) == 4)
        server.watches.say(None)
        await task
    kinds = [event.kind for event in heard]
    assert kinds == [
        EventKind.ADDED,
        EventKind.MODIFIED,
        EventKind.BOOKMARK,
        EventKind.DELETED,
    ]
    versions = [int(version(event.object) or 0) for event in heard]
    assert versions == sorted(versions)


async def test_a_version_that_is_forgotten_is_gone(server: ApiServer, api: ApiClient) -> None:
    """410, as an answer and as an event, is the same to whoever watches."""
    first = server.add("endpointslices", "a", pod("a"))
    server.store.compact()
    with pytest.raises(ApiError) as caught:
        await api.watch(SLICES, version(first) or "", lambda _: None)
    assert caught.value.fault is ApiFault.GONE


async def test_a_server_that_falls_silent_ends_a_watch(
    server: ApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for beyond the time that the watch was to last."""
    monkeypatch.setattr(client, "WATCH_SECONDS", 0.0)
    monkeypatch.setattr(client, "STALL_SECONDS", 0.05)
    server.faults.append(Fault(-1))
    with pytest.raises(ApiError) as caught:
        await api.watch(SLICES, "1", lambda _: None)
    assert caught.value.fault is ApiFault.TIMEOUT
