"""Real servers of every stack at hand: their names are learned, and their logs stay clean."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from l4proxy.control.tickets.interview import interview, share_a_key
from l4proxy.control.tickets.layouts import PLAIN, SHORT, KeyName, read_names
from l4proxy.control.tickets.visit import Approach, TicketFault, visit
from routing import Address, TicketLayout
from sni import ServerName
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate
from tests.l4proxy.control.tickets import stacks

NAME = ServerName("app.example.com")
KEY_A, KEY_B = (
    KeyName(PLAIN, name) for name in (b"the name of key A"[1:], b"the name of key B"[1:])
)

Start = Callable[[Path, Certificate], AbstractContextManager[Address]]


def patient(address: Address) -> Approach:
    """An approach that waits long enough."""
    return Approach(address, NAME, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("start", "layout"),
    [
        (stacks.openssl, PLAIN),
        (stacks.node, PLAIN),
        (stacks.gnutls, PLAIN),
        (stacks.java, SHORT),
    ],
    ids=["openssl", "node", "gnutls", "java"],
)
async def test_the_stack_is_read(
    tmp_path: Path, certificate: Certificate, start: Start, layout: TicketLayout
) -> None:
    """One process has one name where its stack writes it, and the next ticket has it again."""
    with start(tmp_path, certificate) as address:
        came = await interview(patient(address))
        reading = read_names(came.tickets)
        assert (came.fault, came.resumed, came.version) == (None, True, "TLSv1.3")
        assert reading.layouts == {layout}
        (name,) = reading.names
        fresh = await visit(patient(address))
        assert fresh.ticket is not None
        assert name.begins(fresh.ticket)


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_nginx_shows_the_name_of_its_key_file(
    tmp_path: Path, certificate: Certificate, protocol: str
) -> None:
    """The first file's name is shown, before and after a rotation; no log line tells of us."""
    names = KEY_A.name, KEY_B.name
    with stacks.nginx(tmp_path, certificate, protocol, *names) as server:
        came = await interview(patient(server.address))
        assert (came.resumed, came.version, came.fault) == (True, protocol, None)
        assert read_names(came.tickets).names == (KEY_A,)
        before = await visit(patient(server.address))
        server.load(*names[::-1])
        names_shown = None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while names_shown != (KEY_B,):  # the old process accepts a little longer
                shown = await interview(patient(server.address))
                names_shown = read_names(shown.tickets).names
        assert (await visit(patient(server.address), before.session)).resumed
        assert server.errors() == ""


async def test_two_nginx_with_one_key_file_share_it(
    tmp_path: Path, certificate: Certificate
) -> None:
    """The proof works between real servers: a common file passes, a file of one's own does not."""
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    one = stacks.nginx(folders[0], certificate, "TLSv1.3", KEY_A.name)
    two = stacks.nginx(folders[1], certificate, "TLSv1.3", KEY_A.name)
    three = stacks.nginx(folders[2], certificate, "TLSv1.3", KEY_B.name)
    with one as first, two as second, three as third:
        owner = patient(first.address)
        assert await share_a_key(owner, patient(second.address), KEY_A)
        assert not await share_a_key(owner, patient(third.address), KEY_A)


async def test_haproxy_shows_the_last_but_one(tmp_path: Path, certificate: Certificate) -> None:
    """Of its three keys HAProxy encrypts with the second."""
    names = bytes(16), KEY_A.name, KEY_B.name
    with stacks.haproxy(tmp_path, certificate, *names) as address:
        came = await interview(patient(address))
    assert read_names(came.tickets).names == (KEY_A,)
    assert came.resumed is True
    assert (tmp_path / "haproxy.log").read_text() == ""


@pytest.mark.parametrize("protocol", ["-tls1_2", "-tls1_3"])
async def test_openssl_without_tickets(
    tmp_path: Path, certificate: Certificate, protocol: str
) -> None:
    """With tickets switched off TLS 1.2 gives none, and TLS 1.3 ids that name nothing."""
    with stacks.openssl(tmp_path, certificate, protocol, "-no_ticket") as address:
        came = await interview(patient(address))
    assert read_names(came.tickets).names == ()
    assert came.fault is (TicketFault.NO_TICKETS if protocol == "-tls1_2" else None)


@pytest.mark.parametrize("protocol", ["-tls1_2", "-tls1_3"])
async def test_openssl_that_demands_a_certificate(
    tmp_path: Path, certificate: Certificate, protocol: str
) -> None:
    """A server for clients with certificates is told from one that is broken."""
    with stacks.openssl(tmp_path, certificate, protocol, "-Verify", "1") as address:
        assert (await interview(patient(address))).fault is TicketFault.CLIENT_CERTIFICATE
