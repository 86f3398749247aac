"""`l4proxy hello`: captured bytes in, JSON out."""

import json
import ssl
from pathlib import Path

import pytest

from l4proxy.cli import main
from l4proxy.cli.hello import described
from sni import MAX_HELLO_BYTES, HelloPeeker, HelloReceived
from tests.l4proxy.cli.calls import call
from tests.sni import hellos

KEYS = [
    "outcome", "sni", "alpn", "legacy_version", "supported_versions", "session_id", "ticket",
    "psk_identities", "early_data", "ech", "ja4", "bytes", "records",
]  # fmt: skip


def client_hello(name: str | None = "app.example.com", *alpn: str) -> bytes:
    """What Python's own TLS client says first."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def told(run_stdout: str) -> dict[str, object]:
    """The document that was printed."""
    found: dict[str, object] = json.loads(run_stdout)
    return found


@pytest.mark.parametrize("from_file", [True, False])
def test_a_hello_is_described(tmp_path: Path, from_file: bool) -> None:
    """File and standard input give the same document, with every promised key in its order."""
    wire = client_hello("app.example.com", "h2", "http/1.1")
    (tmp_path / "hello").write_bytes(wire)
    run = call("hello", tmp_path / "hello") if from_file else call("hello", stdin=wire)
    assert run.returncode == 0
    found = told(run.stdout)
    assert list(found) == KEYS
    assert found["outcome"] == "hello"
    assert found["sni"] == "app.example.com"
    assert found["alpn"] == ["h2", "http/1.1"]
    assert found["legacy_version"] == "0x0303"
    assert found["supported_versions"] == ["0x0304", "0x0303"]
    assert len(str(found["session_id"])) == 64
    assert found["psk_identities"] == []
    assert found["bytes"] == len(wire)
    assert found["records"] == 1


def test_a_hello_without_a_name_has_a_null() -> None:
    """What the client did not say is null, or empty."""
    found = told(call("hello", "--compact", stdin=client_hello(None)).stdout)
    assert found["sni"] is None
    assert found["alpn"] == []


def test_what_follows_the_hello_is_not_looked_at(tmp_path: Path) -> None:
    """0-RTT data behind the hello, however much, change nothing."""
    wire = client_hello()
    file = tmp_path / "hello"
    file.write_bytes(wire + bytes(1_000_000))
    assert told(call("hello", file).stdout)["bytes"] == len(wire)


@pytest.mark.parametrize(
    ("wire", "outcome", "reason"),
    [
        (b"", "incomplete", "truncated"),
        (client_hello()[:100], "incomplete", "truncated"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-tls", "not_tls"),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "malformed", "malformed"),
        (b"\x16\x03\x01\x40\x00\x01\x01\x00\x00" + bytes(0x3FFC), "malformed", "too_long"),
    ],
    ids=["nothing", "half a hello", "http", "another message", "too long"],
)
def test_everything_else_has_a_reason(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wire: bytes,
    outcome: str,
    reason: str,
) -> None:
    """What is no hello is status 1, with the reason that metrics count it under."""
    file = tmp_path / "bytes"
    file.write_bytes(wire)
    assert main(["hello", str(file)]) == 1
    found = told(capsys.readouterr().out)
    assert (found["outcome"], found["reason"]) == (outcome, reason)
    assert found["detail"]


def test_an_endless_file_is_not_read_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading stops as soon as the bytes can be no hello any more."""
    assert main(["hello", "/dev/zero"]) == 1
    assert told(capsys.readouterr().out)["outcome"] == "not-tls"


def test_compact_is_one_line() -> None:
    """With --compact a line is a document, for a pipe of many."""
    assert call("hello", "--compact", stdin=client_hello()).stdout.count("\n") == 1


@pytest.mark.parametrize("path", ["/no/such/file", "/"])
def test_an_unreadable_file_is_status_2(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is missing, or none, is told on standard error."""
    assert main(["hello", path]) == 2
    told_ = capsys.readouterr()
    assert told_.out == ""
    assert f"{path} cannot be read" in told_.err


def test_bytes_that_are_no_text_are_escaped() -> None:
    """Protocols that are not ASCII, as GREASE is, keep the document readable."""
    peeker = HelloPeeker()
    odd = hellos.alpn(b"\xfa\xfa", b"h2"), hellos.ticket(b"\x00\xff")
    peeker.receive_data(hellos.hello(*odd).wire())
    event = peeker.next_event()
    assert isinstance(event, HelloReceived)
    found = described(event)
    assert found["alpn"] == ["\\xfa\\xfa", "h2"]
    assert found["ticket"] == "00ff"
    assert event.wire_bytes < MAX_HELLO_BYTES
