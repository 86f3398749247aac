"""TLS to a server that may be hostile: what it shows, what only this connection has, its bytes.

Nobody's name is checked here: who answers is what the evidence, bound to this very connection, is
to prove. There is no early data: nothing is said before the proof.
"""

import _ssl
import hashlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from attestation import Binding, MalformedEvidence, read_certificate
from l4proxy.agent.libssl import export
from l4proxy.agent.stream import Stream
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Shown, Target

MAX_CHAIN: Final = 8
"""Certificates that are kept of what a server sends: a chain to a root has three or four."""

HTTP: Final = "http/1.1"
"""The protocol that is offered by ALPN on every connection, as routes may ask for it."""

# CPython before 3.13 has the chain on the object inside.
_INNER, _CHAIN = "_sslobj", "get_unverified_chain"


class Offer(NamedTuple):
    """What a client offers in its hello.

    Attributes:
        protocols: By ALPN.
        session: To be resumed; None: a full handshake.

    """

    protocols: Sequence[str]
    session: ssl.SSLSession | None


class Line:
    """A connection whose handshake is done; whoever has it closes it.

    Attributes:
        stream: Its bytes.
        resumed: Whether the server goes on with the session that was offered.
        protocol: What was agreed on by ALPN; None: nothing.

    """

    def __init__(self, stream: Stream, tls: ssl.SSLSocket) -> None:
        self.stream = stream
        self._tls = tls
        self.resumed = bool(tls.session_reused)
        self.protocol = tls.selected_alpn_protocol()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What the next connection may resume: with the newest ticket that has come."""
        return self._tls.session

    def exporter(self) -> bytes | None:
        """Return what only the two ends of this connection know; None before TLS 1.3."""
        return export(self._tls) if self._tls.version() == "TLSv1.3" else None

    def shown(self, binding: Binding) -> Shown:
        """Return what the server has shown in this connection's full handshake.

        Raises:
            MalformedEvidence: Its certificate is none.

        """
        certificate = self._tls.getpeercert(binary_form=True)
        if certificate is None:
            raise MalformedEvidence("handshake: found no certificate, expected one")
        spki = read_certificate(certificate, binding).spki
        chain = _chain(self._tls)[1 : 1 + MAX_CHAIN]
        return Shown(certificate, chain, spki, hashlib.sha256(spki).digest())


def client_context(*, exporter: bool) -> ssl.SSLContext:
    """Return what a client connects with; sessions of one context belong to it alone.

    Args:
        exporter: Whether the policy asks for one: then nothing older than TLS 1.3 will do.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    oldest = ssl.TLSVersion.TLSv1_3 if exporter else ssl.TLSVersion.TLSv1_2
    context.minimum_version = oldest
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


async def greet(context: ssl.SSLContext, sock: socket.socket, target: Target, offer: Offer) -> Line:
    """Do the handshake on a connected socket, which is closed if it fails.

    Raises:
        NotAttested: It fails.

    """
    context.set_alpn_protocols(list(offer.protocols))
    try:
        tls = context.wrap_socket(
            sock,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
            server_hostname=target.server_name or None,
            session=offer.session,
        )
    except OSError as error:  # it was cut off before a word
        sock.close()
        raise NotAttested(Fault.TLS_FAILED, _words(error)) from error
    stream = Stream(tls)
    try:
        await stream.handshake()
        return Line(stream, tls)
    except OSError as error:
        stream.close(abort=True)
        raise NotAttested(Fault.TLS_FAILED, _words(error)) from error
    except BaseException:
        stream.close(abort=True)
        raise


def _chain(tls: ssl.SSLSocket) -> tuple[bytes, ...]:
    public: Callable[[], Sequence[bytes]] | None = getattr(tls, _CHAIN, None)
    if public is not None:
        return tuple(public())
    found: Callable[[], Sequence[_Certificate] | None] = getattr(getattr(tls, _INNER), _CHAIN)
    return tuple(one.public_bytes(_ssl.ENCODING_DER) for one in found() or ())


class _Certificate(Protocol):
    """What CPython's own object can do."""

    def public_bytes(self, form: int, /) -> bytes: ...


def _words(error: OSError) -> str:
    reason: str = getattr(error, "reason", "") or error.strerror or "cut off"
    return f"handshake: {reason.lower().replace('_', ' ')}"
