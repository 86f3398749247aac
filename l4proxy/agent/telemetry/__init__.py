"""What the enclave says of its load, to those who may hear it, and nothing beside it."""

from l4proxy.agent.telemetry.board import Board
from l4proxy.agent.telemetry.server import MOST_SCRAPERS, TelemetryServer, open_telemetry
from l4proxy.agent.telemetry.traffic import Traffic

__all__ = ["MOST_SCRAPERS", "Board", "TelemetryServer", "Traffic", "open_telemetry"]
