"""Sources of telemetry that are installed, and what a pool's settings make of them."""

from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from l4proxy.config.telemetry import OPENMETRICS, SourceSettings, TelemetrySettings
from l4proxy.control.scrape.source import BadTelemetry, TelemetryKind
from l4proxy.control.scrape.telemetry import TelemetryRules
from l4proxy.plugins import (
    BadPlugin,
    Group,
    Installed,
    Plugin,
    failure,
    has_methods,
    installed_parts,
    settings_model,
)
from l4proxy.scaling.report import MetricName
from routing import PoolName
from sni import ServerName

InstalledSources = Installed[TelemetryKind[BaseModel]]
"""The sources by name."""


def installed_sources() -> InstalledSources:
    """Return the sources that the configuration may name here.

    Raises:
        BadPlugin: Not even our own are registered: l4proxy was not installed as it is now.

    """
    return installed_parts(Group.TELEMETRY, _checked)


def telemetry_rules(
    pool: PoolName,
    settings: TelemetrySettings,
    sources: InstalledSources,
    custom: Iterable[MetricName] = (),
    known: tuple[ServerName | None, bool] = (None, False),
) -> TelemetryRules:
    """Return how the backends of a pool tell of their load. Files are read now.

    Args:
        pool: Its name.
        settings: Its block.
        sources: What is installed.
        custom: Metrics that its `scaling.custom` names.
        known: What its backends are called in TLS, and whether they are attested.

    Raises:
        BadTelemetry: The source cannot work with its settings.
        BadPlugin: Nobody has registered it, or it cannot be used.

    """
    server_name, attested = known
    asked = settings.source
    name = OPENMETRICS if asked is None else asked.name
    if name not in sources:
        there = ", ".join(sources)
        raise BadPlugin(f"telemetry of pool {pool}: found the source {name}, expected {there}")
    kind = sources[name]
    try:
        source = kind.make(settings if asked is None else _read(kind, asked, pool), pool)
    except BadTelemetry:
        raise
    except Exception as error:  # a plug-in that fails here is a mistake of who names it
        found = f"found {failure(error)}, expected a source"
        raise BadTelemetry(f"telemetry of pool {pool}: {name}: {found}") from error
    return TelemetryRules(source, settings.wanted(custom), server_name, attested)


def _read(kind: TelemetryKind[BaseModel], asked: SourceSettings, pool: PoolName) -> BaseModel:
    try:
        return kind.settings.model_validate(dict(asked.settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(each) for each in (asked.name, *first["loc"]))
        raise BadTelemetry(f"telemetry of pool {pool}: {where}: {first['msg']}") from None


def _checked(plugin: Plugin, made: object) -> TelemetryKind[BaseModel]:
    """Return what was made as the source that it has the shape of."""
    settings_model(plugin, made)
    has_methods(plugin, made, "TelemetryKind", "make")
    kind: TelemetryKind[BaseModel] = made  # type: ignore[assignment]  # its shape was looked at
    return kind
