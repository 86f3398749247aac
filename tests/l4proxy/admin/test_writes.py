"""What may be changed, over which door, and what is said when it cannot be."""

import asyncio
import contextlib
import http.client
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from l4proxy.admin.pages import reader
from l4proxy.admin.replies import Handler
from l4proxy.admin.server import serve_admin
from l4proxy.admin.writes import MAX_BODY_BYTES, Change, NotReloaded, Reloaded, Revoking, writer
from l4proxy.control.drains import find_member
from l4proxy.control.lineup import Drained
from l4proxy.control.listeners import UnixListener
from l4proxy.control.membership import Member, TooMany
from l4proxy.control.plan import TooManyBackends
from l4proxy.revocation import Revocation
from routing import Address, BackendName, PoolName
from tests.l4proxy.telemetry.fake import FakeBalancer

PATIENCE = 20.0
PAGE = "/api/v1/pools/app/backends"
GOOD = {"address": "10.0.0.3:8443", "weight": 2}


class Changed(FakeBalancer):
    """A balancer whose backends are changed, or that fails as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.in_force = True
        self.error: Exception | None = None
        self.drained: list[tuple[str, float | None]] = []

    async def put_backend(self, pool: PoolName, member: Member) -> Change:
        """Put it onto the roll."""
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        there = pool in self.roster.roll and [each.name for each in self.roster.members(pool)]
        member = self.roster.roll.put(pool, member)
        created = not there or member.name not in there
        return Change(pool, member, created=created, version=4, in_force=self.in_force)

    async def delete_backend(self, pool: PoolName, name: BackendName) -> Change:
        """Take it off the roll."""
        await asyncio.sleep(0)
        gone = self.roster.roll.delete(pool, name)
        return Change(pool, gone, version=4, in_force=self.in_force)

    async def drain_backend(self, called: str, seconds: float | None = None) -> Change:
        """Note it, and keep sessions for an hour or as long as was asked for."""
        pool, member = find_member(self.roster.roll, called)
        self.drained.append((called, seconds))
        left = 3_600.0 if seconds is None else seconds
        deadline = None if math.isinf(left) else time.monotonic() + left
        change = Change(pool, member, version=4, draining=True, deadline=deadline)
        return replace(change, in_force=self.in_force)

    async def revoke(self, found: Sequence[Revocation]) -> Revoking:
        """Note it, and refute nobody."""
        await asyncio.sleep(0)
        refuted = self.roster.attestor.revoke(found)
        return Revoking(refuted, version=4, in_force=self.in_force)

    async def reload(self) -> Reloaded:
        """Say that a pool has changed, or what keeps it from being done."""
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Reloaded(("pools.app",), version=4, in_force=self.in_force)

    async def undrain_backend(self, called: str) -> Change:
        """Say that it is done."""
        pool, member = find_member(self.roster.roll, called)
        return Change(pool, member, version=4, in_force=self.in_force)

    async def activate_backend(self, called: str) -> Change:
        """Say that it is done, or what keeps it from being done."""
        if self.error is not None:
            raise self.error
        return await self.undrain_backend(called)


@contextlib.asynccontextmanager
async def serving(answer: Handler, path: Path) -> AsyncIterator[Path]:
    """An admin API on a unix socket."""
    listener = UnixListener(path)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve_admin(listener.sock, answer))
        yield path
        task.cancel()


def _ask(path: Path, method: str, page: str, body: bytes) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(str(path))
        connection.request(method, page, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


async def ask(
    balancer: Changed, tmp_path: Path, method: str, page: str, document: object = None
) -> tuple[int, dict[str, object]]:
    """Status and document of one request over the writable door."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    async with serving(writer(balancer, balancer), tmp_path / "admin.sock") as path:
        return await asyncio.to_thread(_ask, path, method, page, body)


async def test_a_backend_is_put(tmp_path: Path) -> None:
    """The first time it is created, again it is there; another weight is a change."""
    balancer = Changed()
    for document, expected in ((GOOD, 201), (GOOD, 200), ({**GOOD, "weight": 5}, 200)):
        status, answer = await ask(balancer, tmp_path, "PUT", f"{PAGE}/new", document)
        assert (status, answer["weight"]) == (expected, document["weight"])
        assert answer == {
            "pool": "app",
            "name": "new",
            "address": "10.0.0.3:8443",
            "weight": document["weight"],
            "snapshot": 4,
            "in_force": True,
        }
    new = Member(BackendName("new"), Address("10.0.0.3", 8443), 5)
    assert balancer.roster.members(PoolName("app"))[0].weight == new.weight


