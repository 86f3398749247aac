"""The overview of a daemon: what is drawn, and how it is kept fresh."""

import json
from collections.abc import Mapping
from typing import TypeVar, cast

import pytest

from l4proxy.admin.backends import backends_document
from l4proxy.admin.client import AdminClient, AdminUnavailable
from l4proxy.admin.scaling import scaling_document
from l4proxy.admin.trust import attestation_document
from l4proxy.admin.view import status_document
from l4proxy.cli import overview
from l4proxy.cli.overview import counted, look, show, watch, watch_as_json
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import Trust
from l4proxy.control.plan import Cells, Resources, Standing, plan
from l4proxy.control.tickets.registry import NameStatistics
from l4proxy.control.tickets.subject import TicketStanding
from l4proxy.control.tickets.visit import TicketFault
from l4proxy.dataplane import counters as names
from routing import BackendName, PoolName
from tests.l4proxy.control.attesting.enclave import KINDS, WRONG
from tests.l4proxy.control.attesting.verdicts import BY_NONCE, NOW, verdict
from tests.l4proxy.control.scaling.stand import Stand, configured
from tests.l4proxy.telemetry.fake import FakeBalancer

ROWS = [
    (names.REFUSED, "not_tls", 1_234),
    (names.FORWARDED, "app/a", 8),
    (names.DIAL_FAILED, "app/b/econnrefused", 4),
]


_D = TypeVar("_D")


class Asked(AdminClient):
    """Asks a balancer without HTTP, for so many looks; then the daemon is gone."""

    def __init__(self, balancer: FakeBalancer, looks: int) -> None:
        super().__init__("nowhere")
        pages = {
            "/api/v1/status": status_document(balancer),
            "/api/v1/backends": backends_document(balancer, 0.0),
            "/api/v1/scaling": scaling_document(balancer),
        }
        self._pages: Mapping[str, object] = pages
        self._left = looks * len(pages)

    def ask(self, page: str, kind: type[_D]) -> _D:
        """The document of a page."""
        self._left -= 1
        if self._left < 0:
            raise AdminUnavailable("gone")
        return cast("_D", self._pages[page])


@pytest.fixture
def balancer() -> FakeBalancer:
    """One with a full backend, some refusals and some failed dials."""
    found = FakeBalancer(rows=ROWS)
    found.load.cells[0] = 10
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr(overview, "WATCH_SECONDS", 0.0)


def test_everything_is_on_one_screen(
    balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]
) -> None:
    """State, counts and each backend are shown within eighty columns."""
    show(look(Asked(balancer, 1)))
    told = capsys.readouterr().out
    for part in ("ready", "10 open", "1 of 3 ready", "not_tls 1,234", "full", "econnrefused 4"):
        assert part in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_drains_and_tickets_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """How long a drained backend keeps its sessions; names of tickets, or why none are known."""
    balancer = FakeBalancer()
    pool, (a, b) = PoolName("app"), (BackendName("a"), BackendName("b"))
    drains = {(pool, a): 3_723.0, (pool, b): None}
    standing = Standing(balancer.roster.roll, drains=drains)
    balancer.snapshot = plan(balancer.config, Cells(), Resources(1, 1_064), standing)
    balancer.roster.tickets = {
        (pool, a): (TicketStanding(None, 0.0), NameStatistics(4_321)),
        (pool, b): (TicketStanding(TicketFault.NO_TICKETS, 0.0), NameStatistics()),
        (PoolName("api"), BackendName("[2001:db8::1]:443")): (TicketStanding(), NameStatistics()),
    }
    show(look(Asked(balancer, 1)))
    told = " ".join(capsys.readouterr().out.split())
    for part in ("draining,", "1:02:03", "4,321", "tickets:", "no_tickets"):
        assert part in told


async def test_scaled_pools_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there are any."""
    balancer = FakeBalancer()
    balancer.scaling.pools = {PoolName("app"): Stand(configured()).scaler}
    show(look(Asked(balancer, 1)))
    assert "scaling app" in capsys.readouterr().out


def test_what_is_zero_is_left_out() -> None:
    """Of many reasons only those that occurred are shown."""
    assert counted({"a": 0, "b": 2, "c": 1_000}) == "b 2, c 1,000"


def test_watching_ends_with_the_daemon(
    balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch goes on until the daemon is gone, and then says so."""
    with pytest.raises(AdminUnavailable):
        watch(Asked(balancer, 3))
    assert "ready" in capsys.readouterr().out


def test_scripts_watch_lines(balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each look is a line of its own."""
    with pytest.raises(AdminUnavailable):
        watch_as_json(Asked(balancer, 3))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["status"]["state"] for line in lines] == ["ready"] * 3


def test_what_is_not_proved_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The check that failed, by its name; and what makes trust less than it looks."""
    balancer = FakeBalancer()
    pool, key = PoolName("app"), b"k" * 32
    rules = AttestationRules(BY_NONCE, KINDS, enforced=False)
    balancer.roster.attestor.watch({pool: balancer.roster.members(pool)}, {pool: rules})
    overview = look(Asked(balancer, 1))
    document = attestation_document(Trust().judged(verdict(WRONG), key, NOW), rules, NOW)
    overview["backends"][0] |= {"trust": "refuted", "attestation": document}
    show(overview)
    told = " ".join(capsys.readouterr().out.split())
    assert "refuted: pcr0" in told
    assert "attestation is observed only, NOT enforced" in told
    assert "SIMULATED evidence" in told
