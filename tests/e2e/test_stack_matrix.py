"""Clients of many TLS stacks before servers of many TLS stacks: who offers a session, goes on.

What each pair is expected to do stands in the tables of docs/stickiness.md, which this test writes
when STACK_MATRIX names a file for the figures (`make stack-matrix`). Without it, it proves them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.e2e.balancer import Address, running
from tests.e2e.certificates import Authority
from tests.e2e.enclaves import NAME
from tests.e2e.knowing import wait_interviewed
from tests.e2e.returning import sources
from tests.e2e.roaming import Passed, Router
from tests.e2e.stacks.clients import CLIENTS, Trip
from tests.e2e.stacks.servers import SERVERS
from tests.e2e.stacks.tables import ALWAYS, NEVER, Cell, expected, verdict, write
from tests.e2e.stacks.workshop import Workshop

ENCLAVES = 3
VISITS = 6
VERSIONS = ("1.2", "1.3")

HANGS = {("OpenSSL", "Java", "1.3")}
"""Pairs that stop half-way without a balancer too: s_server serves one client at a time, and this
one keeps its half of the connection open."""

WRITE = os.environ.get("STACK_MATRIX")


class Fleet:
    """Three servers of each stack behind a balancer, started when somebody asks for them."""

    def __init__(self, workshop: Workshop, stack: ExitStack) -> None:
        """Nothing runs yet."""
        self._workshop = workshop
        self._stack = stack
        self._servers: dict[str, list[Address]] = {}
        self._balancers: dict[str, Address] = {}

    def servers(self, name: str) -> list[Address]:
        """Three servers of a stack, each with ticket keys of its own."""
        if name not in self._servers:
            self._servers[name] = [
                self._stack.enter_context(SERVERS[name](self._workshop)) for _ in range(ENCLAVES)
            ]
        return self._servers[name]

    def balancer(self, name: str) -> Address:
        """A balancer before them that has asked each for its tickets."""
        if name not in self._balancers:
            backends = [f"{host}:{port}" for host, port in self.servers(name)]
            # Java says no server name without a dot.
            routes = {NAME: "app", "default": "app"}
            config = {"routes": routes, "pools": {"app": {"backends": backends}}}
            folder = self._workshop.folder / f"balancer-{name}"
            balancer = self._stack.enter_context(running(folder, config))
            wait_interviewed(balancer)
            self._balancers[name] = balancer.address
        return self._balancers[name]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Workshop:
    """Where programs of other languages are built, once."""
    return Workshop(tmp_path_factory.mktemp("workshop"), authority, authority.issue(NAME))


@pytest.fixture(scope="module")
def fleet(workshop: Workshop) -> Iterator[Fleet]:
    """Ends with the module."""
    with ExitStack() as stack:
        yield Fleet(workshop, stack)


@pytest.fixture(scope="module")
def cells() -> Iterator[dict[Cell, str]]:
    """What was measured; written at the end where that was asked for."""
    found: dict[Cell, str] = {}
    yield found
    if WRITE is not None:
        write(Path(WRITE), found)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_sessions_stick(
    fleet: Fleet,
    workshop: Workshop,
    cells: dict[Cell, str],
    server: str,
    client: str,
) -> None:
    """Every session that a client offers goes on, from wherever it comes, as the tables say."""
    for version in VERSIONS:
        if (server, client, version) in HANGS:
            continue
        cell = Cell(server, client, version)
        passed = _come_back(fleet.balancer(server), workshop, cell)
        cells[cell] = verdict(passed)
        if not any(each.resumed for each in passed):
            alone = _come_back(fleet.servers(server)[0], workshop, cell)
            if not any(each.resumed for each in alone):
                cells[cell] = NEVER
        if WRITE is None and expected(cell) in {ALWAYS, NEVER}:
            assert cells[cell] == expected(cell), passed


def _come_back(address: Address, workshop: Workshop, cell: Cell) -> list[Passed]:
    """A client's visits, each from another address."""
    random = Random(f"{cell.server}/{cell.client}/{cell.version}")
    with Router([address], sources(random)) as router:
        CLIENTS[cell.client](Trip(workshop, [router.port], VISITS, cell.version))
    assert len(router.passed) == VISITS
    return router.passed
