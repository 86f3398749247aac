"""Tests of one probe, against well-behaved, real and hostile backends."""

import asyncio
import contextlib
import resource
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

from l4proxy.control.probe import Outcome, Probe, ProbeType, probe
from routing import Address
from routing.health import ProbeFault
from sni import ServerName
from tests.l4proxy.control.servers import (
    PATIENCE_SECONDS,
    Certificate,
    Script,
    backend,
    find,
    nginx,
    running,
)
from tests.ports import free_port

NAME = ServerName("app.example.com")
TCP = Probe(ProbeType.TCP, PATIENCE_SECONDS)
TLS = Probe(ProbeType.TLS, PATIENCE_SECONDS, NAME)
HTTPS = Probe(ProbeType.HTTP, PATIENCE_SECONDS, NAME)
HTTP = Probe(ProbeType.HTTP, PATIENCE_SECONDS, NAME, encrypted=False)
WELL = Outcome()
SHORT = 0.3

ALERT = bytes.fromhex("15 0303 0002 02 70")  # unrecognized_name, fatal


def failed(fault: str) -> Outcome:
    """The outcome of a backend that does not answer as it should."""
    return Outcome(ProbeFault(fault))


def says(*parts: bytes) -> Script:
    """A script: hear something, then say this, whatever was heard."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return script


def then_ends(*parts: bytes) -> Script:
    """A script: hear something, say this and end the stream."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(*parts)(reader, writer)
        writer.write_eof()

    return script


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A script: hear something, then reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await _reader.read(1)
    writer.transport.abort()


