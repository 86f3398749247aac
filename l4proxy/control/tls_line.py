"""TLS to a backend that may be hostile, over a line, as an ordinary client would speak it.

The certificate is not checked: that the backend is the enclave it should be is attestation's to
prove, and who speaks over this says nothing that would be worth stealing.
"""

import contextlib
import ssl
from functools import cache

from l4proxy.control.line import Line
from sni import ServerName

_READ_BYTES = 16 * 1024  # one TLS record

# A record of one alert: type, version, length 2, level, description (RFC 8446 §5.1, §6).
_ALERT_BYTES = 7

# In the clear of TLS 1.2: a record with a handshake message, and in it the client's certificate,
# which a client sends, if need be an empty one, when it was asked (RFC 5246 §7.4.6).
_HANDSHAKE, _CERTIFICATE = b"\x16", b"\x0b"
_MESSAGE_AT = 5  # behind the header of a record

# For TLS 1.2 what Python offers by default, less DHE: there the backend chooses the group, and one
# of 10,000 bits was measured to stop this thread, and all that it does, for 1.4 s a handshake.
_CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"


class TlsLine:
    """A TLS client over a line.

    Attributes:
        tls: What was agreed.
        greeted: Whether the handshake is complete.
        certificate: That the backend has shown, in DER; empty before the handshake.
        tail: The last bytes that came as they came: where an alert in the clear would stand.
        asked_for_certificate: Whether the backend wanted ours, as far as TLS 1.2 shows it.
    """

    def __init__(
        self,
        line: Line,
        server_name: ServerName | None,
        *,
        http: bool = False,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """Begin over a line; nothing is sent yet.

        Args:
            line: Connected before the handshake begins; it stays its owner's to close.
            server_name: Said in the hello; None: none is.
            http: Whether HTTP/1.1 is offered by ALPN.
            session: To come back with; None: this is a first visit.
        """
        self._line = line
        self._context = _context(http=http)
        self._name = None if server_name is None else str(server_name)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self._context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=self._name, session=session
        )
        self.greeted = False
        self.certificate = b""
        self.tail = b""
        self.asked_for_certificate = False

    async def greet(self) -> None:
        """Complete the handshake.

        Raises:
            ssl.SSLError: The backend does not.
            OSError: It has gone.
            TooLong: It has sent more than anybody reads.

        """
        while not self._shakes_hands():
            await self.more()
        await self._flush()
        self.greeted = True
        self.certificate = self.tls.getpeercert(binary_form=True) or b""

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            ssl.SSLError, OSError: The backend takes nothing more.

        """
        self.tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """Return what came next; nothing at the end of the stream.

        Raises:
            ssl.SSLError, OSError, TooLong: As of `greet`.

        """
        while (data := self.read()) is None:
            await self.more()
        return data

    def read(self) -> bytes | None:
        """Return what has come; nothing at the end of the stream, None: `more` must come first.

        Raises:
            ssl.SSLError: What came is no TLS, or breaks it off.

        """
        try:
            return self.tls.read(_READ_BYTES)
        except ssl.SSLWantReadError:
            return None

    async def more(self) -> None:
        """Send what is due, and take what comes next.

        Raises:
            OSError, TooLong: As of `greet`.

        """
        await self._flush()
        data = await self._line.receive()
        if data:
            self.tail = (self.tail + data)[-_ALERT_BYTES:]
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def leave(self) -> None:
        """Send close_notify, or the alert that a failed handshake calls for, and leave the line.

        Raises:
            OSError: The backend has gone.

        """
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self._flush()
        await self._line.leave()

    def hello_with(self, session: ssl.SSLSession) -> bytes:
        """Return the bytes that this client would begin with when it came back; none are sent."""
        written = ssl.MemoryBIO()
        again = self._context.wrap_bio(
            ssl.MemoryBIO(), written, server_hostname=self._name, session=session
        )
        with contextlib.suppress(ssl.SSLWantReadError):
            again.do_handshake()
        return written.read()

    def _shakes_hands(self) -> bool:
        """Go on with the handshake; return whether it is done or waits for more bytes."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data[:1] == _HANDSHAKE and data[_MESSAGE_AT : _MESSAGE_AT + 1] == _CERTIFICATE:
            self.asked_for_certificate = True
        if data:  # to send nothing would meet a reset, and hide what came before it
            await self._line.send(data)


@cache
def _context(*, http: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who answers is for attestation to prove
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    if http:
        context.set_alpn_protocols(["http/1.1"])
    return context
