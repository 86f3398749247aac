"""What the page says at the moment: looked up every few seconds, not when somebody asks.

So a page costs nothing but its text, however often it is read. What cannot be had is not on it:
whoever reads it sees that it is missing, and not what it once was.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from l4proxy.agent.telemetry.application import parse_page, read_page
from l4proxy.agent.telemetry.page import page
from l4proxy.agent.telemetry.settings import TelemetrySettings
from l4proxy.agent.telemetry.traffic import Traffic
from l4proxy.agent.telemetry.usage import Kernel, Spent, busy
from l4proxy.agent.threads import in_thread
from l4proxy.agent.trouble import Trouble
from l4proxy.agent_metrics import CAPACITY, CPU, HTTP_REQUESTS, MEMORY, OPEN_SESSIONS

LOOK_SECONDS: Final = 5.0
"""Seconds between two looks, and over which the use of processors is measured."""


class Board:
    """The values that may leave, and no other."""

    def __init__(
        self, settings: TelemetrySettings, traffic: Traffic, kernel: Kernel | None = None
    ) -> None:
        """Show what `settings` lists."""
        self._settings = settings
        self._traffic = traffic
        self._kernel = kernel or Kernel()
        self._loop = asyncio.get_running_loop()
        self._spent: Mapping[str, Spent] = self._kernel.processors(self._loop.time())
        self._usage: dict[str, float | None] = {}
        self._application: Mapping[str, float] = {}
        self._trouble = Trouble("telemetry: application")

    def page(self) -> bytes:
        """Return the page."""
        mine: dict[str, float | None] = {
            **self._usage,
            HTTP_REQUESTS: self._traffic.requests,
            OPEN_SESSIONS: self._traffic.sessions,
            CAPACITY: self._settings.capacity,
        }
        # Last: an application that says the agent's own names is not among those who may.
        values = {**self._application, **mine}
        may = self._settings.metrics
        return page({name: x for name, x in values.items() if name in may and x is not None})

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._ask()
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """See what was used since the last look."""
        now = self._kernel.processors(self._loop.time())
        self._usage = {CPU: busy(self._spent, now), MEMORY: self._kernel.memory()}
        self._spent = now

    async def _ask(self) -> None:
        place: str | Path | None = self._settings.application
        if place is None:
            return
        try:
            told = await read_page(place)
            # A long page would keep clients waiting.
            parse = partial(parse_page, told, self._settings.of_application)
            self._application = await in_thread(parse)
        except OSError as error:
            self._application = {}
            self._trouble.told(error)
        else:
            self._trouble.over()
