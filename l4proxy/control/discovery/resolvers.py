"""One question to one resolver: which addresses of this family has the name?

A resolver is a stranger. What it says is an answer, or a fault with a stable name; whatever it
sends, nothing else gets out of here. The caller sets the deadline, and cancels.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from l4proxy.control.discovery.screen import IpAddress
from routing import Address

RESEND_SECONDS: Final = 1.0
"""A datagram is lost now and then: without an answer the question is repeated after so long."""

MAX_STRAYS: Final = 64
"""Datagrams that answer another question, before TCP is asked: somebody may be guessing ids."""

UDP_PAYLOAD_BYTES: Final = 1_232
"""What an answer over UDP may take (EDNS): it fits any path in one piece; more comes by TCP."""


class Family(StrEnum):
    """The two questions of which an answer is put together: record types of DNS."""

    IPV4 = "A"
    IPV6 = "AAAA"


class DnsFault(StrEnum):
    """Why a question brought no address; labels of log lines and metrics."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"

    NO_SUCH_NAME = "no_such_name"
    """NXDOMAIN."""

    SERVER_FAILURE = "server_failure"
    """SERVFAIL, REFUSED and all other codes that are no answer."""

    MALFORMED = "malformed"
    """No message of DNS, or one that contradicts itself: a loop of aliases, for one."""

    EMPTY = "empty"
    """The name is there and has no address."""

    ALL_UNFIT = "all_unfit"
    """It has addresses, none of which may be dialled."""


class LookupFailed(Exception):
    """A resolver gave no answer."""

    def __init__(self, fault: DnsFault) -> None:
        super().__init__(fault)
        self.fault: Final = fault


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What a resolver said.

    Attributes:
        addresses: In no order; empty when the name has none of the family.
        ttl: How long that holds, seconds; None when it did not say.
    """

    addresses: tuple[IpAddress, ...]
    ttl: float | None = None


class Resolver(Protocol):
    """Answers for one name.

    Attributes:
        strays: Messages that answered nothing we had asked.
    """

    strays: int

    async def ask(self, family: Family) -> DnsAnswer:
        """Return the addresses of one family, or wait until cancelled.

        Raises:
            LookupFailed: There is no answer.
        """
        ...


_KINDS: Final = {
    Family.IPV4: (dns.rdatatype.A, socket.AF_INET),
    Family.IPV6: (dns.rdatatype.AAAA, socket.AF_INET6),
}


class ServerResolver:
    """Asks one recursive DNS server, over UDP and where need be over TCP.

    The name is taken as complete: no search list applies.
    """

    def __init__(self, name: str, server: Address) -> None:
        self.strays = 0
        self._name = name
        self._server = server

    async def ask(self, family: Family) -> DnsAnswer:
        """Return what the server says of the name."""
        kind, _ = _KINDS[family]
        query = dns.message.make_query(self._name, kind, use_edns=0, payload=UDP_PAYLOAD_BYTES)
        try:
            response = await self._by_udp(query)
            if response is not None:
                return _read(response)
            wire = await self._by_tcp(query)
            # The worst 64 KiB take the library 0.9 s: they must not hold up the event loop.
            return await asyncio.to_thread(_read_wire, query, wire)
        except (OSError, EOFError) as error:
            raise LookupFailed(DnsFault.UNREACHABLE) from error
        except dns.exception.DNSException as error:
            raise LookupFailed(DnsFault.MALFORMED) from error

    async def _by_udp(self, query: dns.message.Message) -> dns.message.Message | None:
        """Return the answer, or None when it is to be had over TCP only."""
        loop = asyncio.get_running_loop()
        # Connected: the kernel drops what others send, and tells when nobody is there.
        transport, exchange = await loop.create_datagram_endpoint(
            lambda: _Exchange(query, loop.create_future()),
            remote_addr=(self._server.host, self._server.port),
        )
        try:
            while True:
                transport.sendto(query.to_wire())
                await asyncio.wait([exchange.response], timeout=RESEND_SECONDS)
                if exchange.response.done():
                    return exchange.response.result()
        finally:
            self.strays += exchange.strays
            transport.close()

    async def _by_tcp(self, query: dns.message.Message) -> bytes:
        """Return one message: at most 64 KiB, as its length has two bytes."""
        reader, writer = await asyncio.open_connection(self._server.host, self._server.port)
        try:
            writer.write(query.to_wire(prepend_length=True))
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)
        finally:
            writer.close()


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the one message that answers a query."""

    def __init__(
        self, query: dns.message.Message, response: asyncio.Future[dns.message.Message | None]
    ) -> None:
        self._query = query
        self._id = query.id.to_bytes(2, "big")
        self.response = response
        self.strays = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr  # the socket is connected
        if self.response.done():
            return
        # Its id first: whoever floods us with guesses does not make us parse them.
        if data.startswith(self._id):
            if len(data) > UDP_PAYLOAD_BYTES or _truncated(data):
                self.response.set_result(None)
                return
            message = _parse(data)
            if message is not None and self._query.is_response(message):
                self.response.set_result(message)
                return
        self.strays += 1
        if self.strays >= MAX_STRAYS:
            self.response.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(exc)


