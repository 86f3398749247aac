"""Waiting for what is bound to happen."""

import asyncio
from collections.abc import Callable

PATIENCE_SECONDS = 20.0
"""How long a test waits; nothing is judged by it."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.005)
