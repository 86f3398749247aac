"""The seven bytes that a refused client hears: a fatal TLS alert in the clear (RFC 9846 §6)."""

from enum import IntEnum
from typing import Final

# Content type 21, record version 3.3, fragment of 2 bytes, level 2 (fatal). RFC 9846 §5.1 asks for
# that version in every record but the first; clients of TLS 1.2 read it as well (test_alerts.py).
_FATAL_ALERT_HEAD: Final = bytes.fromhex("15 0303 0002 02")


class AlertDescription(IntEnum):
    """The alerts that a balancer has reason to send, by their registered numbers.

    The registry: https://www.iana.org/assignments/tls-parameters (TLS Alerts).
    """

    UNEXPECTED_MESSAGE = 10
    ILLEGAL_PARAMETER = 47
    DECODE_ERROR = 50
    INTERNAL_ERROR = 80
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120


def encode_alert(description: AlertDescription) -> bytes:
    """Encode one fatal alert as the record that goes on the wire: always 7 bytes."""
    return _FATAL_ALERT_HEAD + description.to_bytes(1, "big")
