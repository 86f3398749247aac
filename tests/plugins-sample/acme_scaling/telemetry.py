"""The telemetry source `acme`: a file a machine, in which Acme writes numbers as JSON."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import duration, parsed
from l4proxy.config.section import Section
from l4proxy.control.scrape import Refused, Report, ScrapeFault, Subject
from routing import PoolName


class AcmeSettings(Section):
    """What stands below its name."""

    folder: Annotated[Path, parsed(parse_file_path, str, "/run/acme/load")]
    """Where the files lie; each is called by the machine's host and port, with a - between."""

    every: Annotated[float, duration("100ms", "1h")] = 5.0
    """How often each is read."""


class AcmeTelemetry:
    """The kind `acme`."""

    name = "acme"
    settings = AcmeSettings

    def make(self, settings: AcmeSettings, pool: PoolName) -> "AcmeFiles":
        """Return the source of a pool: the same for all."""
        return AcmeFiles(settings)


class AcmeFiles:
    """The files of one folder."""

    def __init__(self, settings: AcmeSettings) -> None:
        """Read nothing yet."""
        self._settings = settings

    async def watch(self, subject: Subject, report: Report) -> None:
        """Read the file of one machine again and again."""
        while True:
            self._read(subject, report)
            await asyncio.sleep(self._settings.every)

    def _read(self, subject: Subject, report: Report) -> None:
        if subject.attested:
            report.failed(ScrapeFault.UNATTESTED, "a file proves nothing")
            return
        file = self._settings.folder / f"{subject.address.host}-{subject.address.port}"
        try:
            told: object = json.loads(file.read_bytes())
        except OSError:
            report.failed(ScrapeFault.UNREACHABLE)
            return
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            report.failed(ScrapeFault.MALFORMED)
            return
        values = {metric: told.get(series.name) for metric, series in subject.wanted.items()}
        report.took(
            {
                metric: float(value) if isinstance(value, int | float) else Refused.MALFORMED
                for metric, value in values.items()
                if value is not None
            }
        )
