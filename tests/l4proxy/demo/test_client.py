"""A client of the demo: it has everybody prove himself, and says honestly what it has met."""

import asyncio

import pytest

from attestation import Policy
from l4proxy.client import Basis, Continuity, Fault, NotAttested
from l4proxy.demo import client as clients
from l4proxy.demo.client import DemoClient, shortened, together
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.stage import APP
from tests.l4proxy.demo.conftest import KINDS, nowhere


async def test_a_visit_tells_who_answered(alpha: DemoEnclave, client: DemoClient) -> None:
    """The first time it is proved, then the session goes on; each request is answered."""
    first = await client.visit(alpha.address, APP, requests=2)
    again = await client.visit(alpha.address, APP)
    assert (first.enclave, again.enclave) == ("alpha", "alpha")
    assert (first.account.standing, first.account.basis) == (Continuity.FRESH, Basis.EXPORTER)
    assert (again.account.standing, again.account.basis) == (Continuity.RESUMED, Basis.LINEAGE)
    assert alpha.application.requests == 3


async def test_who_answers_under_another_name_is_found_out(
    alpha: DemoEnclave, client: DemoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that says another name than its enclave proved is an error."""
    monkeypatch.setattr(alpha.application, "_body", "beta\n")
    with pytest.raises(ConnectionError, match=r"alpha .* proved itself, beta answers"):
        await client.visit(alpha.address, APP)


async def test_visits_are_made_together(alpha: DemoEnclave, policy: Policy) -> None:
    """Many at once, each with an answer of its own, in order."""
    visits = await together(
        DemoClient(f"client {number}", policy, KINDS).visit(alpha.address, APP)
        for number in range(5)
    )
    assert [visit.enclave for visit in visits] == ["alpha"] * 5


async def test_one_that_fails_ends_them(
    client: DemoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is that of the visit, not that of the crowd; room is given in turn."""
    monkeypatch.setattr(clients, "MOST_VISITS", 1)

    async def late() -> None:
        await asyncio.sleep(0)

    with pytest.raises(NotAttested) as caught:
        await together([late(), client.visit(nowhere(), APP)])
    assert caught.value.fault is Fault.UNREACHABLE


def test_long_numbers_are_shortened() -> None:
    """Of a digest the beginning is enough to tell two apart."""
    error = NotAttested(Fault.REFUSED, f"key: found {'0a' * 32}, expected {'b1' * 48}")
    assert shortened(error) == "refused: key: found 0a0a0a0a…, expected b1b1b1b1…"
