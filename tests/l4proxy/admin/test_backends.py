"""The backends as JSON: room, health, tickets, drains and counters of each."""

from l4proxy.admin.backends import backends_document
from l4proxy.admin.view import pools_document, status_document
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.plan import Cells, Resources, Standing, plan
from l4proxy.control.tickets.registry import NameStatistics
from l4proxy.control.tickets.subject import TicketStanding
from l4proxy.control.tickets.visit import TicketFault
from l4proxy.dataplane import counters as names
from routing import BackendName, PoolName
from routing.health import HealthReason, ProbeFault, Verdict
from tests.l4proxy.control.attesting.enclave import KINDS
from tests.l4proxy.control.attesting.verdicts import BY_NONCE
from tests.l4proxy.telemetry.fake import TEXT, FakeBalancer

APP = PoolName("app")
A, B = BackendName("a"), BackendName("b")
ROWS = [
    (names.FORWARDED, "app/a", 8),
    (names.BYTES_UP, "app/a", 7),
    (names.BYTES_DOWN, "app/a", 9),
    (names.DIAL_FAILED, "app/b/econnrefused", 4),
]


def test_backends_show_room_and_counters() -> None:
    """Each backend says whether it may have new sessions, why not, and what it did."""
    balancer = FakeBalancer(rows=ROWS)
    balancer.load.cells[1] = 10
    first, second, third = backends_document(balancer, 0.0)["backends"]
    assert first == {
        "pool": "app",
        "name": "a",
        "address": "10.0.0.1:443",
        "weight": 2,
        "source": "static",
        "phase": "eligible",
        "server_id": None,
        "health": None,
        "tickets": None,
        "draining": False,
        "deadline": None,
        "eligible": True,
        "reason": None,
        "trust": "not required",
        "attestation": None,
        "telemetry": None,
        "sessions_open": 0,
        "connections_open": 0,
        "forwarded": 8,
        "dial_failures": {},
        "bytes_to_backend": 7,
        "bytes_to_client": 9,
    }
    assert (second["eligible"], second["reason"]) == (False, "full")
    assert (second["sessions_open"], second["connections_open"]) == (10, 10)
    assert second["dial_failures"] == {"econnrefused": 4}
    assert third["address"] == "[2001:db8::1]:443"


def test_backends_show_their_health() -> None:
    """The verdict, why, since when, how long a hold lasts; a pool with nobody well is open."""
    balancer = FakeBalancer()
    name, other = BackendName("a"), BackendName("b")
    balancer.roster.held = {
        (APP, name): Verdict(False, HealthReason.PROBES_FAILED, ProbeFault("refused")),
        (APP, other): Verdict(False, HealthReason.DIALS_FAILED, until=112.0),
    }
    first, second, third = backends_document(balancer, 100.0)["backends"]
    assert first["health"] == {
        "healthy": False,
        "reason": "probes_failed",
        "fault": "refused",
        "ejected": False,
        "seconds": 10.0,
        "held": None,
    }
    assert second["health"] is not None
    assert (second["health"]["ejected"], second["health"]["held"]) == (True, 12.0)
    assert third["health"] is None
    assert pools_document(balancer, 100.0)["pools"][0]["open"]


def test_a_backend_that_was_just_removed_is_shown_no_more() -> None:
    """The snapshot may be a moment older than the roll."""
    balancer = FakeBalancer()
    balancer.roster.roll.delete(APP, BackendName("a"))
    assert [each["name"] for each in backends_document(balancer, 0.0)["backends"]][:1] == ["b"]


def test_backends_show_their_tickets() -> None:
    """How many names are known, or why none are; a backend that nobody asks shows nothing."""
    balancer = FakeBalancer()
    balancer.roster.tickets = {
        (APP, A): (TicketStanding(None, 90.0, "TLSv1.3", resumed=True), NameStatistics(3, 1, 2)),
        (APP, B): (TicketStanding(TicketFault.CLIENT_CERTIFICATE), NameStatistics()),
    }
    first, second, third = backends_document(balancer, 100.0)["backends"]
    assert first["tickets"] == {
        "names": 3,
        "fault": None,
        "asked": 10.0,
        "tls": "TLSv1.3",
        "resumed": True,
        "clashes": 1,
        "left_out": 2,
    }
    assert second["tickets"] == {
        "names": 0,
        "fault": "client_certificate_demanded",
        "asked": None,
        "tls": None,
        "resumed": None,
        "clashes": 0,
        "left_out": 0,
    }
    assert third["tickets"] is None


def test_backends_show_their_drains_and_server_ids() -> None:
    """How long the sessions of a drained backend may stay; null is without end."""
    balancer = FakeBalancer(TEXT.replace("name: b", "name: b, server_id: 7"))
    drains = {(APP, A): 160.0, (APP, B): None}
    standing = Standing(balancer.roster.roll, drains=drains)
    balancer.snapshot = plan(balancer.config, Cells(), Resources(1, 1_064), standing)
    first, second, third = backends_document(balancer, 100.0)["backends"]
    assert (first["draining"], first["deadline"], first["reason"]) == (True, 60.0, "draining")
    assert (second["draining"], second["deadline"], second["server_id"]) == (True, None, 7)
    assert (third["draining"], third["deadline"], third["eligible"]) == (False, None, True)
    assert backends_document(balancer, 200.0)["backends"][0]["deadline"] == 0.0


def test_backends_show_what_they_have_proved() -> None:
    """Each of an attested pool has a state, and everybody hears of what is not enforced."""
    balancer = FakeBalancer()
    app = {APP: balancer.roster.members(APP)}
    balancer.roster.attestor.watch(app, {APP: AttestationRules(BY_NONCE, KINDS, enforced=False)})
    first, _, third = backends_document(balancer, 0.0)["backends"]
    assert first["trust"] == "untested"
    assert first["attestation"] is not None
    assert first["attestation"]["enforced"] is False
    assert (third["trust"], third["attestation"]) == ("not required", None)
    assert status_document(balancer)["warnings"] == [
        "pool app: attestation is observed only, NOT enforced",
        "pool app: SIMULATED evidence is accepted, which proves nothing",
    ]
