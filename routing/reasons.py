"""Why a decision fell as it did. The values are the labels of log lines and metrics: stable."""

from enum import StrEnum


class Why(StrEnum):
    """What led to the backend that was chosen, in the order in which it is asked."""

    ROUTABLE = "routable"
    LEARNED = "learned"
    EXTERNAL_PSK = "external_psk"
    OBSERVED = "observed"
    SESSION_ID = "session_id"
    INSTANCE = "instance"
    RESERVATION = "reservation"
    SELECTED = "selected"

    __hash__ = str.__hash__  # an enumeration's own is Python code, and one is hashed a connection


class Ineligible(StrEnum):
    """Why a backend may not have this connection."""

    TRIED = "tried"
    UNHEALTHY = "unhealthy"
    UNTRUSTED = "untrusted"
    STANDBY = "standby"
    DRAINING = "draining"
    DRAIN_EXPIRED = "drain_expired"
    FULL = "full"
    CONNECTIONS_FULL = "connections_full"


class HoldReason(StrEnum):
    """What a held hello waits for."""

    UNKNOWN_TICKET_NAME = "unknown_ticket_name"
    NO_ELIGIBLE_BACKEND = "no_eligible_backend"


class RefusalReason(StrEnum):
    """Why nobody serves this client."""

    UNKNOWN_SERVER_NAME = "unknown_server_name"
    NO_SERVER_NAME = "no_server_name"
    NO_ALPN_MATCH = "no_alpn_match"
    NO_ELIGIBLE_BACKEND = "no_eligible_backend"
