"""TLS to a backend that may be hostile: its certificates, its exporter value, its bytes.

Nobody's name is checked here: who answers is what the evidence, bound to this very connection, is
to prove. Python's own `ssl` has no exporter, so this is pyOpenSSL, over memory buffers.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import cache

from OpenSSL import SSL, crypto

from attestation import EXPORTER, EXPORTER_LABEL
from l4proxy.control.line import Line
from sni import ServerName

MAX_CHAIN = 8
"""Certificates that are kept of what a backend sends: a chain to a root has three or four."""

_READ_BYTES = 16 * 1024  # one TLS record

# No DHE: there the backend chooses the group, and one of 10,000 bits stops this thread for 1.4 s.
_CIPHERS = b"DEFAULT:!kDHE"


class BrokenTls(Exception):
    """The backend broke the TLS off, or does not speak it as we do."""


class SecureLine:
    """A TLS client over a line.

    Attributes:
        certificate: Of this connection, in DER, as it stands; empty before the handshake.
        chain: Those that came with it, in DER.
        exporter: The exporter value of this connection; None where TLS is older than 1.3.
        protocol: Which of those offered the backend has chosen; empty: none.
    """

    def __init__(
        self, line: Line, server_name: ServerName | None, protocols: Sequence[str] = ("http/1.1",)
    ) -> None:
        """Begin over a line that is connected; nothing is sent yet."""
        self._line = line
        self._tls = SSL.Connection(_context(), None)
        self._tls.set_alpn_protos([name.encode("ascii") for name in protocols])
        self._tls.set_connect_state()
        if server_name is not None:
            self._tls.set_tlsext_host_name(str(server_name).encode("ascii"))
        self.certificate = b""
        self.chain: tuple[bytes, ...] = ()
        self.exporter: bytes | None = None
        self.protocol = ""

    async def greet(self) -> None:
        """Complete the handshake.

        Raises:
            BrokenTls: The backend does not.
            OSError: It has gone.
            TooLong: It has sent more than anybody reads.

        """
        while not self._try(self._tls.do_handshake):
            await self._exchange()
        await self._flush()
        shown = self._tls.get_peer_cert_chain() or []
        if not shown:
            raise BrokenTls("no certificate")
        self.certificate, *others = map(_der, shown[: 1 + MAX_CHAIN])
        self.chain = tuple(others)
        self.protocol = self._tls.get_alpn_proto_negotiated().decode("latin-1")
        if self._tls.get_protocol_version_name() == "TLSv1.3":
            label = EXPORTER_LABEL.encode("ascii")
            self.exporter = self._tls.export_keying_material(label, EXPORTER)

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            BrokenTls, OSError: The backend takes nothing more.

        """
        self._try(lambda: self._tls.send(data))
        await self._flush()

    async def receive(self) -> bytes:
        """Return what came next; nothing at the end of the stream.

        Raises:
            BrokenTls, OSError, TooLong: As of `greet`.

        """
        came = list[bytes]()
        while not self._try(lambda: came.append(self._read())):
            await self._exchange()
        return came[0]

    async def leave(self) -> None:
        """Say goodbye and leave the line.

        Raises:
            OSError: The backend has gone.

        """
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()
        await self._flush()
        await self._line.leave()

    def _read(self) -> bytes:
        try:
            return self._tls.recv(_READ_BYTES)
        except SSL.ZeroReturnError:  # a goodbye in good order
            return b""

    def _try(self, step: Callable[[], object]) -> bool:
        """Take a step; return whether it is done or has to wait for more bytes."""
        try:
            step()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise BrokenTls(_words(error)) from None
        return True

    async def _exchange(self) -> None:
        await self._flush()
        data = await self._line.receive()
        if data:
            self._tls.bio_write(data)
        else:
            self._tls.bio_shutdown()

    async def _flush(self) -> None:
        while True:
            try:
                data = self._tls.bio_read(_READ_BYTES)
            except SSL.WantReadError:
                return
            await self._line.send(data)


def _words(error: SSL.Error) -> str:
    """Return what OpenSSL says: `[(library, function, reason), …]`, or nothing at an early end."""
    reasons = error.args[0] if error.args else None
    if isinstance(reasons, list) and reasons:
        return str(reasons[0][-1])[:60]
    return "closed"


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


@cache
def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)  # who answers is for the evidence to prove
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_cipher_list(_CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context
