"""What the plug-ins' author runs: `pytest author_tests.py`, with the plug-ins installed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from acme_scaling.actuator import AcmeActuator
from acme_scaling.discovery import AcmeDiscovery
from acme_scaling.telemetry import AcmeTelemetry
from acme_tee import AcmeTee, sign

from attestation import Evidence
from l4proxy.conformance import (
    Sample,
    TelemetrySample,
    check_actuator_kind,
    check_discovery_kind,
    check_evidence_kind,
    check_telemetry_kind,
)
from l4proxy.control.scrape import Subject
from l4proxy.plugins import installed_kinds
from l4proxy.scaling.report import MetricName
from l4proxy.series import Series
from routing import Address, BackendName, PoolName

NOW = 1_800_000_000
CODE = bytes(range(32))
DOCUMENT = sign(CODE, b"", NOW - 60, NOW + 60)
QUEUE = MetricName("queue")


def test_our_kind_keeps_its_promises() -> None:
    """Every promise of the protocol, on genuine evidence."""
    sample = Sample(
        evidence=Evidence("acme", DOCUMENT, {}),
        now=NOW,
        demands={"measurement": CODE.hex()},
        others={"measurement": "11" * 32},
    )
    check_evidence_kind(AcmeTee(), sample)


def test_our_kind_is_registered() -> None:
    """A policy finds it by its name."""
    assert type(installed_kinds()["acme"]).__name__ == "AcmeTee"


def test_our_actuator_keeps_its_promises(tmp_path: Path) -> None:
    """Every promise of the protocol; a folder that is not there is one to fail with."""
    settings, failing = f"file: {tmp_path}/wanted", f"file: {tmp_path}/missing/wanted"
    check_actuator_kind(AcmeActuator(), settings, failing=failing)
    assert (tmp_path / "wanted").read_text() == "app 3\n"


def test_our_discovery_keeps_its_promises(tmp_path: Path) -> None:
    """Every promise of the protocol, with machines to find."""
    (tmp_path / "machines").write_text("192.0.2.1 443\n2001:db8::1 443\n")
    check_discovery_kind(AcmeDiscovery(), f"file: {tmp_path}/machines")


def test_our_telemetry_keeps_its_promises(tmp_path: Path) -> None:
    """Every promise of the protocol, with a machine that tells."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[Subject]:
        (tmp_path / "192.0.2.1-443").write_text(json.dumps({"depth": 7, "other": "x"}))
        wanted = {QUEUE: Series("depth")}
        yield Subject(PoolName("app"), BackendName("a"), Address("192.0.2.1", 443), wanted)

    sample = TelemetrySample(f"folder: {tmp_path}\nevery: 100ms", serve, {QUEUE: 7.0})
    check_telemetry_kind(AcmeTelemetry(), sample)
