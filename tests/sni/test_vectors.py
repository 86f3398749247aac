"""Hellos of real clients: each captured file is read as its manifest says.

The captures are no part of this repository. They are looked for in the folder that the environment
variable L4PROXY_VECTORS names, else beside the repository in ``../shared/vectors``.
"""

import json
import os
from pathlib import Path
from typing import TypedDict, cast

import pytest

from sni import (
    NEED_DATA,
    HelloFault,
    HelloPeeker,
    HelloReceived,
    HelloRejected,
    PeekEvent,
    ServerName,
    ja4,
)
from tests.sni.hellos import records

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("L4PROXY_VECTORS", ROOT / ".." / "shared" / "vectors")) / "clienthello"

# Its compression list is empty and a stray byte follows: the manifest's values are a lenient
# reading, and RFC 5246 §7.4.1.2 asks for at least one method.
LENIENT = "nDPI-tls-invalid-reads-699.bin"
# Labelled "not TLS" because of its capture's name; its bytes are the TLS side of that capture: a
# TLS 1.2 hello without a server name, then the rest of the client's handshake.
MISLABELLED = "zeek-ssh-on-443.bin"


class Expected(TypedDict):
    """The fields of a manifest's ``expected`` that a hello is compared with."""

    sni: str | None
    alpn: list[str]
    legacy_version: str
    supported_versions: list[str]
    session_id: str
    session_ticket_len: int | None
    session_ticket_first16: str
    psk_identities: list[str]
    psk_obfuscated_ticket_ages: list[int]
    early_data: bool
    ech_ext: bool
    client_hello_length: int
    records: int


class Item(TypedDict):
    """One file of the manifest."""

    file: str
    kind: str
    clienthello_offset: int
    expected: Expected


def _items() -> list[Item]:
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        return []
    return cast("list[Item]", json.loads(manifest.read_text(encoding="utf-8"))["items"])


ITEMS = _items()
HELLOS = [
    item
    for item in ITEMS
    if item["kind"] in {"tls-records", "client-stream"} and item["file"] != LENIENT
]
STRANGERS = [
    item
    for item in ITEMS
    if item["kind"] in {"client-stream", "quic-initial-datagrams", "sslv2-hello", "not-tls"}
    and item["file"] != MISLABELLED
]
MALFORMED = [item for item in ITEMS if item["kind"] == "malformed" or item["file"] == LENIENT]

pytestmark = pytest.mark.skipif(not ITEMS, reason=f"no captured hellos in {FOLDER}")


def _of(items: list[Item]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", items, ids=[item["file"] for item in items])


def _bytes(item: Item) -> bytes:
    """The file from the hello on."""
    return (FOLDER / item["file"]).read_bytes()[item.get("clienthello_offset", 0) :]


def _peek(*chunks: bytes) -> PeekEvent:
    peeker = HelloPeeker()
    for chunk in chunks:
        peeker.receive_data(chunk)
    return peeker.next_event()


def test_every_item_is_read() -> None:
    """No kind of the manifest is passed over."""
    tested = [item["file"] for item in [*HELLOS, *STRANGERS, *MALFORMED]]
    assert {item["file"] for item in ITEMS} == {*tested, MISLABELLED}


@_of(HELLOS)
def test_a_captured_hello_says_what_its_manifest_says(item: Item) -> None:
    """Each field that routing reads is the one that two other parsers read."""
    event = _peek(_bytes(item))
    assert isinstance(event, HelloReceived)
    hello, expected = event.hello, item["expected"]
    name = expected["sni"]
    assert hello.server_name == (None if name is None else ServerName.parse(name))
    assert [protocol.decode("latin-1") for protocol in hello.alpn] == expected["alpn"]
    assert hello.legacy_version == int(expected["legacy_version"], 16)
    assert [f"0x{version:04x}" for version in hello.supported_versions] == (
        expected["supported_versions"]
    )
    assert hello.session_id.hex() == expected["session_id"]
    assert (None if hello.ticket is None else len(hello.ticket)) == expected["session_ticket_len"]
    assert (hello.ticket or b"")[:16].hex() == expected.get("session_ticket_first16", "")
    identities, ages = expected["psk_identities"], expected["psk_obfuscated_ticket_ages"]
    assert [(psk.identity.hex(), psk.obfuscated_age) for psk in hello.psk_identities] == (
        [*zip(identities, ages, strict=True)]
    )
    assert (hello.early_data, hello.ech) == (expected["early_data"], expected["ech_ext"])
    assert (event.records, len(hello.message) - 4) == (
        expected["records"],
        expected["client_hello_length"],
    )
    assert ja4(hello).startswith("t")


@_of(HELLOS)
def test_every_prefix_of_a_captured_hello_wants_more(item: Item) -> None:
    """Read byte by byte it is NEED_DATA up to the last byte, and then the same hello."""
    data = _bytes(item)
    peeker = HelloPeeker()
    for at in range(len(data)):
        assert peeker.next_event() is NEED_DATA
        peeker.receive_data(data[at : at + 1])
    assert peeker.next_event() == _peek(data)


@_of(HELLOS)
def test_a_captured_hello_is_the_same_at_every_cut(item: Item) -> None:
    """Cut at any byte over two reads or two records, and into 1-byte records, it says the same."""
    data = _bytes(item)
    whole = _peek(data)
    assert isinstance(whole, HelloReceived)
    message = whole.hello.message
    # A capture in records of one byte is already cut everywhere; cutting it costs its square.
    for cut in range(1, len(data), 1 if whole.records < len(message) else 997):
        assert _peek(data[:cut], data[cut:]) == whole
    for sizes in [[1] * len(message), *[[cut] for cut in range(1, len(message))]]:
        event = _peek(records(message, sizes))
        assert isinstance(event, HelloReceived)
        assert event.hello == whole.hello


@_of(STRANGERS)
def test_what_does_not_begin_with_tls_is_not_tls(item: Item) -> None:
    """QUIC, SSLv2, STARTTLS and proxy preambles are told from a broken hello, from byte one."""
    data = (FOLDER / item["file"]).read_bytes()
    for end in (1, len(data)):
        event = _peek(data[:end])
        assert isinstance(event, HelloRejected)
        assert event.error.reason is HelloFault.NOT_TLS


@_of(MALFORMED)
def test_a_malformed_capture_is_never_a_hello(item: Item) -> None:
    """A fuzzer's finds are refused, whole and byte by byte."""
    data = _bytes(item)
    for event in (_peek(data), _peek(*[data[at : at + 1] for at in range(len(data))])):
        assert isinstance(event, HelloRejected)
        assert event.error.reason is HelloFault.MALFORMED


def test_the_capture_with_the_wrong_label_is_a_hello() -> None:
    """Bytes decide, not labels: what follows the hello on the wire is left alone."""
    event = _peek((FOLDER / MISLABELLED).read_bytes())
    assert isinstance(event, HelloReceived)
    assert (event.hello.server_name, event.wire_bytes) == (None, 209)
