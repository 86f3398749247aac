"""What backends tell of their load: asked for, doubted, and kept with its age.

    source       who may tell: the protocol of plug-ins, and what stands between them and us
    claims       what is believed of what was told: pure
    page         the samples of a metrics page that somebody asked for, and no others: pure
    answer       an HTTP answer, bounded, with or without chunks: pure
    connection   one connection to one backend, kept, and the key that it shows
    openmetrics  the built-in source: a metrics page of each backend, again and again
    keys         which key each backend has proved to be its own
    heard        what is known of one backend, and since when
    telemetry    all pools: who is watched, and what is known
    registry     the sources that are installed
    rules        how each pool of a configuration is watched

Telemetry is a claim. The balancer's own count is the truth about sessions; what stands here can
make a pool grow within its limits, and nothing that is missing makes it shrink.
"""

from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.heard import TelemetryRow
from l4proxy.control.scrape.source import (
    BadTelemetry,
    Report,
    ScrapeFault,
    Subject,
    TelemetryKind,
    TelemetrySource,
)
from l4proxy.control.scrape.telemetry import Telemetry, TelemetryRules

__all__ = [
    "BadTelemetry",
    "Refused",
    "Report",
    "ScrapeFault",
    "Subject",
    "Telemetry",
    "TelemetryKind",
    "TelemetryRow",
    "TelemetryRules",
    "TelemetrySource",
]