async def test_a_backend_is_deleted(tmp_path: Path) -> None:
    """Once; then there is none."""
    balancer = Changed()
    assert (await ask(balancer, tmp_path, "DELETE", f"{PAGE}/a"))[0] == 200
    status, answer = await ask(balancer, tmp_path, "DELETE", f"{PAGE}/a")
    assert (status, answer) == (404, {"error": "found no backend 'a' in the pool"})


async def test_names_travel_quoted(tmp_path: Path) -> None:
    """An address with brackets is a name too."""
    page = "/api/v1/pools/api/backends/%5B2001:db8::1%5D:443"
    assert (await ask(Changed(), tmp_path, "DELETE", page))[0] == 200


async def test_what_is_not_in_force_yet_is_accepted(tmp_path: Path) -> None:
    """A worker that is slow to obey is said."""
    balancer = Changed()
    balancer.in_force = False
    status, answer = await ask(balancer, tmp_path, "PUT", f"{PAGE}/new", GOOD)
    assert (status, answer["in_force"]) == (202, False)


@pytest.mark.parametrize(
    ("name", "document", "said"),
    [
        ("new", b"", "found no JSON"),
        ("new", b"{", "found no JSON"),
        ("new", b"[" * 4_000, "found no JSON"),
        ("new", b"\xff", "found no JSON"),
        ("new", [], "expected a JSON object"),
        ("new", {"weight": 1}, "expected a JSON object"),
        ("new", {**GOOD, "wieght": 1}, "found the key 'wieght'"),
        ("new", {**GOOD, "weight": 0}, "found 0, expected"),
        ("new", {**GOOD, "weight": 257}, "found 257, expected"),
        ("new", {**GOOD, "weight": "2"}, "found '2', expected"),
        ("new", {**GOOD, "weight": True}, "found true, expected"),
        ("new", {"address": "app.example.com:443"}, "expected ip:port"),
        ("new", {"address": "10.0.0.3"}, "expected ip:port"),
        ("new", {"address": 3}, "found 3, expected ip:port"),
        ("new", {"address": "vsock:16"}, "expected vsock:CID:PORT"),
        ("n%20w", GOOD, "found 'n w', expected a name"),
        ("n" * 64, GOOD, "expected a name"),
        ("new", b" " * (MAX_BODY_BYTES + 1), f"found more than {MAX_BODY_BYTES} bytes"),
    ],
)
async def test_what_is_no_backend_is_told(
    tmp_path: Path, name: str, document: object, said: str
) -> None:
    """What was found and what was expected; nothing has changed."""
    balancer = Changed()
    status, answer = await ask(balancer, tmp_path, "PUT", f"{PAGE}/{name}", document)
    assert status == 400
    assert said in str(answer["error"])
    assert [each.name for each in balancer.roster.members(PoolName("app"))] == ["a", "b"]


async def test_a_backend_that_the_pool_cannot_dial_is_told(tmp_path: Path) -> None:
    """The configuration refuses it too: the pool's sources are of the other family."""
    text = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools: {app: {backends: ["10.0.0.1:443"], source: [10.0.0.5]}}
