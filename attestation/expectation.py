"""What the verifier knows itself, from its own end of a connection, and so expects of evidence."""

from dataclasses import dataclass
from typing import Final

EXPORTER: Final = 32
"""Bytes of the TLS exporter value that binds evidence to a connection (RFC 9266 §2)."""

EXPORTER_LABEL: Final = "EXPORTER-Channel-Binding"
"""The label under which both ends derive it, without a context, in TLS 1.3 (RFC 9266 §2)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected; None where the verifier does not know, so that it can be told apart.

    Attributes:
        certificate: The certificate of the connection, in DER, as it stands.
        chain: Those that came with it, in DER, in their order.
        spki: The key of that certificate, as it stands.
        exporter: The connection's TLS exporter value: 32 bytes, TLS 1.3 only.
        nonce: What was asked of the TEE to sign, fresh and unguessable.
        bound_data: What its user data or report data must be, to the byte.
        public_key: What the document's own public key field must be.
        live: Whether there is a connection; if so its key and freshness are asked for in any case,
            else only what the policy names, or stands here.

    """

    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    spki: bytes | None = None
    exporter: bytes | None = None
    nonce: bytes | None = None
    bound_data: bytes | None = None
    public_key: bytes | None = None
    live: bool = True
