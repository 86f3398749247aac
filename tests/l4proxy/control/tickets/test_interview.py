"""Tests of interviews: one key, several worker processes, none; and who shares a key."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from l4proxy.control.tickets import interview as room
from l4proxy.control.tickets.interview import Interview, interview, share_a_key
from l4proxy.control.tickets.layouts import MIN_HANDSHAKES, PLAIN, KeyName, read_names
from l4proxy.control.tickets.visit import Approach, TicketFault, Visit, visit
from routing import Address
from sni import ServerName
from tests.e2e.backends import Backend
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate
from tests.l4proxy.control.tickets.stacks import address_of, python_server
from tests.l4proxy.control.tickets.test_visit import TLS12, both_versions, context_of

NAME = ServerName("app.example.com")


def approach(server: Backend) -> Approach:
    """An approach that waits long enough."""
    return Approach(address_of(server), NAME, timeout=PATIENCE_SECONDS)


@both_versions
async def test_one_key_has_one_name(certificate: Certificate, version: ssl.TLSVersion) -> None:
    """A plain server shows one name in all its tickets, and takes up its session."""
    with python_server(context_of(certificate, version)) as server:
        came = await interview(approach(server))
    assert (came.fault, came.resumed, came.lifetime) == (None, True, 7_200.0)
    assert came.version == ("TLSv1.2" if version is TLS12 else "TLSv1.3")
    (name,) = read_names(came.tickets).names
    assert name.layout == PLAIN
    assert all(name.begins(ticket) for ticket in came.tickets)


async def test_each_worker_process_has_a_name(certificate: Certificate) -> None:
    """Behind one port every process made a key of its own: all of them are found."""
    contexts = [context_of(certificate) for _ in range(4)]
    with python_server(*contexts) as server:
        came = await interview(approach(server))
    assert len(read_names(came.tickets).names) == 4
    assert came.fault is None


async def test_a_server_without_tickets_is_asked_once(certificate: Certificate) -> None:
    """Where no ticket comes the interview is over."""
    context = context_of(certificate, TLS12)
    context.options |= ssl.OP_NO_TICKET
    with python_server(context) as server:
        came = await interview(approach(server))
        assert server.accepted == 1
    assert came == Interview(version="TLSv1.2", fault=TicketFault.NO_TICKETS)


async def test_ids_of_a_stateful_server_have_no_name(certificate: Certificate) -> None:
    """OpenSSL without stateless tickets gives ids of 32 bytes, and resumes them."""
    context = context_of(certificate)
    context.options |= ssl.OP_NO_TICKET
    with python_server(context) as server:
        came = await interview(approach(server))
    assert {ticket.length for ticket in came.tickets} == {32}
    assert len(came.tickets) == MIN_HANDSHAKES
    assert read_names(came.tickets).names == ()
    assert came.resumed is True


def scripted(*visits: Visit) -> Callable[[Approach], Awaitable[Visit]]:
    """Visits that come to this, one after the other."""
    left = iter(visits)

    async def visit(_: Approach) -> Visit:
        await asyncio.sleep(0)
        return next(left)

    return visit


async def test_what_was_shown_before_a_fault_is_kept(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that fails in the middle has shown what it has shown."""
    with python_server(context_of(certificate)) as server:
        shown = await visit(approach(server))
    monkeypatch.setattr(room, "visit", scripted(shown, shown, Visit(TicketFault.TIMEOUT)))
    came = await interview(Approach(Address("127.0.0.1", 1)))
    assert came.tickets == (shown.ticket, shown.ticket)
    assert came == Interview(came.tickets, "TLSv1.3", 7_200.0, None, TicketFault.TIMEOUT)


async def test_an_interview_has_an_end(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow each visit is, the whole is bounded."""
    monkeypatch.setattr(room, "MAX_INTERVIEW_SECONDS", -1.0)
    with python_server(context_of(certificate)) as server:
        assert (await interview(approach(server))).fault is TicketFault.TIMEOUT
        assert server.accepted == 0


# --- shared keys ----------------------------------------------------------------------------------


def name_of(shown: Visit) -> KeyName:
    """The name in a ticket of OpenSSL."""
    assert shown.ticket is not None
    return KeyName(PLAIN, shown.ticket.start[:16])


@both_versions
async def test_who_holds_the_key_is_believed(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """Two servers with one key open each other's tickets, and that is the proof."""
    context = context_of(certificate, version)
    with python_server(context) as one, python_server(context) as other:
        name = name_of(await visit(approach(one)))
        assert await share_a_key(approach(one), approach(other), name)


@both_versions
async def test_who_only_shows_the_name_is_not(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """Without the key a session is not taken up, whatever name one's tickets have."""
    one, other = context_of(certificate, version), context_of(certificate, version)
    with python_server(one) as owner, python_server(other) as thief:
        name = name_of(await visit(approach(owner)))
        assert not await share_a_key(approach(owner), approach(thief), name)


async def test_the_name_in_question_is_looked_for(certificate: Certificate) -> None:
    """An owner with several keys is asked until it shows the one; if it does not, nothing holds."""
    first, second = context_of(certificate), context_of(certificate)
    with python_server(first) as one, python_server(second) as other:
        names = [name_of(await visit(approach(each))) for each in (one, other)]
    with python_server(second, first) as owner, python_server(first) as claimant:
        assert await share_a_key(approach(owner), approach(claimant), names[0])
        stranger = KeyName(PLAIN, bytes(16))
        assert not await share_a_key(approach(owner), approach(claimant), stranger)


async def test_an_owner_that_does_not_answer_proves_nothing(certificate: Certificate) -> None:
    """Without a ticket of the owner there is nothing to show the other."""
    with python_server(context_of(certificate)) as claimant:
        nobody = Approach(Address("/nowhere/at/all", 0))
        assert not await share_a_key(nobody, approach(claimant), KeyName(PLAIN, bytes(16)))
        assert claimant.accepted == 0
