"""What the admin API answers, and to whom it does not."""

import json

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Response

from l4proxy.admin.pages import PAGES, answer
from tests.l4proxy.telemetry.fake import FakeBalancer


def ask(path: str, method: str = "GET", host: str = "127.0.0.1:9080") -> Response:
    """The answer of a balancer that is ready."""
    return answer(FakeBalancer(), make_mocked_request(method, path, {"Host": host}))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there(path: str) -> None:
    """Each page answers, is not to be kept, and does not say what it is made with."""
    found = ask(path)
    assert found.status == 200
    assert found.headers["Cache-Control"] == "no-store"
    assert found.headers["Server"] == "l4proxy"
    assert found.body


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/metrics"])
def test_pages_are_json(path: str) -> None:
    """Every page but the metrics is one JSON document."""
    found = ask(path)
    assert found.content_type == "application/json"
    assert isinstance(json.loads(found.text or ""), dict)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/backends", "/no/such/page"])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    """Every method but reading is refused, on every path."""
    found = ask(path, method)
    assert found.status == 405
    assert found.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:9080",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:9",
    ],
)
def test_names_of_this_machine_are_served(host: str) -> None:
    """A client that knows where it is going is answered."""
    assert ask("/healthz", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:9080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1:9080@evil.example",
        "10.0.0.1",
        "[::]",
        "::1",
        "localhost:",
        "localhost\n",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    """A page from elsewhere cannot read the API through a name that resolves to this machine."""
    assert ask("/api/v1/status", host=host).status == 403


def test_a_request_without_host_is_refused() -> None:
    """Who does not say which name it asked for is not answered."""
    assert answer(FakeBalancer(), make_mocked_request("GET", "/healthz", {})).status == 403


def test_unknown_pages_tell_the_known_ones() -> None:
    """Who mistypes a path reads which there are."""
    found = ask("/api/v1/backend")
    assert found.status == 404
    assert "/api/v1/backends" in (found.text or "")


@pytest.mark.parametrize(("stopping", "reason"), [(False, "starting"), (True, "stopping")])
def test_readiness_says_why_not(stopping: bool, reason: str) -> None:
    """A balancer that is not ready answers 503 with the reason, and is alive all the same."""
    balancer = FakeBalancer()
    balancer.ready, balancer.stopping = False, stopping
    request = make_mocked_request("GET", "/readyz", {"Host": "localhost"})
    found = answer(balancer, request)
    assert found.status == 503
    assert json.loads(found.text or "") == {"ready": False, "reason": reason}
    alive = make_mocked_request("GET", "/healthz", {"Host": "localhost"})
    assert answer(balancer, alive).status == 200
