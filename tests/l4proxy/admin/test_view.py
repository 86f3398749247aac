"""The JSON documents of the daemon and its pools: keys, values, and that they are JSON."""

import json

import pytest

from l4proxy.admin.backends import backends_document
from l4proxy.admin.view import pools_document, state_of, status_document
from l4proxy.control.discovery import DnsFault, DnsStatistics
from l4proxy.control.membership import SourceName
from l4proxy.dataplane import counters as names
from l4proxy.version import VERSION
from routing import PoolName
from tests.l4proxy.telemetry.fake import FakeBalancer

APP = PoolName("app")
ROWS = [
    (names.ACCEPTED, "", 11),
    (names.REFUSED, "not_tls", 2),
    (names.REFUSED, "no_server_name", 1),
    (names.FORWARDED, "app/a", 8),
    (names.BYTES_UP, "app/a", 7),
    (names.BYTES_DOWN, "app/a", 9),
    (names.DIAL_FAILED, "app/b/econnrefused", 4),
    (names.CHOSEN, "app/selected", 8),
]


def test_the_status_says_what_runs() -> None:
    """Version, listeners, workers, connections and counters stand in one document."""
    balancer = FakeBalancer(rows=ROWS)
    balancer.load.cells[0] = 5
    found = status_document(balancer)
    assert found["version"] == VERSION
    assert found["snapshot"] == 3
    assert found["listeners"] == ["127.0.0.1:8443"]
    assert found["workers"][:2] == [
        {"number": 0, "pid": 41, "ready": True, "applied": 3, "deaths": 0},
        {"number": 1, "pid": 42, "ready": False, "applied": 0, "deaths": 2},
    ]
    expected = {"open": 5, "limit": 500, "accepted": 11, "forwarded": 8, "refused": 3}
    assert found["connections"] == expected
    assert found["refused"]["not_tls"] == 2
    assert found["ended"]["complete"] == 0


@pytest.mark.parametrize(
    ("ready", "stopping", "state"),
    [
        (False, False, "starting"),
        (True, False, "ready"),
        (True, True, "stopping"),
        (False, True, "stopping"),
    ],
)
def test_a_balancer_is_in_one_of_three_states(ready: bool, stopping: bool, state: str) -> None:
    """The end, once begun, is what counts."""
    balancer = FakeBalancer()
    balancer.ready, balancer.stopping = ready, stopping
    assert state_of(balancer) == state


def test_pools_show_routes_bounds_and_decisions() -> None:
    """An operator sees what leads to a pool, what bounds it and what it did."""
    app, api = pools_document(FakeBalancer(rows=ROWS), 0.0)["pools"]
    assert app["name"] == "app"
    assert app["default"]
    assert app["backends"] == ["a", "b"]
    assert app["eligible"] == 2
    assert app["capacity"] == {"sessions_per_backend": 10, "connections_per_backend": 20}
    assert app["timeouts"] == {
        "connect": 3.0,
        "idle": 3600.0,
        "half_closed": 30.0,
        "lifetime": None,
        "user_timeout": 120.0,
        "keepalive": 60.0,
    }
    assert (app["open"], app["discovery"], app["left_out"]) == (False, [], 0)
    assert app["decisions"]["selected"] == 8
    assert not api["default"]
    route = {"pattern": "*.api.example.com", "alpn": ["h2", "http/1.1"], "instance_name": True}
    assert api["routes"] == [route]


def test_documents_are_json() -> None:
    """Every document can be written by a strict JSON writer."""
    balancer = FakeBalancer(rows=ROWS)
    documents = (
        status_document(balancer),
        pools_document(balancer, 0),
        backends_document(balancer, 0),
    )
    for document in documents:
        assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_pools_show_what_dns_says() -> None:
    """Each source of a pool, with its age and what is wrong with it."""
    balancer = FakeBalancer()
    seen = DnsStatistics(2, 1.26, DnsFault.TIMEOUT, 3, 1, {}, {}, 0, 0)
    balancer.roster.found = [(APP, SourceName("enclaves.internal:443"), seen)]
    app, api = pools_document(balancer, 0.0)["pools"]
    source = {"source": "enclaves.internal:443", "addresses": 2, "age": 1.3, "fault": "timeout"}
    assert (app["discovery"], api["discovery"]) == ([source], [])
