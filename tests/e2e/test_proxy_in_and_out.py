"""PROXY headers: what is believed on the way in, and what backends read on the way out."""

import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from l4proxy.proxy_protocol import (
    HeaderReader,
    HeaderReceived,
    IpEndpoint,
    ProxyHeader,
    Tlv,
    TlvType,
    encode_v1,
    encode_v2,
)
from tests.e2e.backends import Backend, Recorder
from tests.e2e.balancer import Balancer, Start
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.sockets import HELLO, NAME, SILENT, TIMEOUT, connect, exactly, hear, say
from tests.e2e.waiting import until
from tests.l4proxy.proxy_protocol.headers import (
    BLOCK_4,
    BLOCK_UNIX,
    LINE_4,
    LINE_6,
    LOCAL,
    TCP6,
    UNIX,
    tlv,
    v2,
)
from tests.l4proxy.proxy_protocol.peers import need

HERE = "127.0.0.1"
STRANGER = "127.0.0.9"
"""A peer that is not trusted."""
CLIENT = IpEndpoint(bytes([192, 0, 2, 1]), 56_324)
TOO_MUCH = tlv(0xE0, bytes(65_535 - len(BLOCK_4) - 3))
"""An extra with which a header announces 65,535 bytes, all that it can."""

# A header that is believed, with the client that it names; None: the peer itself.
BELIEVED: dict[str, tuple[bytes, IpEndpoint | None]] = {
    "v1": (LINE_4, CLIENT),
    "v1 with the longest addresses": (
        b"PROXY TCP6 %b %b 65535 65535\r\n" % (2 * (b"ffff:" * 7 + b"ffff",)),
        IpEndpoint(b"\xff" * 16, 65_535),
    ),
    "v1 over IPv6": (LINE_6, IpEndpoint(bytes.fromhex("20010db8" + "0" * 23 + "1"), 56_324)),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown of 107 bytes": (b"PROXY UNKNOWN".ljust(105, b" ") + b"\r\n", None),
    "v2": (v2(), CLIENT),
    "v2 with extras": (v2(BLOCK_4 + tlv(0xE0, b"x") + tlv(4, bytes(9))), CLIENT),
    "v2 from a unix socket": (v2(BLOCK_UNIX, UNIX), None),
    "v2 local": (v2(b"", 0, LOCAL), None),
    "v2 local with addresses": (v2(BLOCK_4, command=LOCAL), None),
    "v2 local with addresses and extras": (v2(BLOCK_4 + tlv(4, b"x"), command=LOCAL), None),
}