def forever(part: bytes) -> Script:
    """A script: hear something, then say this for as long as somebody listens."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        while True:
            writer.write(part)
            await writer.drain()

    return script


# --- backends that answer ------------------------------------------------------------------------


async def test_tcp_connects_and_says_goodbye() -> None:
    """A TCP probe ends in good order, though the backend speaks first and at length."""

    async def greets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n" * 1000)

    async with backend(greets) as visits:
        assert await probe(visits.address, TCP) == WELL
        assert await visits.ended() == "fin"


async def test_tcp_needs_no_goodbye_from_the_backend() -> None:
    """A backend that accepts and stays silent passes a TCP probe, and no other."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(*silent.getsockname())
        assert await probe(address, Probe(ProbeType.TCP, SHORT)) == WELL
        assert await probe(address, Probe(ProbeType.TLS, SHORT)) == failed("timeout")
        plain = Probe(ProbeType.HTTP, SHORT, encrypted=False)
        assert await probe(address, plain) == failed("timeout")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_completes_the_handshake(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """A handshake with the pool's name and whatever certificate, then close_notify and FIN."""
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    names: list[str] = []

    def note(_sock: ssl.SSLObject, name: str, _context: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note
    async with backend(context=context) as visits:
        assert await probe(visits.address, TLS) == WELL
        assert await visits.ended() == "fin"
    assert names == [NAME]


async def test_what_a_backend_shows_is_told(certificate: Certificate) -> None:
    """Its certificate as it stands, for whoever knows what it should be; TCP shows none."""
    expected = ssl.PEM_cert_to_DER_cert(certificate.chain.read_text(encoding="ascii"))
    refuses = then_ends(b"HTTP/1.1 500 No\r\n\r\n")
    async with backend(refuses, context=certificate.context()) as visits:
        assert (await probe(visits.address, Probe())).certificate == expected
        refused = await probe(visits.address, Probe(ProbeType.HTTP))
        assert (refused.fault, refused.certificate) == ("http_status:500", expected)
        assert (await probe(visits.address, TCP)).certificate == b""


async def test_a_name_is_not_needed(certificate: Certificate) -> None:
    """A pool without a server name is probed with a hello that has none."""
    async with backend(context=certificate.context()) as visits:
        assert await probe(visits.address, Probe(ProbeType.TLS, PATIENCE_SECONDS)) == WELL


async def test_ipv6_is_dialled_too() -> None:
    """An IPv6 backend is probed like any other."""
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listening:
        assert (
            await probe(Address("::1", listening.getsockname()[1]), Probe(ProbeType.TCP, SHORT))
            == WELL
        )


@pytest.mark.parametrize("asked", [HTTPS, HTTP])
async def test_http_asks_for_the_path(certificate: Certificate, asked: Probe) -> None:
    """A request names the host and the path; an answer within the range is well."""
    requests: list[bytes] = []

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    context = certificate.context() if asked.encrypted else None
    async with backend(answers, context) as visits:
        assert await probe(visits.address, asked) == WELL
        assert await visits.ended() == "fin"
    assert requests[0].startswith(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n")


async def test_a_request_without_a_name_says_the_address() -> None:
    """HTTP/1.1 wants a host, and there is always an address."""
    async with backend() as visits:
        nameless = Probe(ProbeType.HTTP, SHORT, encrypted=False)
        assert await probe(visits.address, nameless) == failed("timeout")
        await visits.ended()
        assert f"\r\nHost: {visits.address}\r\n".encode() in visits.heard[0]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n", WELL),
        (b"HTTP/1.0 200\r\n", WELL),
        (b"HTTP/1.1 399 Odd\n", WELL),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n", WELL),
        (b"HTTP/1.1 100 Continue\r\n", failed("closed")),
        (b"HTTP/1.1 101 Switching Protocols\r\n", failed("http_status:101")),
        (b"HTTP/1.1 404 Not Found\r\n", failed("http_status:404")),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", failed("http_status:503")),
        (b"HTTP/1.1 200", failed("closed")),
        (b"", failed("closed")),
        (b"HTTP/1.1 999 No\r\n", failed("http_error")),
        (b"HTTP/2 200\r\n", failed("http_error")),
        (b"SSH-2.0-OpenSSH_9.9\r\n", failed("http_error")),
        (b"\r\n\r\n", failed("http_error")),
        (b"HTTP/1.1 200 " + b"x" * 8192, failed("too_long")),
        (b"HTTP/1.1 103 Early Hints\r\n" + b"a: b\r\n" * 2000, failed("too_long")),
    ],
)
async def test_http_answers(answer: bytes, outcome: Outcome) -> None:
    """The first final status line counts, and what is no HTTP is told from a bad status."""
    async with backend(then_ends(answer)) as visits:
        assert await probe(visits.address, HTTP) == outcome


async def test_an_answer_may_come_byte_by_byte() -> None:
    """How an answer is cut does not matter."""
    cut = [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n\r\n"]
    async with backend(says(*cut)) as visits:
        assert await probe(visits.address, HTTP) == WELL


@pytest.mark.parametrize("asked", [TCP, HTTP, TLS])
async def test_the_preamble_goes_first(asked: Probe) -> None:
    """A PROXY header comes before anything else that a probe says."""
    header = b"PROXY UNKNOWN\r\n"
    with_header = Probe(asked.type, SHORT, NAME, encrypted=False, preamble=header)
    async with backend() as visits:
        await probe(visits.address, with_header)
        await visits.ended()
    assert visits.heard[0].startswith(header)


# --- backends that do not ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [TCP, TLS, HTTP])
async def test_nobody_listens(asked: Probe) -> None:
    """A refused connection is called so, and is the backend's."""
    assert await probe(Address("127.0.0.1", free_port()), asked) == failed("refused")


async def test_a_black_hole_takes_no_longer_than_the_timeout() -> None:
    """A connect that nobody answers ends at the deadline of the probe, not of the kernel."""
    with contextlib.ExitStack() as open_sockets:
        full = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # the kernel queues one or two, and then drops what asks
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        address = Address(*full.getsockname())
        assert await probe(address, Probe(ProbeType.TCP, SHORT)) == failed("timeout")


@pytest.mark.parametrize("asked", [TLS, HTTPS, HTTP])
async def test_resets_are_called_so(asked: Probe) -> None:
    """A backend that resets did not answer."""
    async with backend(resets) as visits:
        assert await probe(visits.address, asked) == failed("reset")


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (then_ends(), failed("closed")),
        (then_ends(ALERT), failed("tls_alert:112")),
        (then_ends(ALERT[:3], ALERT[3:]), failed("tls_alert:112")),
        (then_ends(ALERT[:5]), failed("closed")),
        (then_ends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), failed("tls_error")),
        (then_ends(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"), failed("tls_error")),
        (says(b"\x16\x03\x03\xff\xff" + bytes(70_000)), failed("tls_error")),
    ],
)
@pytest.mark.parametrize("asked", [TLS, HTTPS])
async def test_broken_handshakes(script: Script, outcome: Outcome, asked: Probe) -> None:
    """An alert is told by its number; whatever else is no TLS has one name."""
    async with backend(script) as visits:
        assert await probe(visits.address, asked) == outcome


@pytest.mark.parametrize(
    ("part", "faults"),
    [
        (bytes(65_536), {"tls_error"}),
        (b"\x16\x03\x03\x00\x01\x02", {"tls_error"}),
        (b"\x15\x03\x03\x00\x02\x01\x5a", {"tls_error", "tls_alert:90"}),
        (b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + bytes(16_380), {"tls_error"}),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, {"tls_error"}),
    ],
)
async def test_whoever_sends_forever_is_left(part: bytes, faults: set[str]) -> None:
    """Endless bytes end a probe with a fault, long before they fill any memory."""
    async with backend(forever(part)) as visits:
        outcome = await probe(visits.address, TLS)
    assert outcome.fault in faults
    assert not outcome.ours


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (bytes(65_536), "too_long"),
        (b"\n" * 65_536, "http_error"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "too_long"),
    ],
)
async def test_endless_answers_are_left(part: bytes, fault: str) -> None:
    """A request reads no more than its bound, interim answers included."""
    async with backend(forever(part)) as visits:
        assert await probe(visits.address, HTTP) == failed(fault)


async def test_a_trickle_buys_no_time() -> None:
    """The deadline is one for the whole probe, whatever comes meanwhile."""

    async def trickles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 " + b"x" * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    async with backend(trickles) as visits:
        quick = Probe(ProbeType.HTTP, SHORT, encrypted=False)
        assert await probe(visits.address, quick) == failed("timeout")


