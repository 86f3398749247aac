"""What can be wrong with a PROXY header.

What was read; every leaf is the fault of the proxy before us, or of somebody who is none::

    ProxyHeaderError
    ├── NoProxyHeader         proxy_header_missing    it speaks, but not the PROXY protocol
    ├── MalformedProxyHeader  proxy_header_malformed  it speaks it wrongly
    ├── ProxyHeaderTooLong    proxy_header_too_long   it says more than we take
    └── TruncatedProxyHeader  proxy_header_truncated  it has gone before the end

The second column is the label in metrics and logs. Nobody hears an alert: until the header is whole
we do not know who is there, nor that TLS follows. A message says what was found and what was
expected; of the peer's bytes it holds a short, escaped piece at most.

What is to be written: ``BadProxyHeader``, the fault of whoever made the header.
"""

from enum import Enum
from typing import ClassVar


class ProxyHeaderFault(Enum):
    """Why a PROXY header is refused; the values are stable metric labels."""

    MISSING = "proxy_header_missing"
    MALFORMED = "proxy_header_malformed"
    TOO_LONG = "proxy_header_too_long"
    TRUNCATED = "proxy_header_truncated"


class ProxyHeaderError(Exception):
    """The root of the tree; only its leaves are raised.

    Attributes:
        reason: The fault, for metrics and logs.

    """

    reason: ClassVar[ProxyHeaderFault]


class NoProxyHeader(ProxyHeaderError):
    """The connection begins with something else: TLS, HTTP or noise."""

    reason = ProxyHeaderFault.MISSING


class MalformedProxyHeader(ProxyHeaderError):
    """It begins as a PROXY header does, and goes on as none may."""

    reason = ProxyHeaderFault.MALFORMED


class ProxyHeaderTooLong(ProxyHeaderError):
    """A header that may be in order, but takes or announces more than our limits."""

    reason = ProxyHeaderFault.TOO_LONG


class TruncatedProxyHeader(ProxyHeaderError):
    """The peer closed its side before the header was whole."""

    reason = ProxyHeaderFault.TRUNCATED


class BadProxyHeader(ValueError):
    """These parts make no PROXY header that could be written."""
