"""Returning clients as they come: what each library keeps, from a stable or a changing address."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import repeat
from math import sqrt
from random import Random
from typing import NamedTuple

from stickiness.figures import Share, percent
from stickiness.programs import here, python_with
from stickiness.stage import OURS, RIVAL, SEED, Stage, ours, rival
from tests.e2e.balancer import Address
from tests.e2e.enclaves import Enclave, enclaves
from tests.e2e.returning import sources
from tests.e2e.roaming import Router
from tests.e2e.stacks.clients import Trip, curl, go, node, python
from tests.e2e.stacks.workshop import Workshop

CLIENTS = 24
VISITS = 6
ADDRESSES = ("stable", "changing")

CHANCE = 3.0
"""Standard errors between two shares that are taken for a difference, not for chance."""

_CODE = """
import sys
_, visits, *ports = sys.argv[1:]
{opening}
for _ in range(int(visits)):
    for at, port in enumerate(ports):
        url = "https://localhost:" + port + "/"
        print({asking})
"""
_CLOSE = '{"Connection": "close"}'

_AIOHTTP = f"""
import aiohttp, asyncio
async def start():
    return [aiohttp.ClientSession() for _ in ports]
async def ask(client, url):
    async with client.get(url, headers={_CLOSE}) as answer:
        return await answer.text()
runner = asyncio.Runner()
clients = runner.run(start())
"""


class Library(NamedTuple):
    """A client library with its defaults.

    Attributes:
        name: In the table.
        needs: A program, or an import of Python's.
        visit: Makes all visits, and returns the answers.
    """

    name: str
    needs: str
    visit: Callable[[Trip], Sequence[str]]


class Row(NamedTuple):
    """One library from one kind of address, before each balancer.

    Attributes:
        library: Its name.
        addresses: One of `ADDRESSES`.
        home: Of all visits but the first, those to the enclave of the first.
        resumed: Of the same, those whose session went on.
    """

    library: str
    addresses: str
    home: Mapping[str, Share]
    resumed: Mapping[str, Share]

    @property
    def reached(self) -> bool:
        """Whether ours is not below HAProxy, where chance decides by more than it explains."""
        own, other = self.home[OURS], self.home[RIVAL]
        spread = own.share * (1 - own.share) / own.of + other.share * (1 - other.share) / other.of
        allowed = CHANCE * sqrt(spread) if self.addresses == "changing" else 0.0
        return other.share - own.share <= allowed

    def __str__(self) -> str:
        """As a line of the report."""
        cells = [
            f"{name}: home {percent(home)}, resumed {percent(self.resumed[name])}"
            for name, home in self.home.items()
        ]
        verdict = "" if self.reached else "  MISSED"
        return f"{self.library:26} {self.addresses:9} {'; '.join(cells)}{verdict}"


def measure(stage: Stage) -> Iterator[Row]:
    """Each library that is here, from each kind of address, before each balancer."""
    folder = stage.folder("workshop")
    folder.mkdir()
    workshop = Workshop(folder, stage.authority, stage.own)
    with enclaves(stage.folder("enclaves"), stage.own, [None] * 3) as there:
        for library in LIBRARIES:
            if here(library.needs):
                trip = Trip(workshop, range(stage.some(CLIENTS)), VISITS)
                yield from _rows(stage, there, library, trip)


def _rows(stage: Stage, there: Sequence[Enclave], library: Library, trip: Trip) -> Iterator[Row]:
    """One library, before balancers that have seen nobody yet."""
    # Real clients come back later than a reservation lasts.
    with ours(stage, there, reservation=False) as own, rival(stage, there) as other:
        for kind in ADDRESSES:
            found = {
                name: _visits(library, trip, addresses, kind)
                for name, addresses in ((OURS, own), (RIVAL, other))
            }
            home = {name: shares[0] for name, shares in found.items()}
            resumed = {name: shares[1] for name, shares in found.items()}
            yield Row(library.name, kind, home, resumed)


def _visits(
    library: Library, trip: Trip, balancers: Sequence[Address], kind: str
) -> tuple[Share, Share]:
    """As many clients as the trip has ports; how many visits were at home, and resumed."""
    with ExitStack() as stack:
        # Half of the clients begin with the one balancer, half with the other.
        routers = [
            stack.enter_context(
                Router([*balancers[at % 2 :], *balancers[: at % 2]], _addresses(kind, at))
            )
            for at in trip.ports
        ]
        answers = library.visit(replace(trip, ports=[router.port for router in routers]))
    clients = len(trip.ports)
    again = clients * (trip.visits - 1)
    if len(answers) != clients + again:
        raise RuntimeError(f"{library.name}: {len(answers)} answers, expected {clients + again}")
    home = sum(answers[at] == answers[at % clients] for at in range(clients, len(answers)))
    resumed = sum(passed.resumed for router in routers for passed in router.passed)
    return Share("on the first enclave", home, again), Share("resumed", resumed, again)


def _addresses(kind: str, client: int) -> Iterator[str]:
    changing = sources(Random(f"{SEED}/{client}"))  # noqa: S311 - the same in each run
    return changing if kind == "changing" else repeat(next(changing))


def _python(opening: str, asking: str, trip: Trip) -> Sequence[str]:
    code = _CODE.format(opening=opening, asking=asking)
    return trip.run([python_with(), "-c", code, *trip.arguments])


def _session(library: str, client: str, trip: Trip) -> Sequence[str]:
    """A library whose clients are made once and asked again and again."""
    opening = f"import {library}\nclients = [{library}.{client}() for _ in ports]"
    return _python(opening, f"clients[at].get(url, headers={_CLOSE}).text", trip)


def _one_process_a_client(trip: Trip) -> Sequence[str]:
    """For curl keeps few sessions: those of one client only."""
    columns = [curl(replace(trip, ports=[port])) for port in trip.ports]
    return [answer for turn in zip(*columns, strict=True) for answer in turn]


def _one_process_a_visit(command: Sequence[str], trip: Trip) -> Sequence[str]:
    root = str(trip.workshop.authority.root)
    words = [word.format(root=root) for word in command]
    return [
        "".join(trip.run([*words, f"https://localhost:{port}/"]))
        for _ in range(trip.visits)
        for port in trip.ports
    ]


_CURL = ["curl", "-4", "-sS", "--cacert", "{root}"]
_WGET = ["wget", "-4", "-q", "-O", "-", "--ca-directory=/var/empty", "--ca-certificate={root}"]
_URLOPEN = "urllib.request.urlopen(url).read().decode()"

LIBRARIES = (
    Library("Python urllib", "import urllib", partial(_python, "import urllib.request", _URLOPEN)),
    Library("Python requests", "import requests", partial(_session, "requests", "Session")),
    Library("Python httpx", "import httpx", partial(_session, "httpx", "Client")),
    Library(
        "Python aiohttp",
        "import aiohttp",
        partial(_python, _AIOHTTP, "runner.run(ask(clients[at], url))"),
    ),
    Library("Python ssl, session kept", "import ssl", python),
    Library("curl, a process a visit", "curl", partial(_one_process_a_visit, _CURL)),
    Library("curl, one process", "curl", _one_process_a_client),
    Library("wget, a process a visit", "wget", partial(_one_process_a_visit, _WGET)),
    Library("Go, as it is", "go", partial(go, cache=False)),
    Library("Go, with a session cache", "go", go),
    Library("Node.js https", "node", node),
)