async def test_a_session_that_never_ends_is_well(certificate: Certificate) -> None:
    """After the handshake the outcome stands, whatever the backend sends then."""
    async with backend(forever(bytes(65_536)), certificate.context()) as visits:
        assert await probe(visits.address, TLS) == WELL


# --- what is nobody's fault but ours -------------------------------------------------------------


async def test_want_of_descriptors_is_ours() -> None:
    """When this process is out of descriptors, that says nothing about the backend."""
    async with backend() as visits:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as probe_of_the_limit:
            lowest = probe_of_the_limit.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            outcome = await probe(visits.address, TCP)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert outcome == Outcome(ProbeFault("os_error:emfile"), ours=True)


async def test_a_process_that_stood_still_blames_nobody() -> None:
    """A deadline that is noticed far too late is no timeout of the backend."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(*silent.getsockname())
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(probe(address, Probe(ProbeType.TLS, SHORT)))
            await asyncio.sleep(SHORT / 3)
            time.sleep(SHORT + 0.6)  # noqa: ASYNC251 - standing still is the point
    assert asked.result() == Outcome(ProbeFault("stalled"), ours=True)


async def test_a_probe_can_be_cancelled() -> None:
    """Cancelling ends a probe at once; nothing is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(*silent.getsockname())
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(probe(address, TLS))
            await asyncio.sleep(0.05)
            asked.cancel()
    assert asked.cancelled()


@pytest.mark.parametrize("path", ["", "health", "/a b", "/a\r\nX: y", "/é"])
def test_a_path_cannot_carry_a_header(path: str) -> None:
    """A path that would not stand in one request line is refused."""
    with pytest.raises(ValueError, match="path"):
        Probe(path=path)


def test_the_status_range_is_in_order() -> None:
    """A range that holds nothing is refused."""
    with pytest.raises(ValueError, match="status 300 to 200"):
        Probe(status=(300, 200))


# --- real servers --------------------------------------------------------------------------------


@pytest.mark.skipif(find("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_the_log_of_nginx_stays_clean(
    tmp_path: Path, certificate: Certificate, protocol: str
) -> None:
    """Twenty probes of each kind leave not a line in nginx's error log."""
    ill = Probe(ProbeType.HTTP, PATIENCE_SECONDS, NAME, path="/ill")
    with nginx(tmp_path, certificate, protocol) as address:
        for _ in range(20):
            assert await probe(address, TLS) == WELL
            assert await probe(address, HTTPS) == WELL
            assert await probe(address, ill) == failed("http_status:503")
        assert await probe(address, HTTP) == failed("http_status:400")
        stranger = Probe(ProbeType.TLS, PATIENCE_SECONDS, ServerName("other.example.com"))
        assert await probe(address, stranger) == failed("tls_alert:112")
    assert (tmp_path / "error.log").read_text() == ""


@pytest.mark.skipif(find("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("protocol", ["-tls1_2", "-tls1_3"])
async def test_openssl_has_nothing_to_complain_of(
    tmp_path: Path, certificate: Certificate, protocol: str
) -> None:
    """`openssl s_server` reports no error for a TLS or an HTTP probe, and goes on."""
    port = free_port()
    files = ["-cert", str(certificate.chain), "-key", str(certificate.key)]
    listen = ["-accept", f"127.0.0.1:{port}", "-www", "-quiet", protocol]
    log = tmp_path / "log"
    with running(["openssl", "s_server", *files, *listen], log) as server:
        server.wait_for(port)
        for _ in range(5):
            assert await probe(Address("127.0.0.1", port), TLS) == WELL
            assert await probe(Address("127.0.0.1", port), HTTPS) == WELL
    assert "error" not in log.read_text().lower()


# --- unix sockets --------------------------------------------------------------------------------


async def test_a_unix_socket_is_probed(tmp_path: Path, certificate: Certificate) -> None:
    """TLS over a path is as good as over an address."""
    path = tmp_path / "backend.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_unix_server(serve, path, ssl=certificate.context())
    async with server:
        assert await probe(Address(str(path), 0), TLS) == WELL


async def test_a_path_without_a_backend_says_why(tmp_path: Path) -> None:
    """No file is not the same as a file that nobody listens on."""
    path = tmp_path / "backend.sock"
    assert await probe(Address(str(path), 0), TCP) == failed("missing")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        assert await probe(Address(str(path), 0), TCP) == failed("refused")


async def test_a_unix_socket_with_a_full_queue_is_asked_again(tmp_path: Path) -> None:
    """As long as the time allows: then it counts as silent."""
    path = tmp_path / "backend.sock"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(path))
        listening.listen(0)
        client.connect(str(path))
        quick = Probe(ProbeType.TCP, SHORT)
        assert await probe(Address(str(path), 0), quick) == failed("timeout")
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(probe(Address(str(path), 0), TCP))
            await asyncio.sleep(SHORT)
            listening.accept()[0].close()
            await asyncio.sleep(SHORT)
            listening.accept()[0].close()
    assert asked.result() == WELL