def _truncated(data: bytes) -> bool:
    """Whether a message says that some of it is missing (RFC 1035 §4.1.1): it need not parse."""
    return bool(int.from_bytes(data[2:4], "big") & dns.flags.TC)


def _parse(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data)
    except dns.exception.DNSException:
        return None


def _read_wire(query: dns.message.Message, wire: bytes) -> DnsAnswer:
    response = dns.message.from_wire(wire)
    if not query.is_response(response):
        raise LookupFailed(DnsFault.MALFORMED)
    return _read(response)


def _read(response: dns.message.Message) -> DnsAnswer:
    """Return the addresses that a response gives for the name that it was asked for."""
    code = response.rcode()
    if code == dns.rcode.NXDOMAIN:
        raise LookupFailed(DnsFault.NO_SUCH_NAME)
    if code != dns.rcode.NOERROR:
        raise LookupFailed(DnsFault.SERVER_FAILURE)
    if response.flags & dns.flags.TC or not isinstance(response, dns.message.QueryMessage):
        raise LookupFailed(DnsFault.MALFORMED)
    # Follows aliases within the response, a bounded number; records of other names count nothing.
    chain = response.resolve_chaining()
    if chain.answer is None:
        return DnsAnswer(())
    addresses = tuple(ipaddress.ip_address(record.to_text()) for record in chain.answer)
    return DnsAnswer(addresses, float(chain.minimum_ttl))


_SYSTEM_FAULTS: Final = {
    socket.EAI_NONAME: DnsFault.NO_SUCH_NAME,
    socket.EAI_NODATA: DnsFault.EMPTY,
    socket.EAI_ADDRFAMILY: DnsFault.EMPTY,
}


class SystemResolver:
    """Asks as every program of this machine does: hosts file, search list, resolv.conf.

    That call blocks and cannot be cancelled, so each runs in a thread of its own, of which one name
    has at most one a family: a slow name delays no other. They never keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self.strays = 0
        self._name = name
        self._running: set[Family] = set()

    async def ask(self, family: Family) -> DnsAnswer:
        """Return what the system says of the name."""
        if family in self._running:
            raise LookupFailed(DnsFault.TIMEOUT)  # the call before is still out
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[DnsAnswer] = loop.create_future()
        call = threading.Thread(
            target=self._call, args=(family, answer), name=f"dns {self._name}", daemon=True
        )
        self._running.add(family)
        try:
            call.start()
        except RuntimeError as error:
            self._running.discard(family)
            raise LookupFailed(DnsFault.UNREACHABLE) from error
        return await answer

    def _call(self, family: Family, answer: asyncio.Future[DnsAnswer]) -> None:
        outcome = _look_up(self._name, family)
        self._running.discard(family)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            answer.get_loop().call_soon_threadsafe(_deliver, answer, outcome)


def _look_up(name: str, family: Family) -> DnsAnswer | LookupFailed:
    _, kind = _KINDS[family]
    try:
        found = socket.getaddrinfo(name, None, kind, socket.SOCK_STREAM)
    except OSError as error:
        return LookupFailed(_SYSTEM_FAULTS.get(error.errno or 0, DnsFault.SERVER_FAILURE))
    except UnicodeError:
        return LookupFailed(DnsFault.NO_SUCH_NAME)
    return DnsAnswer(tuple(ipaddress.ip_address(place[0]) for *_, place in found))


def _deliver(answer: asyncio.Future[DnsAnswer], outcome: DnsAnswer | LookupFailed) -> None:
    if answer.done():
        return
    if isinstance(outcome, DnsAnswer):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)
