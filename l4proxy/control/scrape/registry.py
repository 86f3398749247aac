"""Sources of telemetry that are installed, and what a pool's settings make of them."""

from collections.abc import Iterable

from pydantic import BaseModel

from l4proxy.config.telemetry import OPENMETRICS, TelemetrySettings
from l4proxy.control.scrape.source import BadTelemetry, TelemetryKind
from l4proxy.control.scrape.telemetry import TelemetryRules
from l4proxy.plugins import BadPlugin, Group, Installed, configured_parts, failure
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
    return configured_parts(Group.TELEMETRY)


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
    try:
        source = sources[name].make(settings if asked is None else asked.settings, pool)
    except (BadTelemetry, BadPlugin):
        raise
    except Exception as error:  # a plug-in that fails here is a mistake of who names it
        found = f"found {failure(error)}, expected a source"
        raise BadTelemetry(f"telemetry of pool {pool}: {name}: {found}") from error
    return TelemetryRules(source, settings.wanted(custom), server_name, attested)
