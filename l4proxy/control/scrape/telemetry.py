"""All telemetry: each backend is watched by its pool's source, and what it claims is kept."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from l4proxy.config.telemetry import CAPACITY
from l4proxy.control.membership import MemberKey
from l4proxy.control.prober import Watched
from l4proxy.control.scrape.heard import Heard, TelemetryRow
from l4proxy.control.scrape.source import Subject, TelemetrySource
from l4proxy.scaling.report import MetricName, Reading
from l4proxy.series import Series
from routing import BackendName, PoolName
from sni import ServerName

MOST_CAPACITY: Final = 1_000_000
"""Sessions that a backend may claim to carry: as many as a configuration may say."""

Keys = Callable[[PoolName, BackendName], bytes]


@dataclass(frozen=True, slots=True)
class TelemetryRules:
    """How the backends of one pool tell of their load.

    Attributes:
        source: Watches them; another one, and all watches begin anew.
        wanted: What is to be found out, and what they call it.
        server_name: What they are called in TLS; None: nothing.
        attested: Whether they have to show the key that they have proved.

    """

    source: TelemetrySource
    wanted: Mapping[MetricName, Series]
    server_name: ServerName | None = None
    attested: bool = False


class Telemetry:
    """What the backends of all pools tell of their load.

    Attributes:
        outcomes: Attempts that ended, by pool and fault; the fault of a success is empty.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch nobody yet.

        Args:
            keys: The key that a backend has proved, SHA-256 of its SubjectPublicKeyInfo; empty:
                none (`keys.AttestedKeys`).
            clock: Seconds, monotonic, as every `now` is.
        """
        self.outcomes: Counter[tuple[PoolName, str]] = Counter()
        self._keys = keys
        self._clock = clock
        self._heard: dict[MemberKey, Heard] = {}
        self._tasks: dict[Heard, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_and_stop()
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None
                self._tasks.clear()

    def update(
        self,
        pools: Mapping[PoolName, Iterable[Watched]],
        rules: Mapping[PoolName, TelemetryRules],
    ) -> None:
        """Watch the backends of these pools from now on, pools without rules excepted.

        What is known of a backend stays for as long as it is at its address and the same is asked
        of it, whoever asks.
        """
        wanted = dict[MemberKey, Heard]()
        for pool, asked in rules.items():
            for each in pools.get(pool, ()):
                key = pool, each.name
                new = Heard(
                    self._subject(pool, each, asked), asked.source, self._clock, self.outcomes
                )
                wanted[key] = new.after(self._heard.get(key))
        self._heard = wanted
        self._start_and_stop()

    def readings(
        self, pool: PoolName, name: BackendName, now: float
    ) -> Mapping[MetricName, Reading]:
        """Return the last value of each metric but the capacity, and its age; nothing if unknown.

        Args:
            pool: Of the backend.
            name: Of the backend.
            now: Seconds, monotonic.
        """
        heard = self._heard.get((pool, name))
        found = heard.claims.readings(now) if heard is not None else {}
        found.pop(CAPACITY, None)
        return found

    def capacity(self, pool: PoolName, name: BackendName) -> int | None:
        """Return the sessions that a backend said last it can carry; None: it said nothing."""
        heard = self._heard.get((pool, name))
        said = heard.claims.readings(0.0).get(CAPACITY) if heard is not None else None
        return None if said is None else min(int(said.value), MOST_CAPACITY)

    def rows(self, now: float) -> list[TelemetryRow]:
        """Return how it stands with each backend that is watched; `now` is monotonic."""
        return [heard.row(now) for heard in self._heard.values()]

    # -------------------------------------------------------------------------------------------

    def _subject(self, pool: PoolName, backend: Watched, asked: TelemetryRules) -> Subject:
        key = partial(self._keys, pool, backend.name)
        who = pool, backend.name, backend.address
        return Subject(*who, asked.wanted, asked.server_name, asked.attested, key)

    def _start_and_stop(self) -> None:
        """Bring the tasks in line with who is watched."""
        if self._group is None:
            return
        watched = set(self._heard.values())
        for heard in self._tasks.keys() - watched:
            self._tasks.pop(heard).cancel()
        for heard in watched - self._tasks.keys():
            name = f"telemetry of {heard.subject}"
            self._tasks[heard] = self._group.create_task(heard.keep_watching(), name=name)
