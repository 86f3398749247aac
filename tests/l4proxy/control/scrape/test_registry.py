"""Sources that are installed, and what settings make of them."""

from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel

from l4proxy.config.section import Section
from l4proxy.config.telemetry import TelemetrySettings
from l4proxy.control.scrape.openmetrics import PageSource
from l4proxy.control.scrape.registry import InstalledSources, _checked, telemetry_rules
from l4proxy.control.scrape.source import BadTelemetry, TelemetrySource
from l4proxy.plugins import BadPlugin, Group, Plugin
from l4proxy.scaling.report import MetricName
from routing import PoolName

APP = PoolName("app")


class AcmeSettings(Section):
    """Settings of a plug-in."""

    size: int = 1
    """Something."""


class Acme:
    """A plug-in."""

    name = "acme"
    settings = AcmeSettings

    def make(self, settings: AcmeSettings, pool: PoolName) -> TelemetrySource:
        """Refuse, so that a test sees what came."""
        raise BadTelemetry(f"{pool}: {settings.size}")


class Failing(Acme):
    """A plug-in whose code is wrong."""

    def make(self, settings: AcmeSettings, pool: PoolName) -> TelemetrySource:
        """Fail."""
        raise FileNotFoundError(pool, settings.size)


class Loose(BaseModel):
    """Settings that take any key."""


class LooseKind(Acme):
    """A plug-in that would swallow mistakes."""

    settings = Loose  # type: ignore[assignment]  # what is to be refused


class NoSettings(Acme):
    """A plug-in without settings."""

    settings = 5  # type: ignore[assignment]  # what is to be refused


class NoMake:
    """A plug-in that makes nothing."""

    name = "acme"
    settings = AcmeSettings


def installed(*, target: str = f"{__name__}:Acme") -> InstalledSources:
    """Ours and a plug-in."""
    ours = "l4proxy.control.scrape.openmetrics:OpenMetrics"
    found = [("openmetrics", ours, "l4proxy"), ("acme", target, "acme")]
    return InstalledSources(
        [
            Plugin(Group.TELEMETRY, name, value, whose, "1", EntryPoint(name, value, "x"))
            for name, value, whose in found
        ],
        _checked,
    )


def settings(**block: object) -> TelemetrySettings:
    """A block, read."""
    return TelemetrySettings.model_validate(block)


def test_a_metrics_page_is_asked_unless_somebody_says_otherwise() -> None:
    """With the metrics that scaling names besides."""
    rules = telemetry_rules(APP, settings(), installed(), [MetricName("queue")], (None, True))
    assert isinstance(rules.source, PageSource)
    assert MetricName("queue") in rules.wanted
    assert rules.attested


def test_a_plug_in_is_made_with_its_own_settings() -> None:
    """It sees what stands below its name, read by its own model."""
    with pytest.raises(BadTelemetry, match="app: 5"):
        telemetry_rules(APP, settings(source={"acme": {"size": 5}}), installed())


@pytest.mark.parametrize(
    ("source", "said"),
    [({"size": "x"}, r"acme\.size"), ({"sise": 1}, "acme: .*|acme.sise: .*")],
)
def test_settings_that_a_plug_in_does_not_take_are_a_mistake(
    source: dict[str, object], said: str
) -> None:
    """With the place."""
    with pytest.raises(BadTelemetry, match=said):
        telemetry_rules(APP, settings(source={"acme": source}), installed())


def test_a_plug_in_that_fails_is_a_mistake() -> None:
    """Of the configuration that names it; who reads it goes on."""
    sources = installed(target=f"{__name__}:Failing")
    with pytest.raises(BadTelemetry, match="pool app: acme: found FileNotFoundError: "):
        telemetry_rules(APP, settings(source={"acme": {}}), sources)


def test_what_nobody_has_registered_is_said() -> None:
    """With what there is."""
    with pytest.raises(BadPlugin, match="found the source other, expected openmetrics, acme"):
        telemetry_rules(APP, settings(source={"other": {}}), installed())


@pytest.mark.parametrize(
    ("name", "said"),
    [("LooseKind", "that take any key"), ("NoSettings", "found settings 5"), ("NoMake", "make")],
)
def test_what_has_not_the_shape_of_a_source_is_refused(name: str, said: str) -> None:
    """When it is named, and not before."""
    sources = installed(target=f"{__name__}:{name}")
    with pytest.raises(BadPlugin, match=said):
        telemetry_rules(APP, settings(source={"acme": {}}), sources)
