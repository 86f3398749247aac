"""How the backends of each pool tell of their load: all that is configured, or every mistake."""

from pathlib import Path

from l4proxy.config import Config, ConfigError
from l4proxy.config.mistakes import Mistake
from l4proxy.control.scrape.registry import InstalledSources, installed_sources, telemetry_rules
from l4proxy.control.scrape.source import BadTelemetry
from l4proxy.control.scrape.telemetry import TelemetryRules
from l4proxy.plugins import BadPlugin
from routing import PoolName


def load_telemetry(path: Path, config: Config) -> dict[PoolName, TelemetryRules]:
    """Return the rules of each pool that has telemetry; files that it names are read now.

    Args:
        path: Of the configuration, for messages.
        config: Says which source each pool has.

    Raises:
        ConfigError: A source cannot work as it is told. It carries every mistake found.
    """
    rules, mistakes = dict[PoolName, TelemetryRules](), list[Mistake]()
    sources: InstalledSources | None = None
    for name, pool in config.pools.items():
        if pool.telemetry is None:
            continue
        custom = pool.scaling.custom_metrics if pool.scaling is not None else ()
        known = pool.server_name, pool.attestation is not None
        try:
            sources = sources or installed_sources()
            rules[name] = telemetry_rules(name, pool.telemetry, sources, custom, known)
        except (BadTelemetry, BadPlugin) as error:
            place = f"pools.{name}.telemetry"
            mistakes.append(Mistake(str(path), 0, 0, place, str(error)))
    if mistakes:
        raise ConfigError(mistakes)
    return rules
