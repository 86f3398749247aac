"""What a port shows."""

import time
from dataclasses import replace

import pytest
from rich.console import Console

from attestation import SimulatedTee
from l4proxy.client import Account, Basis, Continuity, Fault, NotAttested
from l4proxy.client.lineages import Vouch
from l4proxy.client.view import MAX_ROWS, Journal, Lines, notes, report
from tests.l4proxy.agent.parts import NAME
from tests.l4proxy.client.parts import HOST, Enclave, Server, client, refused, serving


@pytest.fixture
async def account() -> Account:
    """Of a connection to a simulated enclave."""
    async with serving(Server()) as server:
        connection = await client().connect(HOST, server.port, NAME)
        connection.close()
    return connection.account


@pytest.fixture
async def error() -> NotAttested:
    """Of a connection to other code."""
    async with serving(Server(Enclave(SimulatedTee(b"other")))) as server:
        return await refused(client(), server)


def shown(journal: Journal) -> str:
    """What stands on the terminal."""
    console = Console(width=110)
    with console.capture() as capture:
        console.print(journal.draw())
    return capture.get()


async def test_the_table_says_what_each_connection_rests_on(account: Account) -> None:
    """Standing, basis and instance stand in a row; what they give away, below it."""
    journal = Journal("here leads there")
    journal.opened(account)
    journal.opened(replace(account, standing=Continuity.RESUMED, basis=Basis.LINEAGE))
    journal.closed()
    text = shown(journal)
    assert "here leads there" in text
    assert "1 open; 1 fresh, 1 resumed, 0 switched, 0 refused" in text
    assert account.name in text
    assert "lineage: whoever has stolen" in text
    assert "SIMULATED" in text


async def test_a_refusal_is_shown_in_full(error: NotAttested) -> None:
    """What was found and expected stands in the row and below the table."""
    journal = Journal("")
    journal.refused(error)
    text = shown(journal)
    assert "1 refused" in text
    assert "FAILED" in text
    assert "expected" in text


async def test_the_table_is_bounded(account: Account) -> None:
    """However many connections there are, the newest are shown, and all are counted."""
    journal = Journal("")
    for _ in range(3 * MAX_ROWS):
        journal.opened(account)
    text = shown(journal)
    assert text.count(account.name) == MAX_ROWS
    assert f"{3 * MAX_ROWS} fresh" in text


async def test_lines_for_a_log(
    account: Account, error: NotAttested, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a connection, what has to be known of it once, and the whole refusal."""
    lines = Lines()
    for _ in range(2):
        lines.opened(account)
        lines.closed()
    lines.refused(error)
    out = capsys.readouterr().out
    assert out.count(f"fresh (exporter): {account.name}") == 2
    assert out.count("SIMULATED: there is no TEE, this proves nothing\nfresh") == 1
    assert "refused: pcr0: found " in out


async def test_a_member_of_a_set_is_told_with_what_that_gives_away(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose word it is, how old that is, and until when a leaked key would do."""
    place = Vouch("enclave-a 0a0b", time.time() - 12.0, 600.0)
    found = replace(account, basis=Basis.SET, vouch=place)
    said = "member of a set verified by enclave-a 0a0b 12 s ago"
    until = "a leaked key would defeat this until 00:10:00Z"
    Lines().opened(found)
    out = capsys.readouterr().out
    assert f"fresh (member of a set): {account.name}: {said}; {until}\n" in out
    journal = Journal("")
    journal.opened(found)
    text = " ".join(shown(journal).split())
    assert "member of a set: whoever has stolen a member's TLS key" in text


@pytest.mark.parametrize("basis", list(Basis))
async def test_only_the_exporter_needs_no_note(account: Account, basis: Basis) -> None:
    """Everything that is less than a proof of this connection is told with what it gives away."""
    found = notes(replace(account, basis=basis))
    assert ("stolen" in found[-1]) is (basis is not Basis.EXPORTER)


def test_a_refusal_without_a_verdict_is_a_line() -> None:
    """Where nothing was judged, there is a reason only."""
    assert report(NotAttested(Fault.TIMEOUT, "x")) == ("refused: timeout: x",)
