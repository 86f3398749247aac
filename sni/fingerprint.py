"""JA4: one short word for how a client's TLS stack is set up, for logs. It never routes.

Written from the public description of JA4, the TLS client fingerprint; variant ``t``, TLS over TCP:
https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from sni.client_hello import ALPN, SERVER_NAME, ClientHello, extension_body, split_client_hello
from sni.wire import Cursor, numbers

_SIGNATURE_ALGORITHMS: Final = 0x000D
_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}
_GREASE: Final = frozenset(range(0x0A0A, 0x10000, 0x1010))  # what clients make up (RFC 8701)
_MAX_COUNT: Final = 99  # two digits
_HASH_LENGTH: Final = 12
_NO_HASH: Final = "0" * _HASH_LENGTH


def ja4(hello: ClientHello) -> str:
    """Return the fingerprint, such as ``t13d1516h2_…_…``, of what ``parse_client_hello`` returned.

    Raises:
        MalformedHello: The signature algorithms, which routing does not read, are not well formed.

    """
    ciphers, starts = split_client_hello(hello.message)
    suites = _without_grease(numbers(ciphers, "cipher suites"))
    extensions = _without_grease(starts)
    version = max(_without_grease(hello.supported_versions), default=hello.legacy_version)
    algorithms = starts.get(_SIGNATURE_ALGORITHMS)
    body = None if algorithms is None else extension_body(hello.message, algorithms)
    return (
        f"t{_VERSIONS.get(version, '00')}{'d' if SERVER_NAME in starts else 'i'}"
        f"{min(len(suites), _MAX_COUNT):02}{min(len(extensions), _MAX_COUNT):02}"
        f"{_first_protocol(hello.alpn)}"
        f"_{_hash(_hex(sorted(suites)))}"
        f"_{_hash(_extension_text(extensions, body))}"
    )


def _extension_text(extensions: list[int], signature_algorithms: bytes | None) -> str:
    # The name and the protocols say where the client goes, not what it is.
    text = _hex(sorted(set(extensions) - {SERVER_NAME, ALPN}))
    if signature_algorithms is None:
        return text
    extension = Cursor(signature_algorithms, "signature_algorithms")
    algorithms = numbers(extension.vector(2), "signature_algorithms")
    return f"{text}_{_hex(_without_grease(algorithms))}"


def _first_protocol(alpn: tuple[bytes, ...]) -> str:
    """First and last character of the first protocol, or of its hex form: both alphanumeric."""
    if not alpn:
        return "00"
    first = alpn[0]
    if first[:1].isalnum() and first[-1:].isalnum():
        return chr(first[0]) + chr(first[-1])
    text = first.hex()
    return text[0] + text[-1]


def _without_grease(values: Iterable[int]) -> list[int]:
    return [value for value in values if value not in _GREASE]


def _hex(values: Iterable[int]) -> str:
    return ",".join([f"{value:04x}" for value in values])


def _hash(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()[:_HASH_LENGTH] if text else _NO_HASH
