"""What did the client ask for? The ground floor: bytes of a ClientHello in, an immutable value out.

The story in three lines::

    peeker = HelloPeeker()
    peeker.receive_data(chunk)      # as it came from the socket, any split
    event = peeker.next_event()     # NEED_DATA | HelloReceived(hello, …) | HelloRejected(error)

``hello.server_name`` and ``hello.alpn`` choose the route, ``offered_tickets(hello)`` the backend
that holds the session, ``peeker.received`` is what that backend gets first, unchanged. Whether it
went on with the session shows in its answer, to a ``ServerFlight``.

"Read more", "not ours" and "broken" are three answers: a hello that could not be read is never one
without a name. There is one parser, and it checks the whole hello.

Standard library only; no I/O, no clock, no randomness, no log.
"""

from sni.alerts import AlertDescription, encode_alert
from sni.client_hello import ClientHello, parse_client_hello
from sni.errors import (
    AmbiguousHello,
    BadServerName,
    HelloError,
    HelloFault,
    HelloTooLong,
    MalformedHello,
    NotTls,
    TooManyRecords,
    TruncatedHello,
    UnexpectedMessage,
)
from sni.fingerprint import ja4
from sni.peek import (
    NEED_DATA,
    HelloPeeker,
    HelloReceived,
    HelloRejected,
    NeedData,
    PeekEvent,
)
from sni.pre_shared_key import PskIdentity
from sni.records import MAX_HELLO_BYTES, MAX_HELLO_RECORDS, HelloLimits
from sni.server_flight import (
    FlightFault,
    FlightRead,
    FlightUnread,
    ServerFlight,
    ServerFlightEvent,
)
from sni.server_name import ServerName
from sni.tickets import offered_session_id, offered_tickets

__all__ = [
    "MAX_HELLO_BYTES",
    "MAX_HELLO_RECORDS",
    "NEED_DATA",
    "AlertDescription",
    "AmbiguousHello",
    "BadServerName",
    "ClientHello",
    "FlightFault",
    "FlightRead",
    "FlightUnread",
    "HelloError",
    "HelloFault",
    "HelloLimits",
    "HelloPeeker",
    "HelloReceived",
    "HelloRejected",
    "HelloTooLong",
    "MalformedHello",
    "NeedData",
    "NotTls",
    "PeekEvent",
    "PskIdentity",
    "ServerFlight",
    "ServerFlightEvent",
    "ServerName",
    "TooManyRecords",
    "TruncatedHello",
    "UnexpectedMessage",
    "encode_alert",
    "ja4",
    "offered_session_id",
    "offered_tickets",
    "parse_client_hello",
]
