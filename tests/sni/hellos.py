"""ClientHellos made at test time: by hand from their fields, or by Python's own TLS client."""

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SERVER_NAME = 0
SIGNATURE_ALGORITHMS = 13
ALPN = 16
SESSION_TICKET = 35
PRE_SHARED_KEY = 41
EARLY_DATA = 42
SUPPORTED_VERSIONS = 43
KEY_SHARE = 51
ENCRYPTED_CLIENT_HELLO = 0xFE0D

Extension = tuple[int, bytes]


def vector(prefix: int, data: bytes) -> bytes:
    """A vector: its length in ``prefix`` bytes, then its bytes."""
    return len(data).to_bytes(prefix, "big") + data


def u16(*values: int) -> bytes:
    """Numbers of 16 bits, one after the other."""
    return b"".join([value.to_bytes(2, "big") for value in values])


def host_name(name: bytes, name_type: int = 0) -> bytes:
    """One entry of a ServerNameList."""
    return bytes([name_type]) + vector(2, name)


def server_name(*entries: bytes) -> Extension:
    """A server_name extension of such entries; a plain name stands for its host_name."""
    listed = [entry if entry[:1] < b" " else host_name(entry) for entry in entries]
    return SERVER_NAME, vector(2, b"".join(listed))


def alpn(*names: bytes) -> Extension:
    """The protocols offered."""
    return ALPN, vector(2, b"".join([vector(1, name) for name in names]))


def supported_versions(*versions: int) -> Extension:
    """The TLS versions offered."""
    return SUPPORTED_VERSIONS, vector(1, u16(*versions))


def ticket(value: bytes = b"") -> Extension:
    """The TLS 1.2 session ticket."""
    return SESSION_TICKET, value


def early_data() -> Extension:
    """The announcement of 0-RTT data."""
    return EARLY_DATA, b""


def ech(payload: bytes = bytes(32)) -> Extension:
    """An outer Encrypted Client Hello, or its GREASE."""
    return ENCRYPTED_CLIENT_HELLO, b"\0" + u16(1, 1) + b"\x2a" + vector(2, bytes(32)) + vector(
        2, payload
    )


def pre_shared_key(
    *offered: tuple[bytes, int], binders: Sequence[bytes] | None = None
) -> Extension:
    """Identities with their obfuscated ages, and as many binders of 32 bytes unless given."""
    identities = b"".join([vector(2, name) + age.to_bytes(4, "big") for name, age in offered])
    if binders is None:
        binders = [bytes(32)] * len(offered)
    listed = b"".join([vector(1, binder) for binder in binders])
    return PRE_SHARED_KEY, vector(2, identities) + vector(2, listed)


@dataclass(frozen=True, slots=True)
class Hello:
    """The fields of a ClientHello; the defaults are a plain hello without extensions."""

    extensions: Sequence[Extension] | None = None
    session_id: bytes = b""
    cipher_suites: bytes = field(default_factory=lambda: u16(0x1301, 0xC02F))
    compression_methods: bytes = b"\0"
    legacy_version: int = 0x0303

    def message(self) -> bytes:
        """The handshake message, header included."""
        body = u16(self.legacy_version) + bytes(range(32)) + vector(1, self.session_id)
        body += vector(2, self.cipher_suites) + vector(1, self.compression_methods)
        if self.extensions is not None:
            listed = [u16(kind) + vector(2, data) for kind, data in self.extensions]
            body += vector(2, b"".join(listed))
        return b"\x01" + vector(3, body)

    def wire(self) -> bytes:
        """The message in one record."""
        return record(self.message())


def hello(*extensions: Extension) -> Hello:
    """A hello of these extensions."""
    return Hello(extensions)


def record(fragment: bytes, content_type: int = 0x16, version: int = 0x0301) -> bytes:
    """One TLS record."""
    return bytes([content_type]) + u16(version) + vector(2, fragment)


def records(message: bytes, sizes: Iterable[int]) -> bytes:
    """The message cut into records of these sizes; what is left over makes the last one."""
    wire = b""
    for size in sizes:
        if message:
            wire += record(message[:size])
            message = message[size:]
    return wire + record(message) if message else wire


def resuming(name: bytes = b"app.example.com") -> Hello:
    """A hello of a client that comes back, with every field that routing reads."""
    return Hello(
        extensions=(
            ech(),
            (0x2A2A, b""),
            server_name(name),
            alpn(b"h2", b"http/1.1"),
            supported_versions(0x4A4A, 0x0304, 0x0303),
            ticket(),
            (KEY_SHARE, vector(2, u16(0x001D) + vector(2, bytes(32)))),
            early_data(),
            pre_shared_key((b"first ticket" * 9, 1), (b"second", 0xFFFF_FFFF)),
        ),
        session_id=bytes(range(32)),
    )


def python_hello(
    name: str | None = "app.example.com",
    protocols: Sequence[str] = (),
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bytes:
    """The first flight of Python's own TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    context.maximum_version = newest
    context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a client that does not wait for its server")
