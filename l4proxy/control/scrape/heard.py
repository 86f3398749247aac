"""What is heard of one backend: a source reports it here, and it is kept with its age."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from l4proxy.control.scrape.claims import Claims, Refused
from l4proxy.control.scrape.source import ScrapeFault, Subject, TelemetrySource
from l4proxy.scaling.report import MetricName, Reading
from routing import BackendName, PoolName

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 5.0
"""After a source has failed by itself, until it is tried again."""

MAX_DETAIL: Final = 160
"""Characters of a backend's own words that the log and the status show."""


class TelemetryRow(NamedTuple):
    """How it stands with the telemetry of one backend, for the status.

    Attributes:
        pool: Its pool.
        name: Unique within its pool.
        age: Seconds since something was heard; None: nothing ever was.
        fault: Why the newest attempt brought nothing; None: it did, or there was none yet.
        detail: More of the same.
        readings: The last value of each metric, and its age.
        refused: What of the newest samples does not count.

    """

    pool: PoolName
    name: BackendName
    age: float | None
    fault: ScrapeFault | None
    detail: str
    readings: Mapping[MetricName, Reading]
    refused: Mapping[MetricName, Refused]


class Heard:
    """What is heard of one backend. It is the `Report` of the source that watches it.

    Attributes:
        subject: The backend.
        source: Who watches it.
        claims: What is believed.
    """

    def __init__(
        self,
        subject: Subject,
        source: TelemetrySource,
        clock: Callable[[], float],
        outcomes: Counter[tuple[PoolName, str]],
    ) -> None:
        """Have heard nothing yet.

        Args:
            subject: The backend.
            source: Who watches it.
            clock: Seconds, monotonic.
            outcomes: Counts attempts, by pool and fault; the fault of a success is empty.
        """
        self.subject = subject
        self.source = source
        self.claims = Claims(subject.wanted)
        self._clock = clock
        self._outcomes = outcomes
        self._fault: ScrapeFault | None = None
        self._detail = ""
        self._told: dict[MetricName, Refused] = {}

    def after(self, before: "Heard | None") -> "Heard":
        """Return what goes on: what was there before, or this with what is still known of it."""
        if before is None or _asked(before.subject) != _asked(self.subject):
            return self
        if before.source is self.source and _known(before.subject) == _known(self.subject):
            return before
        self.claims = before.claims
        return self

    async def keep_watching(self) -> None:
        """Have the source watch it until cancelled."""
        while True:
            try:
                await self.source.watch(self.subject, self)
            except Exception:  # a source that fails must not end the balancer
                log.exception("telemetry of %s", self.subject)
                self.failed(ScrapeFault.INTERNAL)
            await asyncio.sleep(AGAIN_SECONDS)

    def took(self, found: Mapping[MetricName, float | Refused]) -> None:
        """Take the newest samples."""
        self._outcomes[self.subject.pool, ""] += 1
        self.claims.take(found, self._clock())
        if self._fault is not None:
            log.info("telemetry of %s is back", self.subject)
        self._fault, self._detail = None, ""
        self._tell(self.claims.refused)

    def failed(self, fault: ScrapeFault, detail: str = "") -> None:
        """Take an attempt that brought nothing."""
        self._outcomes[self.subject.pool, fault.value] += 1
        self._detail = "".join(one if one.isprintable() else "?" for one in detail[:MAX_DETAIL])
        if fault is not self._fault:
            why = f"{fault}: {self._detail}" if self._detail else fault
            log.warning("telemetry of %s: nothing is heard: %s", self.subject, why)
        self._fault = fault

    def row(self, now: float) -> TelemetryRow:
        """Return how it stands; `now` is in seconds, monotonic."""
        heard_at = self.claims.heard_at
        return TelemetryRow(
            self.subject.pool,
            self.subject.name,
            None if heard_at is None else max(0.0, now - heard_at),
            self._fault,
            self._detail,
            self.claims.readings(now),
            self.claims.refused,
        )

    def _tell(self, refused: Mapping[MetricName, Refused]) -> None:
        """Log what does not count from now on; a counter that begins is nothing to worry about."""
        for metric, why in refused.items():
            if why not in {Refused.BEGUN, self._told.get(metric)}:
                level = logging.INFO if why is Refused.ABSENT else logging.WARNING
                log.log(level, "telemetry of %s: %s does not count: %s", self.subject, metric, why)
        self._told = dict(refused)


def _asked(subject: Subject) -> tuple[object, ...]:
    return subject.address, subject.wanted


def _known(subject: Subject) -> tuple[object, ...]:
    return subject.server_name, subject.attested
