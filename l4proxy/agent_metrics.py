"""What the agent's telemetry is called: the agent writes these names, balancers read them.

Standard library only, and no I/O: both sides import it.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

METRICS_PATH: Final = "/metrics"
"""Where the agent's telemetry listener has them."""

DESCRIPTION_PATH: Final = "/telemetry"
"""Where it has the description whose digest stands in the evidence."""

MEDIA_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The form of the page: OpenMetrics 1.0."""

PREFIX: Final = "l4proxy_agent_"
"""What the agent's own series begin with; an application's series never do."""

CPU: Final = "l4proxy_agent_cpu"
"""Gauge: share of the processors that was used in the last seconds, 0 to 1."""

MEMORY: Final = "l4proxy_agent_memory"
"""Gauge: share of the memory that cannot be had any more, 0 to 1."""

HTTP_REQUESTS: Final = "l4proxy_agent_http_requests_total"
"""Counter: HTTP/1 requests that clients have sent to the application since the agent started."""

OPEN_SESSIONS: Final = "l4proxy_agent_open_sessions"
"""Gauge: client connections that are passed on to the application now."""

CAPACITY: Final = "l4proxy_agent_capacity"
"""Gauge: sessions that the enclave can take, as its settings say."""

AGENT_METRICS: Final = (CPU, MEMORY, HTTP_REQUESTS, OPEN_SESSIONS, CAPACITY)
"""Every series of the agent's own."""

_VERSION = 1


class Scrapers(StrEnum):
    """What whoever reads the telemetry has to show."""

    TOKEN = "token"  # noqa: S105 - the name of a way, not a secret
    CLIENT_CA = "client-ca"


def describe(metrics: Iterable[str], scrapers: Scrapers) -> bytes:
    """Return the description of an agent's telemetry; the evidence holds its SHA-256.

    Canonical JSON (RFC 8785): what may leave the enclave, in order, and what readers have to show.
    """
    document = {
        "metrics": sorted(set(metrics)),
        "scrapers": scrapers.value,
        "telemetry": _VERSION,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
