"""One probe: does this backend answer, now?

A probe is an ordinary client that behaves well: its handshake is whole, it says goodbye, and it
reads what the backend still sends, for a socket closed over unread bytes sends a reset. So the
error log of a TLS server stays clean, which it does not when it is only connected to.

Who answers is not asked here. The certificate is not checked: that the backend is the enclave it
should be is attestation's to prove, and a probe carries nothing that would be worth stealing.

A backend may be hostile: bytes, memory and time of a probe are bounded, and whatever it sends comes
to an outcome.
"""

import asyncio
import contextlib
import errno
import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum

from l4proxy.control.line import GOODBYE_SECONDS, LOCAL_ERRORS, Line, TooLong
from l4proxy.control.tls_line import TlsLine
from routing import Address
from routing.health import ProbeFault
from sni import ServerName

MAX_STATUS_BYTES = 4_096
"""Read of an HTTP answer: its first line is all that counts."""

STALL_SECONDS = 0.5
"""A deadline noticed so late says that this process stood still, not that the backend is slow."""

# The last bytes of a server that refuses a handshake, in the clear as long as it has not agreed to
# keys: type alert, version, length 2, level, description (RFC 8446 §5.1, §6).
_alert_at_the_end = re.compile(rb"\x15\x03.\x00\x02[\x01\x02](.)", re.DOTALL).fullmatch

_status_line = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r]*)?\r?").fullmatch
_SWITCHING, _FINAL = 101, 200  # below 200, but for 101, an answer is still to come

# What may stand in a request line: visible ASCII, so that a path cannot carry a header.
_is_path = re.compile(r"/[!-~]*").fullmatch

_FAULTS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ENOENT: "missing",
}


class ProbeType(StrEnum):
    """How far a backend must come to count as answering."""

    TCP = "tcp"
    """The kernel accepts a connection. Not for TLS servers: their logs fill with broken hellos."""

    TLS = "tls"
    """A whole handshake."""

    HTTP = "http"
    """A request is answered with a status that was expected."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask of a backend.

    Attributes:
        type: How far to go.
        timeout: Seconds for all of it.
        server_name: Said in the hello and as the host of a request; None: no name, and the address.
        path: What a request asks for.
        status: The lowest and the highest status that is well.
        encrypted: Whether a request goes over TLS.
        preamble: Sent before anything else, such as a PROXY header.

    Raises:
        ValueError: The path cannot stand in a request, or the lowest status is above the highest.

    """

    type: ProbeType = ProbeType.TLS
    timeout: float = 3.0
    server_name: ServerName | None = None
    path: str = "/"
    status: tuple[int, int] = (200, 399)
    encrypted: bool = True
    preamble: bytes = b""

    def __post_init__(self) -> None:
        if not _is_path(self.path):
            raise ValueError(f"path {self.path!r}: expected '/' and visible ASCII without spaces")
        lowest, highest = self.status
        if lowest > highest:
            raise ValueError(f"status {lowest} to {highest}: expected the lowest first")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a probe.

    Attributes:
        fault: Why it failed; None: the backend answers.
        ours: Whether it failed for want of something on this side, which says nothing about the
            backend.
        certificate: That the backend has shown, in DER, believed by nobody; empty without TLS.

    """

    fault: ProbeFault | None = None
    ours: bool = False
    certificate: bytes = field(default=b"", repr=False, compare=False)


async def probe(address: Address, asked: Probe) -> Outcome:
    """Ask a backend once. It takes no longer than the timeout, and raises only if cancelled.

    The faults: `refused`, `reset`, `unreachable`, `missing` (the path of a unix socket), `timeout`,
    `closed` (before it answered), `tls_alert:NN`, `tls_error`, `http_error` (not HTTP),
    `http_status:NNN`, `too_long`, `os_error:NAME`.
    """
    deadline = asyncio.get_running_loop().time() + asked.timeout
    try:
        with Line(address) as line:
            return await _probe_on(line, address, asked, deadline)
    except TimeoutError:
        # The deadline has passed; or the kernel gave up before it, which is as good.
        late = asyncio.get_running_loop().time() - deadline
        stalled = late > STALL_SECONDS
        return Outcome(ProbeFault("stalled" if stalled else "timeout"), ours=stalled)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown").lower()
        fault = _FAULTS.get(error.errno or 0, f"os_error:{name}")
        return Outcome(ProbeFault(fault), ours=error.errno in LOCAL_ERRORS)


async def _probe_on(line: Line, address: Address, asked: Probe, deadline: float) -> Outcome:
    plain = asked.type is ProbeType.TCP or (asked.type is ProbeType.HTTP and not asked.encrypted)
    http = asked.type is ProbeType.HTTP
    tls = None if plain else TlsLine(line, asked.server_name, http=http)
    async with asyncio.timeout_at(deadline):
        await line.connect()
        fault = await _ask(line, tls, address, asked)
    # Whatever happens from here, the backend has said what it had to say.
    with contextlib.suppress(OSError):
        async with asyncio.timeout_at(min(deadline, _soon())):
            await (tls or line).leave()
    return Outcome(fault, certificate=tls.certificate if tls is not None else b"")


async def _ask(
    line: Line, tls: TlsLine | None, address: Address, asked: Probe
) -> ProbeFault | None:
    """Return why the backend has not answered as it should; None: it has."""
    try:
        await line.send(asked.preamble)
        if tls is not None:
            await tls.greet()
        if asked.type is ProbeType.HTTP:
            await _request(tls or line, asked, address)
    except _Failed as failed:
        return ProbeFault(failed.fault)
    except TooLong:
        return ProbeFault("too_long")
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return ProbeFault("closed")
    except ssl.SSLError:
        alert = _alert_at_the_end(tls.tail) if tls is not None else None
        return ProbeFault(f"tls_alert:{alert[1][0]}" if alert else "tls_error")
    return None


def _soon() -> float:
    return asyncio.get_running_loop().time() + GOODBYE_SECONDS


class _Failed(Exception):
    """The backend answered, but not as it should."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


async def _request(over: Line | TlsLine, asked: Probe, address: Address) -> None:
    host = asked.server_name or address
    await over.send(
        f"GET {asked.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: l4proxy\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
    )
    answer = b""
    while (status := _status(answer)) is None:
        if len(answer) >= MAX_STATUS_BYTES:
            raise _Failed("too_long")
        data = await over.receive()
        if not data:
            raise _Failed("closed")
        answer += data
    lowest, highest = asked.status
    if not lowest <= status <= highest:
        raise _Failed(f"http_status:{status}")


def _status(answer: bytes) -> int | None:
    """Return the status of an answer, interim ones passed over; None while it has not come."""
    while True:
        line, newline, _ = answer.partition(b"\n")
        if not newline:
            return None
        found = _status_line(line)
        if not found:
            raise _Failed("http_error")
        status = int(found[1])
        if status == _SWITCHING or status >= _FINAL:
            return status
        _, blank, answer = answer.partition(b"\r\n\r\n")
        if not blank:
            return None