"""
    balancer = Changed()
    balancer.snapshot = FakeBalancer(text).snapshot
    status, answer = await ask(balancer, tmp_path, "PUT", f"{PAGE}/n", {"address": "[::1]:1"})
    assert (status, "no IPv6 address" in str(answer["error"])) == (400, True)
    assert (await ask(balancer, tmp_path, "PUT", f"{PAGE}/n", GOOD))[0] == 201
    for number, address in enumerate(("vsock:16:8443", "unix:/run/n.sock")):
        page = f"{PAGE}/n{number}"
        assert (await ask(balancer, tmp_path, "PUT", page, {"address": address}))[0] == 201
    assert (await ask(balancer, tmp_path, "PUT", f"{PAGE}/u", {"address": "unix:/b"}))[0] == 201


DRAIN = "/api/v1/backends/{}/drain"


@pytest.mark.parametrize(
    ("name", "document", "seconds", "deadline"),
    [
        ("a", b"", None, 3_600.0),
        ("a", {}, None, 3_600.0),
        ("app/a", {"timeout": "30m"}, 1_800.0, 1_800.0),
        ("app%2Fa", {"timeout": "off"}, math.inf, None),
    ],
)
async def test_a_backend_is_drained(
    tmp_path: Path, name: str, document: object, seconds: float | None, deadline: float | None
) -> None:
    """With the time that the configuration gives it, or another one; the answer says which."""
    balancer = Changed()
    status, answer = await ask(balancer, tmp_path, "POST", DRAIN.format(name), document)
    assert status == 200
    assert balancer.drained == [(name.replace("%2F", "/"), seconds)]
    assert answer.pop("deadline") == pytest.approx(deadline, abs=PATIENCE)
    assert answer == {
        "pool": "app",
        "name": "a",
        "address": "10.0.0.1:443",
        "weight": 2,
        "draining": True,
        "snapshot": 4,
        "in_force": True,
    }


async def test_a_drain_is_taken_back(tmp_path: Path) -> None:
    """The answer says that the backend is drained no more; if workers lag, that too."""
    balancer = Changed()
    page = "/api/v1/backends/app/a/undrain"
    status, answer = await ask(balancer, tmp_path, "POST", page, b"")
    assert (status, answer["draining"], answer["deadline"]) == (200, False, None)
    balancer.in_force = False
    assert (await ask(balancer, tmp_path, "POST", page, {}))[0] == 202
    assert balancer.drained == []


async def test_a_backend_on_standby_is_activated(tmp_path: Path) -> None:
    """The answer says who it is, and nothing of drains; one that is drained is a conflict."""
    balancer = Changed()
    page = "/api/v1/backends/app/a/activate"
    status, answer = await ask(balancer, tmp_path, "POST", page, b"")
    assert (status, answer["name"], "draining" in answer) == (200, "a", False)
    assert (await ask(balancer, tmp_path, "POST", page, {"timeout": "1h"}))[0] == 400
    balancer.error = Drained("found 'a' drained")
    assert await ask(balancer, tmp_path, "POST", page, b"") == (409, {"error": "found 'a' drained"})


@pytest.mark.parametrize(
    ("page", "document", "status", "said"),
    [
        ("none/drain", b"", 404, "found no backend 'none', expected NAME or POOL/NAME"),
        ("api/a/undrain", b"", 404, "found no backend 'api/a'"),
        ("a/drain", b"{", 400, "found no JSON"),
        ("a/drain", [], 400, "expected nothing, or a JSON object"),
        ("a/drain", {"time": "1h"}, 400, "found the key 'time'"),
        ("a/drain", {"timeout": 60}, 400, "did you mean 60s?"),
        ("a/drain", {"timeout": "1d"}, 400, "expected a duration"),
        ("a/undrain", {"timeout": "1h"}, 400, "found the key 'timeout', expected nothing"),
        ("a/drain", b" " * (MAX_BODY_BYTES + 1), 400, "found more than"),
    ],
)
async def test_what_is_no_drain_is_told(
    tmp_path: Path, page: str, document: object, status: int, said: str
) -> None:
    """What was found and what was expected; nothing has changed."""
    balancer = Changed()
    found, answer = await ask(balancer, tmp_path, "POST", f"/api/v1/backends/{page}", document)
    assert (found, balancer.drained) == (status, [])
    assert said in str(answer["error"])


async def test_something_is_revoked(tmp_path: Path) -> None:
    """What it is stands in one list; how many it hits is told."""
    balancer = Changed()
    wanted = {"revoke": ["key:" + "ab" * 32, "chip:00112233"]}
    for in_force, status in ((True, 200), (False, 202)):
        balancer.in_force = in_force
        done = await ask(balancer, tmp_path, "POST", "/api/v1/revocations", wanted)
        assert done == (status, {"refuted": 0, "snapshot": 4, "in_force": in_force})
    assert len(balancer.roster.attestor.revocations) == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "revoke"),
        ({"revoke": []}, "revoke"),
        ({"revoke": "chip:00112233"}, "revoke"),
        ({"revoke": ["chip:00"]}, "expected key:HEX"),
        ({"revoke": [5]}, "expected key:HEX"),
        ({"revoked": ["chip:00112233"]}, "found the key 'revoked'"),
    ],
)
async def test_what_is_no_revocation_is_told(tmp_path: Path, wanted: object, said: str) -> None:
    """Nothing of it is taken."""
    balancer = Changed()
    status, found = await ask(balancer, tmp_path, "POST", "/api/v1/revocations", wanted)
    assert status == 400
    assert said in str(found["error"])
    assert not balancer.roster.attestor.revocations


async def test_a_name_of_two_pools_is_told(tmp_path: Path) -> None:
    """The pools are named; with one of them in front the name is clear."""
    balancer = Changed()
    balancer.roster.roll.put(PoolName("api"), Member(BackendName("a"), Address("10.0.0.9", 1)))
    status, answer = await ask(balancer, tmp_path, "POST", DRAIN.format("a"), b"")
    assert (status, "in the pools app, api" in str(answer["error"])) == (409, True)
    assert (await ask(balancer, tmp_path, "POST", DRAIN.format("api/a"), b""))[0] == 200


async def test_names_and_addresses_that_are_taken(tmp_path: Path) -> None:
    """A conflict is no mistake of form."""
    status, answer = await ask(Changed(), tmp_path, "PUT", f"{PAGE}/a", GOOD)
    assert (status, "delete it first" in str(answer["error"])) == (409, True)


async def test_a_pool_that_is_not_there(tmp_path: Path) -> None:
    """The pools that there are, are named."""
    status, answer = await ask(Changed(), tmp_path, "PUT", "/api/v1/pools/ap/backends/n", GOOD)
    assert (status, "['api', 'app']" in str(answer["error"])) == (404, True)


@pytest.mark.parametrize("error", [TooMany("full"), TooManyBackends("full")])
async def test_no_room_is_told(tmp_path: Path, error: Exception) -> None:
    """Where all places are taken, or held by connections of removed backends."""
    balancer = Changed()
    balancer.error = error
    found = await ask(balancer, tmp_path, "PUT", f"{PAGE}/new", GOOD)
    assert found == (507, {"error": "full"})


async def test_a_daemon_that_stops_changes_nothing(tmp_path: Path) -> None:
    """Whoever asks reads why."""
    balancer = Changed()
    balancer.stopping = True
    assert (await ask(balancer, tmp_path, "DELETE", f"{PAGE}/a"))[0] == 503


@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS"])
async def test_other_methods_change_nothing(tmp_path: Path, method: str) -> None:
    """Two methods write; on other pages none does."""
    assert (await ask(Changed(), tmp_path, method, f"{PAGE}/a", GOOD))[0] == 405
    assert (await ask(Changed(), tmp_path, "PUT", "/healthz", GOOD))[0] == 405


async def test_the_pages_are_there_too(tmp_path: Path) -> None:
    """Who may write may read."""
    assert (await ask(Changed(), tmp_path, "GET", "/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("method", "page"),
    [
        ("PUT", f"{PAGE}/a"),
        ("DELETE", f"{PAGE}/a"),
        ("POST", DRAIN.format("a")),
        ("POST", DRAIN.format("app/a")),
        ("POST", "/api/v1/backends/a/undrain"),
        ("POST", "/api/v1/backends/a/activate"),
        ("POST", "/api/v1/revocations"),
        ("POST", "/api/v1/reload"),
    ],
)
async def test_the_other_door_refuses_writes(tmp_path: Path, method: str, page: str) -> None:
    """Where anybody of this machine may ask, nobody may change."""
    async with serving(reader(FakeBalancer()), tmp_path / "admin.sock") as path:
        status, answer = await asyncio.to_thread(_ask, path, method, page, b"")
    assert status == 403
    assert "writes only over the unix socket" in str(answer["error"])


@pytest.mark.parametrize(("in_force", "expected"), [(True, 200), (False, 202)])
async def test_a_reload_says_what_has_changed(
    tmp_path: Path, in_force: bool, expected: int
) -> None:
    """And whether all workers decide by it already."""
    balancer = Changed()
    balancer.in_force = in_force
    found = await ask(balancer, tmp_path, "POST", "/api/v1/reload", b"")
    assert found == (expected, {"changed": ["pools.app"], "snapshot": 4, "in_force": in_force})


async def test_a_reload_that_cannot_be_says_why(tmp_path: Path) -> None:
    """Every mistake; and it takes no body."""
    balancer = Changed()
    balancer.error = NotReloaded("config.yaml:1:1: this\nconfig.yaml:2:1: that")
    status, found = await ask(balancer, tmp_path, "POST", "/api/v1/reload", b"")
    assert (status, found) == (422, {"error": str(balancer.error)})
    assert (await ask(balancer, tmp_path, "POST", "/api/v1/reload", {"a": 1}))[0] == 400
