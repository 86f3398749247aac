"""What every plug-in has to promise, as tests that its author runs. The built-in ones pass them."""

from l4proxy.conformance.actuators import check_actuator_kind
from l4proxy.conformance.discovery import check_discovery_kind
from l4proxy.conformance.evidence import Sample, check_evidence_kind
from l4proxy.conformance.faults import NotConforming
from l4proxy.conformance.telemetry import TelemetrySample, check_telemetry_kind

__all__ = [
    "NotConforming",
    "Sample",
    "TelemetrySample",
    "check_actuator_kind",
    "check_discovery_kind",
    "check_evidence_kind",
    "check_telemetry_kind",
]
