"""The metrics of stickiness: sessions, names, interviews, drains, and what came of resumptions."""

from prometheus_client.metrics_core import Metric

from l4proxy.control.plan import Cells, Resources, Standing, plan
from l4proxy.control.tickets.registry import NameStatistics
from l4proxy.control.tickets.subject import TicketStanding
from l4proxy.dataplane.counters import RESUMPTIONS
from l4proxy.telemetry.stickiness import OUTCOMES, stickiness_metrics
from routing import BackendName, PoolName, Why
from tests.l4proxy.telemetry.fake import FakeBalancer

APP = PoolName("app")
A = BackendName("a")


def family(balancer: FakeBalancer, name: str) -> Metric:
    """One family, by its name without the product's."""
    found = {each.name: each for each in stickiness_metrics(balancer)}
    return found[f"l4proxy_{name}"]


def value(balancer: FakeBalancer, name: str, **labels: str) -> float:
    """The value of one series."""
    (found,) = [each.value for each in family(balancer, name).samples if each.labels == labels]
    return found


def test_resumptions_are_told_by_outcome() -> None:
    """What workers report is there, and every other outcome with its zero."""
    rows = [(RESUMPTIONS, "app/learned/accepted", 7), (RESUMPTIONS, "api/selected/refused", 2)]
    balancer = FakeBalancer(rows=rows)
    accepted = {"pool": "app", "why": "learned", "outcome": "accepted"}
    assert value(balancer, "resumptions", **accepted) == 7
    assert value(balancer, "resumptions", pool="api", why="selected", outcome="refused") == 2
    assert value(balancer, "resumptions", pool="app", why="routable", outcome="refused") == 0
    assert len(family(balancer, "resumptions").samples) == 2 * len(Why) * len(OUTCOMES)


def test_labels_that_nobody_knows_are_counted_together() -> None:
    """A worker handles hostile bytes: what it makes up gets one series a pool, or none."""
    labels = ("app/x/accepted", "app/learned/y", "app", "app/learned/accepted/z", "none/x/y", "")
    balancer = FakeBalancer(rows=[(RESUMPTIONS, label, 1) for label in labels])
    assert value(balancer, "resumptions", pool="app", why="other", outcome="other") == 4
    assert len(family(balancer, "resumptions").samples) == 2 * len(Why) * len(OUTCOMES) + 1


def test_sessions_and_drains_are_told_of_every_backend() -> None:
    """A drained backend shows what it still holds."""
    balancer = FakeBalancer()
    balancer.load.cells[0] = 5
    standing = Standing(balancer.roster.roll, drains={(APP, A): None})
    balancer.snapshot = plan(balancer.config, Cells(), Resources(1, 1_064), standing)
    assert value(balancer, "backend_sessions", pool="app", backend="a") == 5
    assert value(balancer, "backend_sessions", pool="app", backend="b") == 0
    assert value(balancer, "backend_draining", pool="app", backend="a") == 1
    assert value(balancer, "backend_draining", pool="app", backend="b") == 0


def test_names_are_counted_for_backends_that_are_asked() -> None:
    """Of a backend whose pool learns nothing there is no series."""
    balancer = FakeBalancer()
    balancer.roster.tickets = {(APP, A): (TicketStanding(), NameStatistics(3, 1, 2))}
    for name, expected in (
        ("backend_ticket_names", 3),
        ("ticket_name_clashes", 1),
        ("ticket_names_left_out", 2),
    ):
        assert value(balancer, name, pool="app", backend="a") == expected
        assert len(family(balancer, name).samples) == 1


def test_interviews_and_rounds_are_counted() -> None:
    """By pool; an interview also by what came of it."""
    balancer = FakeBalancer()
    balancer.roster.asked = [(APP, "", 4)]
    assert value(balancer, "ticket_interviews", pool="app", outcome="named") == 4
    assert value(balancer, "ticket_rounds", pool="app") == 4
    balancer.roster.asked = [(APP, "no_tickets", 2)]
    assert value(balancer, "ticket_interviews", pool="app", outcome="no_tickets") == 2
