"""What can be wrong with the first bytes of a connection.

The tree; every leaf is the client's fault, except where ``ServerName.parse`` reads a name that an
operator wrote::

    HelloError
    ├── NotTls                  not_tls           no alert: the peer does not speak TLS
    ├── MalformedHello          malformed         decode_error
    │   └── UnexpectedMessage   malformed         unexpected_message
    ├── AmbiguousHello          ambiguous         illegal_parameter
    ├── HelloTooLong            too_long          decode_error
    ├── TooManyRecords          too_many_records  decode_error
    ├── BadServerName           bad_server_name   unrecognized_name   (also a ValueError)
    └── TruncatedHello          truncated         no alert: the client has gone

The second column is the label in metrics and logs, the third what the client hears. A message says
what was found and what was expected; of the client's bytes it holds a short, escaped piece at most.
"""

from enum import Enum
from typing import ClassVar

from sni.alerts import AlertDescription


class HelloFault(Enum):
    """Why a hello is refused; the values are stable metric labels."""

    NOT_TLS = "not_tls"
    MALFORMED = "malformed"
    AMBIGUOUS = "ambiguous"
    TOO_LONG = "too_long"
    TOO_MANY_RECORDS = "too_many_records"
    BAD_SERVER_NAME = "bad_server_name"
    TRUNCATED = "truncated"


class HelloError(Exception):
    """The root of the tree; only its leaves are raised.

    Attributes:
        reason: The fault, for metrics and logs.
        alert: What the client hears; None: nothing, the connection is just closed.

    """

    reason: ClassVar[HelloFault]
    alert: ClassVar[AlertDescription | None]


class NotTls(HelloError):
    """The connection does not begin with a TLS handshake record (HTTP, SSH, SSLv2, noise …)."""

    reason = HelloFault.NOT_TLS
    alert = None


class MalformedHello(HelloError):
    """A length points outside its container, or a field holds what its RFC forbids."""

    reason = HelloFault.MALFORMED
    alert = AlertDescription.DECODE_ERROR


class UnexpectedMessage(MalformedHello):
    """TLS, but a record or a handshake message that has no place before the end of the hello."""

    alert = AlertDescription.UNEXPECTED_MESSAGE


class AmbiguousHello(HelloError):
    """Two readers could take different server names from this hello, so nobody may choose one."""

    reason = HelloFault.AMBIGUOUS
    alert = AlertDescription.ILLEGAL_PARAMETER


class HelloTooLong(HelloError):
    """The hello takes, or announces, more bytes than the limit."""

    reason = HelloFault.TOO_LONG
    alert = AlertDescription.DECODE_ERROR


class TooManyRecords(HelloError):
    """The hello is cut into more records than the limit."""

    reason = HelloFault.TOO_MANY_RECORDS
    alert = AlertDescription.DECODE_ERROR


class BadServerName(HelloError, ValueError):
    """The bytes cannot be a DNS host name.

    A ValueError too: the same parser reads the names in a configuration.
    """

    reason = HelloFault.BAD_SERVER_NAME
    alert = AlertDescription.UNRECOGNIZED_NAME


class TruncatedHello(HelloError):
    """The client closed its side before the hello was whole."""

    reason = HelloFault.TRUNCATED
    alert = None
