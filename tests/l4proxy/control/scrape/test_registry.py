"""Sources that are installed, and what settings make of them."""

import pytest
from pydantic import ValidationError

from l4proxy.config.telemetry import TelemetrySettings
from l4proxy.control.scrape.openmetrics import PageSource
from l4proxy.control.scrape.registry import installed_sources, telemetry_rules
from l4proxy.control.scrape.source import BadTelemetry
from l4proxy.control.scrape.telemetry import TelemetryRules
from l4proxy.plugins import Group
from l4proxy.scaling.report import MetricName
from routing import PoolName
from tests.l4proxy.installing import Install, install

__all__ = ["install"]

APP = PoolName("app")

GOOD = """
from l4proxy.config.section import Section
from l4proxy.control.scrape.source import BadTelemetry
class Settings(Section):
    size: int = 1
class Tee:
    name, settings = "toy", Settings
    def make(self, settings, pool):
        raise BadTelemetry(f"{pool}: {settings.size}")
"""
"""A plug-in that refuses, so that a test sees what came."""


def rules(**block: object) -> TelemetryRules:
    """What a block makes, with a metric that scaling names besides."""
    settings = TelemetrySettings.model_validate(block)
    return telemetry_rules(APP, settings, installed_sources(), [MetricName("queue")], (None, True))


def test_a_metrics_page_is_asked_unless_somebody_says_otherwise() -> None:
    """With the metrics that scaling names besides."""
    found = rules()
    assert isinstance(found.source, PageSource)
    assert MetricName("queue") in found.wanted
    assert found.attested


@pytest.mark.parametrize(("source", "size"), [({"toy": {"size": 5}}, 5), ("toy", 1)])
def test_a_plug_in_is_made_with_its_own_settings(
    install: Install, source: object, size: int
) -> None:
    """It sees what stands below its name, read by its own model."""
    install(GOOD, group=Group.TELEMETRY)
    with pytest.raises(BadTelemetry, match=f"app: {size}"):
        rules(source=source)


def test_a_plug_in_that_fails_is_a_mistake(install: Install) -> None:
    """Of the configuration that names it; who reads it goes on."""
    install(GOOD.replace("raise BadTelemetry", "raise OSError"), group=Group.TELEMETRY)
    with pytest.raises(BadTelemetry, match="pool app: toy: found OSError: app: 1, expected a"):
        rules(source="toy")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (GOOD.replace("(Section)", "(__import__('pydantic').BaseModel)"), "that take any key"),
        (GOOD.replace('"toy", Settings', '"toy", 5'), "found settings 5"),
        (GOOD.replace("make", "build"), r"found no make\(\), expected that of TelemetryKind"),
        ("raise SystemError('imported')", r"telemetry source toy of toy-tee 1\.0"),
    ],
)
def test_what_has_not_the_shape_of_a_source_is_refused(
    install: Install, code: str, said: str
) -> None:
    """When it is named, and not before."""
    install(code, group=Group.TELEMETRY)
    assert isinstance(rules().source, PageSource)
    with pytest.raises(ValidationError, match=said):
        rules(source="toy")
