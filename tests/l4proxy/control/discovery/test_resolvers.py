"""A resolver gives an answer or a fault with a name, whatever it sends."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from l4proxy.control.discovery import resolvers
from l4proxy.control.discovery.resolvers import (
    MAX_STRAYS,
    DnsAnswer,
    DnsFault,
    Family,
    LookupFailed,
    ServerResolver,
    SystemResolver,
)
from tests.l4proxy.control.discovery.dns_server import (
    NAME,
    DnsServer,
    Reply,
    Script,
    aliases,
    failure,
    records,
    serve_dns,
    silence,
    truncated,
)

PLAIN: Final = records({"A": ["10.0.0.1", "10.0.0.2"], "AAAA": ["2001:db8::1"]}, ttl=7)
WAIT: Final = 20.0


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    """A server with two IPv4 addresses and one of IPv6."""
    async with serve_dns(PLAIN) as running:
        yield running


async def ask(server: DnsServer, family: Family = Family.IPV4) -> DnsAnswer:
    """Ask a server for the name of all tests."""
    async with asyncio.timeout(WAIT):
        return await ServerResolver(NAME, server.address).ask(family)


async def fault_of(server: DnsServer) -> DnsFault:
    """Return why a server gave no answer."""
    with pytest.raises(LookupFailed) as failed:
        await ask(server)
    return failed.value.fault


async def test_an_answer_has_addresses_and_a_lifetime(server: DnsServer) -> None:
    """Each family is asked for itself, by the record type it has."""
    answer = await ask(server)
    assert set(answer.addresses) == {ip_address("10.0.0.1"), ip_address("10.0.0.2")}
    assert answer.ttl == 7
    assert await ask(server, Family.IPV6) == DnsAnswer((ip_address("2001:db8::1"),), 7)
    assert server.queries == [("udp", "A"), ("udp", "AAAA")]


async def test_no_record_is_an_empty_answer(server: DnsServer) -> None:
    """A name without an address of the family is there, and has none."""
    server.say(records({}))
    assert await ask(server) == DnsAnswer(())


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (dns.rcode.NXDOMAIN, DnsFault.NO_SUCH_NAME),
        (dns.rcode.SERVFAIL, DnsFault.SERVER_FAILURE),
        (dns.rcode.REFUSED, DnsFault.SERVER_FAILURE),
        (dns.rcode.NOTIMP, DnsFault.SERVER_FAILURE),
    ],
)
async def test_codes_have_their_faults(
    server: DnsServer, code: dns.rcode.Rcode, fault: DnsFault
) -> None:
    """A name that is not there is told from a server that cannot say."""
    server.say(failure(code))
    assert await fault_of(server) is fault


async def test_an_alias_is_followed(server: DnsServer) -> None:
    """The addresses of what a name stands for are its own; the shortest lifetime holds."""

    def script(query: dns.message.Message) -> list[Reply]:
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "CNAME", "b.internal."))
        response.answer.append(dns.rrset.from_text("b.internal.", 9, "IN", "A", "10.0.0.9"))
        return [response]

    server.say(script)
    assert await ask(server) == DnsAnswer((ip_address("10.0.0.9"),), 9)


async def test_aliases_in_a_loop_are_a_fault(server: DnsServer) -> None:
    """A loop of aliases ends after a bounded number of steps."""
    server.say(aliases((NAME, "b.internal"), ("b.internal", NAME)))
    assert await fault_of(server) is DnsFault.MALFORMED


async def test_addresses_of_other_names_count_nothing(server: DnsServer) -> None:
    """A record for a name that was not asked for is not believed."""
    server.say(records({"A": ["10.6.6.6"]}, owner="bank.example"))
    assert await ask(server) == DnsAnswer(())


async def test_an_answer_to_another_question_is_no_answer(server: DnsServer) -> None:
    """A wrong id, a wrong name and plain noise are passed over, and counted."""

    def script(query: dns.message.Message) -> list[Reply]:
        wrong_id = dns.message.make_response(query)
        wrong_id.id = query.id ^ 1
        wrong_name = dns.message.make_response(dns.message.make_query("bank.example", "A"))
        wrong_name.id = query.id
        noise = query.id.to_bytes(2, "big") + b"\x81\x80noise"
        return [wrong_id, wrong_name, noise, query, *PLAIN(query)]

    server.say(script)
    resolver = ServerResolver(NAME, server.address)
    async with asyncio.timeout(WAIT):
        assert len((await resolver.ask(Family.IPV4)).addresses) == 2
    assert resolver.strays == 4


async def test_many_guesses_lead_to_tcp(server: DnsServer) -> None:
    """Where somebody guesses ids, the question goes where guessing does not help."""

    def guesses(query: dns.message.Message) -> list[Reply]:
        return [(query.id ^ each).to_bytes(2, "big") for each in range(1, MAX_STRAYS + 20)]

    server.udp = guesses
    assert len((await ask(server)).addresses) == 2
    assert server.queries == [("udp", "A"), ("tcp", "A")]


@pytest.mark.parametrize(
    "script", [truncated, records({"A": [f"10.0.1.{each}" for each in range(200)]})]
)
async def test_what_a_datagram_cannot_hold_comes_by_tcp(server: DnsServer, script: Script) -> None:
    """A cut answer, and one larger than a datagram may be, is asked for again over TCP."""
    server.udp = script
    assert len((await ask(server)).addresses) == 2
    assert server.queries == [("udp", "A"), ("tcp", "A")]


async def test_a_thousand_addresses_arrive(server: DnsServer) -> None:
    """A large answer is read whole."""
    texts = [f"10.{each >> 8}.{each & 255}.1" for each in range(1_000)]
    server.say(records({"A": texts}))
    assert len((await ask(server)).addresses) == 1_000


def _cut_over_tcp(query: dns.message.Message) -> list[Reply]:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return [response]


def _other_id(query: dns.message.Message) -> list[Reply]:
    response = dns.message.make_response(query)
    response.id = query.id ^ 1
    return [response]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (silence, DnsFault.UNREACHABLE),  # it closes without a word
        (lambda _: [b"\x40\x00half"], DnsFault.UNREACHABLE),
        (lambda _: [b"\x00\x05noise"], DnsFault.MALFORMED),
        (lambda _: [b"\x00\x00"], DnsFault.MALFORMED),
        (_cut_over_tcp, DnsFault.MALFORMED),
        (_other_id, DnsFault.MALFORMED),
    ],
)
async def test_nonsense_over_tcp_is_a_fault(
    server: DnsServer, script: Script, fault: DnsFault
) -> None:
    """Nothing that a server sends over TCP gets further than a fault."""
    server.udp = truncated
    server.tcp = script
    assert await fault_of(server) is fault


async def test_a_lost_datagram_is_sent_again(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One datagram that goes astray does not cost the round."""
    monkeypatch.setattr(resolvers, "RESEND_SECONDS", 0.01)
    server.udp = lambda query: PLAIN(query) if len(server.queries) > 2 else []
    assert len((await ask(server)).addresses) == 2
    assert len(server.queries) > 2


