"""The agent's TLS: versions 1.2 and 1.3, one ticket key, no early data, no renegotiation."""

import os
import ssl
from collections.abc import Sequence

from l4proxy.agent.certificates import BadCertificate, Credentials
from l4proxy.agent.libssl import use_ticket_key
from l4proxy.evidence_wire import ALPN
from l4proxy.set_wire import SET_ALPN


def server_context(
    credentials: Credentials, ticket_key: bytes, protocols: Sequence[str]
) -> ssl.SSLContext:
    """Return what connections are served with.

    Args:
        credentials: Key and chain.
        ticket_key: 80 bytes; contexts with the same one resume each other's sessions.
        protocols: What the application speaks, by ALPN; asking for evidence goes before.

    Raises:
        BadCertificate: Key and chain do not belong together, or OpenSSL cannot read them.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols([SET_ALPN, ALPN, *protocols])
    _load(context, credentials)
    use_ticket_key(context, ticket_key)
    return context


def reader_context(credentials: Credentials) -> ssl.SSLContext:
    """Return what readers of telemetry are served with: TLS 1.3, and a handshake each time.

    Raises:
        BadCertificate: Key and chain do not belong together, or OpenSSL cannot read them.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    # Who comes back by a ticket would not have to show its certificate again.
    context.num_tickets = 0
    _load(context, credentials)
    return context


def _load(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Load key and chain through memory: `ssl` reads files only, and the key shall be in none."""
    descriptor = os.memfd_create("credentials", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(credentials.key + b"\n" + credentials.chain)
        file.flush()
        try:
            # With no password OpenSSL would ask a terminal for that of an encrypted key, and wait.
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
        except ssl.SSLError as error:
            why = error.reason or "unreadable"
            raise BadCertificate(f"key and certificate: {why.lower().replace('_', ' ')}") from error
