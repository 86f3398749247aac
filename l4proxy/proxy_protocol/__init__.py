"""The PROXY protocol, version 1 and 2, in both directions: who a relayed client is.

The story in three lines::

    reader = HeaderReader()
    reader.receive_data(chunk)    # as it came from the socket, any split
    event = reader.next_event()   # NEED_DATA | HeaderReceived(header, rest) | HeaderRejected(error)

``header.source`` is the client, or None: take the connection for what it is. ``rest`` is the
client's first bytes. Towards a backend: ``encode_v2(ProxyHeader.relayed(client, us, …))``, sent
before the hello in one piece with it.

Numbers of sections are those of HAProxy's ``doc/proxy-protocol.txt``. Where it leaves a choice:

* A stream is all that is relayed here: a datagram's header is malformed.
* LOCAL and unspecified families are skipped whole: no endpoints, no extras.
* Strict to the letter in what a line of version 1 may be, but for dots in a mapped IPv6 address.
* A second ALPN, AUTHORITY, UNIQUE_ID or checksum is malformed: nobody may choose one.
* NOOP is skipped, a checksum verified; neither is ever part of a ProxyHeader. All other extras are
  kept as they are, SSL among them: a passthrough knows nothing better.

No I/O, no clock, no randomness, no log.
"""

from l4proxy.proxy_protocol.errors import (
    BadProxyHeader,
    MalformedProxyHeader,
    NoProxyHeader,
    ProxyHeaderError,
    ProxyHeaderFault,
    ProxyHeaderTooLong,
    TruncatedProxyHeader,
)
from l4proxy.proxy_protocol.header import (
    Endpoint,
    IpEndpoint,
    ProxyHeader,
    Tlv,
    TlvType,
    UnixEndpoint,
)
from l4proxy.proxy_protocol.reader import (
    MAX_HEADER_BYTES,
    HeaderEvent,
    HeaderReader,
    HeaderReceived,
    HeaderRejected,
)
from l4proxy.proxy_protocol.v1 import encode_v1
from l4proxy.proxy_protocol.v2 import encode_v2
from sni import NEED_DATA

__all__ = [
    "MAX_HEADER_BYTES",
    "NEED_DATA",
    "BadProxyHeader",
    "Endpoint",
    "HeaderEvent",
    "HeaderReader",
    "HeaderReceived",
    "HeaderRejected",
    "IpEndpoint",
    "MalformedProxyHeader",
    "NoProxyHeader",
    "ProxyHeader",
    "ProxyHeaderError",
    "ProxyHeaderFault",
    "ProxyHeaderTooLong",
    "Tlv",
    "TlvType",
    "TruncatedProxyHeader",
    "UnixEndpoint",
    "encode_v1",
    "encode_v2",
]