async def test_nobody_there_is_told_at_once() -> None:
    """A port where nobody listens is a fault without waiting for the deadline."""
    async with serve_dns() as server:
        pass
    assert await fault_of(server) is DnsFault.UNREACHABLE


async def test_silence_lasts_until_the_caller_gives_up(server: DnsServer) -> None:
    """A server that says nothing is waited for as long as the caller likes, and left in peace."""
    server.say(silence)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ServerResolver(NAME, server.address).ask(Family.IPV4)


# --- the system's way -----------------------------------------------------------------------------


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make the system's call wait for this event."""
    event = threading.Event()

    def wait(*_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        event.wait(WAIT)
        return [(0, 0, 0, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("dns "):
            thread.join(WAIT)


async def test_the_system_knows_the_loopback() -> None:
    """The hosts file and literals count, as for every program of the machine."""
    async with asyncio.timeout(WAIT):
        answer = await SystemResolver("127.0.0.1").ask(Family.IPV4)
    assert answer == DnsAnswer((ip_address("127.0.0.1"),))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no"), DnsFault.NO_SUCH_NAME),
        (socket.gaierror(socket.EAI_NODATA, "no"), DnsFault.EMPTY),
        (socket.gaierror(socket.EAI_AGAIN, "later"), DnsFault.SERVER_FAILURE),
        (OSError(), DnsFault.SERVER_FAILURE),
        (UnicodeError(), DnsFault.NO_SUCH_NAME),
    ],
)
async def test_the_systems_errors_have_their_faults(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fault: DnsFault
) -> None:
    """Each error of the call is a fault like those of a server."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(LookupFailed) as failed:
        async with asyncio.timeout(WAIT):
            await SystemResolver(NAME).ask(Family.IPV4)
    assert failed.value.fault is fault


async def test_a_call_that_hangs_gets_no_second_beside_it(hold: threading.Event) -> None:
    """However long the system takes, one name has one thread a family, and then answers again."""
    resolver = SystemResolver("once.example.com")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await resolver.ask(Family.IPV4)
    for _ in range(3):
        with pytest.raises(LookupFailed) as failed:
            await resolver.ask(Family.IPV4)
        assert failed.value.fault is DnsFault.TIMEOUT
    called = [thread.name for thread in threading.enumerate()]
    assert called.count("dns once.example.com") == 1
    hold.set()
    async with asyncio.timeout(WAIT):
        while True:
            try:
                assert (await resolver.ask(Family.IPV4)).addresses
            except LookupFailed:
                await asyncio.sleep(0.001)
            else:
                break


def test_a_call_may_outlive_the_loop(hold: threading.Event) -> None:
    """An answer that comes when nobody waits any more, nor ever will, harms nobody."""

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await SystemResolver(NAME).ask(Family.IPV4)

    asyncio.run(give_up())
    hold.set()


async def test_no_thread_to_be_had_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine out of threads costs a round, not the daemon."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    resolver = SystemResolver(NAME)
    for _ in range(2):
        with pytest.raises(LookupFailed) as failed:
            await resolver.ask(Family.IPV4)
        assert failed.value.fault is DnsFault.UNREACHABLE