# First bytes that are refused, and the reason that is counted.
DISBELIEVED: dict[str, tuple[bytes, str]] = {
    "none": (HELLO, "proxy_header_missing"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "proxy_header_missing"),
    "v1 of 108 bytes": (b"PROXY UNKNOWN".ljust(106, b" ") + b"\r\n", "proxy_header_malformed"),
    "v1 without a line feed": (LINE_4[:-1] + b"\r" + HELLO, "proxy_header_malformed"),
    "v2 too short for its addresses": (v2(BLOCK_4[:-1]) + HELLO, "proxy_header_malformed"),
    "v2 of another family's length": (v2(BLOCK_4, TCP6) + HELLO, "proxy_header_malformed"),
    "v2 with an extra beyond its end": (
        v2(BLOCK_4 + tlv(4, b"x", 2)) + HELLO,
        "proxy_header_malformed",
    ),
    "v2 announcing 65,535 bytes": (v2(BLOCK_4 + TOO_MUCH) + HELLO, "proxy_header_too_long"),
    "v2 whose length has overflown": (v2(BLOCK_4 + TOO_MUCH, length=0), "proxy_header_malformed"),
    "v2 of a command unknown": (v2(command=0x22) + HELLO, "proxy_header_malformed"),
    "v3": (v2(command=0x31) + HELLO, "proxy_header_malformed"),
    "two headers": (v2() + v2() + HELLO, "not_tls"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A balancer that demands a header on the way in and writes one on the way out."""

    balancer: Balancer
    recorder: Recorder
    backend: Backend

    def expect_told(self, client: IpEndpoint | None, peer: tuple[str, int]) -> ProxyHeader:
        """The header that the backend was told, of that client or of the peer, before the hello."""
        reader = HeaderReader()
        reader.receive_data(self.recorder.take())
        event = reader.next_event()
        assert isinstance(event, HeaderReceived)
        assert event.rest == HELLO
        expected = client or IpEndpoint(socket.inet_aton(peer[0]), peer[1])
        assert event.header.source == expected
        return event.header


@pytest.fixture(scope="module")
def scene(start_shared: Start) -> Iterator[Scene]:
    """Such a balancer; its backend answers a word and keeps what it was told."""
    recorder = Recorder(b"served")
    with Backend(recorder) as backend:
        listener = {"address": f"{HERE}:0", "proxy_protocol": True, "trusted": [HERE]}
        pool = {"backends": [backend.address], "proxy_protocol": "v2"}
        config = {
            "listeners": [listener],
            "routes": {NAME.decode(): "app"},
            "pools": {"app": pool},
            "limits": {"hello_timeout": "2s"},
        }
        yield Scene(start_shared(config), recorder, backend)


def _is_served(scene: Scene, *pieces: bytes) -> tuple[str, int]:
    """Sends these, expects to be served, and returns where it came from."""
    with connect(scene.balancer.address) as client:
        for piece in pieces:
            client.sendall(piece)
        assert exactly(client, 6) == b"served"
        name = client.getsockname()
        return name[0], name[1]


@pytest.mark.parametrize(("header", "client"), BELIEVED.values(), ids=BELIEVED)
def test_what_a_header_says_reaches_the_backend(
    scene: Scene, header: bytes, client: IpEndpoint | None
) -> None:
    """The client that a trusted header names is the one that the backend is told of."""
    peer = _is_served(scene, header + HELLO)
    told = scene.expect_told(client, peer)
    extras = {extra.type: extra.value for extra in told.tlvs}
    assert extras[TlvType.AUTHORITY] == NAME
    assert TlvType.UNIQUE_ID in extras
    assert not extras.keys() - {TlvType.AUTHORITY, TlvType.UNIQUE_ID}


@pytest.mark.parametrize("header", [LINE_4, v2()], ids=["v1", "v2"])
def test_header_and_hello_may_be_cut_anywhere(scene: Scene, header: bytes) -> None:
    """Wherever the first bytes are cut in two, header and hello are told apart to the byte."""
    wire = header + HELLO
    for at in range(1, len(header) + 12):
        peer = _is_served(scene, wire[:at], wire[at:])
        scene.expect_told(CLIENT, peer)


def test_header_and_hello_may_come_byte_by_byte(scene: Scene) -> None:
    """A sender that writes one byte at a time is served like any other."""
    peer = _is_served(scene, *(bytes([byte]) for byte in v2() + HELLO))
    scene.expect_told(CLIENT, peer)


@pytest.mark.parametrize(("first", "reason"), DISBELIEVED.values(), ids=DISBELIEVED)
def test_what_is_no_header_is_refused(scene: Scene, first: bytes, reason: str) -> None:
    """What no header can be is refused without a word, under its reason, and reaches no backend."""
    before = scene.balancer.counted("refused", reason)
    accepted = scene.backend.accepted
    heard = say(scene.balancer.address, first)
    assert heard in {SILENT, type(SILENT)(b"", reset=True)}
    scene.balancer.expect_counted("refused", reason, before + 1)
    assert scene.backend.accepted == accepted


@pytest.mark.parametrize("first", [v2() + HELLO, LINE_4 + HELLO, HELLO], ids=["v2", "v1", "none"])
def test_only_who_is_trusted_may_connect(scene: Scene, first: bytes) -> None:
    """Another peer is refused before a byte of it is read, with a header or without one."""
    before = scene.balancer.counted("refused", "proxy_untrusted")
    accepted = scene.backend.accepted
    with connect(scene.balancer.address, STRANGER) as client:
        try:
            client.sendall(first)
            assert hear(client).data == b""
        except ConnectionError:
            pass  # refused before it had said all
    scene.balancer.expect_counted("refused", "proxy_untrusted", before + 1)
    assert scene.backend.accepted == accepted


@pytest.mark.parametrize("first", [b"", v2()[:20], v2()], ids=["nothing", "half", "no hello"])
def test_a_header_that_never_ends_is_cut(scene: Scene, first: bytes) -> None:
    """Header and hello have one deadline together."""
    assert say(scene.balancer.address, first) == SILENT


def test_without_being_asked_a_header_is_no_hello(start: Start) -> None:
    """A listener without `proxy_protocol` reads no header: whoever connects could lie in it."""
    with Backend(Recorder(b"served")) as backend:
        balancer = start({"routes": {NAME.decode(): "app"}, "pools": {"app": [backend.address]}})
        for header in (LINE_4, v2()):
            assert say(balancer.address, header + HELLO).data == b""
        balancer.expect_counted("refused", "not_tls", 2)
        assert backend.accepted == 0


# --- other programs read what we write ---------------------------------------------------------

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen unix:{listening} ssl proxy_protocol;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        default_type text/plain;
        location / {{ return 200 "$proxy_protocol_addr|$proxy_protocol_port\
|$proxy_protocol_server_addr|$proxy_protocol_server_port"; }}
    }}
}}
"""

_HAPROXY = """
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend reads
    bind unix@{listening} accept-proxy ssl crt {folder}/both.pem
    http-request return status 200 content-type text/plain lf-string \
"%[src]|%[src_port]|%[dst]|%[dst_port]|%[fc_pp_authority]|%[fc_pp_unique_id]"
"""


@contextmanager
def _serving(program: str, folder: Path, certificate: Certificate) -> Iterator[Path]:
    """A TLS server behind a unix socket, which answers with what it has read in the header."""
    found, listening = need(program), folder / f"{program}.sock"
    config = folder / f"{program}.conf"
    both = certificate.certificate.read_bytes() + certificate.key.read_bytes()
    (folder / "both.pem").write_bytes(both)
    template = _NGINX if program == "nginx" else _HAPROXY
    values = {"certificate": certificate.certificate, "key": certificate.key}
    config.write_text(template.format(folder=folder, listening=listening, **values))
    words = ["-c", config, "-e", folder / "log"] if program == "nginx" else ["-db", "-f", config]
    log = (folder / "output").open("wb")
    with log, subprocess.Popen([found, *map(str, words)], stdout=log, stderr=log) as process:
        try:
            until(f"{program} listens", lambda: _listens(listening))
            yield listening
        finally:
            process.kill()
            listening.unlink(missing_ok=True)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


@pytest.fixture(scope="module")
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="l4p") as name:
        yield Path(name)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("program", ["nginx", "haproxy"])
def test_other_programs_read_what_we_write(
    start: Start, short: Path, authority: Authority, program: str, version: str
) -> None:
    """Nginx and HAProxy, each behind TLS, read the client, where it arrived, its name and an id."""
    certificate = authority.issue(NAME.decode())
    with _serving(program, short, certificate) as listening:
        pool = {"backends": [f"unix:{listening}"], "proxy_protocol": version}
        door = {"address": f"{HERE}:0", "proxy_protocol": True, "trusted": [HERE]}
        config = {"routes": {NAME.decode(): "app"}, "pools": {"app": pool}}
        balancer = start({**config, "listeners": [f"{HERE}:0", door]})
        plain, proxied = balancer.addresses
        answer, name = _ask(plain, authority, b"")
        assert answer[:4] == [name[0], str(name[1]), HERE, str(plain[1])]
        destination = IpEndpoint(bytes([198, 51, 100, 9]), 443)
        header = ProxyHeader(CLIENT, destination, (Tlv(TlvType.AUTHORITY, b"other.example.com"),))
        for first in (encode_v1(header), encode_v2(header, checksum=True)):
            answer, _ = _ask(proxied, authority, first)
            assert answer[:4] == ["192.0.2.1", "56324", "198.51.100.9", "443"]
            if program == "haproxy" and version == "v2":
                assert answer[4] == NAME.decode()  # as the hello says, not as a header claims
                assert len(answer[5]) == 16


def _ask(
    address: tuple[str, int], authority: Authority, first: bytes
) -> tuple[list[str], tuple[str, int]]:
    """What a server behind a balancer answers a TLS client, and where that came from."""
    context = ssl.create_default_context(cafile=str(authority.root))
    with socket.create_connection(address, TIMEOUT) as sock:
        sock.sendall(first)
        host, port = sock.getsockname()
        with context.wrap_socket(sock, server_hostname=NAME.decode()) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = bytearray()
            while part := client.recv(65_536):
                data += part
    return data.partition(b"\r\n\r\n")[2].decode().split("|"), (host, port)
