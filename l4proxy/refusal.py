"""Why a client is refused, what it hears and what the operator reads: one total map.

The label is the same in metric and log. With `refusal: alert` the client hears the alert, with
`close` only the end of the connection, with `reset` a reset. What is not TLS never hears an alert:
it could not read one.
"""

from dataclasses import dataclass
from enum import Enum

from l4proxy.proxy_protocol import ProxyHeaderError, ProxyHeaderFault
from routing import RefusalReason
from sni import AlertDescription, HelloError, HelloFault, encode_alert


class RefusalStyle(Enum):
    """How a refused client is told; the values are those of the configuration."""

    ALERT = "alert"
    CLOSE = "close"
    RESET = "reset"


class LocalReason(Enum):
    """Reasons that arise outside hello and decision; the values are metric labels."""

    HELLO_TIMEOUT = "hello_timeout"
    NO_BACKEND_ANSWERED = "no_backend_answered"
    PROXY_UNTRUSTED = "proxy_untrusted"
    CLIENT_LIMIT = "client_limit"
    TOO_MANY_WAITING = "too_many_waiting"
    CLIENT_RESET = "client_reset"
    NO_DESCRIPTORS = "no_descriptors"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal.

    Attributes:
        label: The reason, for metrics and logs.
        alert: What the client hears; None: nothing, for it cannot listen.
    """

    label: str
    alert: AlertDescription | None

    def words(self, style: RefusalStyle) -> bytes | None:
        """Return what goes before the end of the connection; None: nothing but a reset."""
        if style is RefusalStyle.RESET:
            return None
        if style is RefusalStyle.CLOSE or self.alert is None:
            return b""
        return encode_alert(self.alert)


_DECIDED = {
    RefusalReason.UNKNOWN_SERVER_NAME: AlertDescription.UNRECOGNIZED_NAME,
    RefusalReason.NO_SERVER_NAME: AlertDescription.UNRECOGNIZED_NAME,
    RefusalReason.NO_ALPN_MATCH: AlertDescription.NO_APPLICATION_PROTOCOL,
    RefusalReason.NO_ELIGIBLE_BACKEND: AlertDescription.INTERNAL_ERROR,
    LocalReason.NO_BACKEND_ANSWERED: AlertDescription.INTERNAL_ERROR,
    # A client that is too slow to say hello is not waiting for an answer in TLS.
    LocalReason.HELLO_TIMEOUT: None,
    LocalReason.PROXY_UNTRUSTED: None,
    LocalReason.CLIENT_LIMIT: None,
    LocalReason.TOO_MANY_WAITING: None,
    LocalReason.CLIENT_RESET: None,
    LocalReason.NO_DESCRIPTORS: None,
    LocalReason.SHUTDOWN: None,
}


def refusal_of(
    reason: HelloError | ProxyHeaderError | RefusalReason | LocalReason,
) -> Refusal:
    """Return the refusal for a reason; every reason has one."""
    if isinstance(reason, HelloError):
        return Refusal(reason.reason.value, reason.alert)
    if isinstance(reason, ProxyHeaderError):
        return Refusal(reason.reason.value, None)
    return Refusal(reason.value, _DECIDED[reason])


def labels() -> tuple[str, ...]:
    """Return every label there can be, so that a metric can show its zeros."""
    return tuple(reason.value for reason in (*HelloFault, *ProxyHeaderFault, *_DECIDED))
