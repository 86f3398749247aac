"""The relay between a client and the application: bytes both ways, each half to its own end."""

import asyncio
from collections.abc import Callable
from typing import Final

from l4proxy.agent.stream import Stream

TURN_CHUNKS: Final = 16
"""Chunks that one side copies before others have their turn: a megabyte."""


class _Idleness:
    """When something was last copied; the clock is the loop's."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def touch(self) -> None:
        self._last = self._loop.time()

    async def watch(self) -> None:
        """Wait until nothing was copied for as long as is allowed.

        Raises:
            TimeoutError: Always.
        """
        left = self._limit
        while left > 0:
            # An event at each byte would cost more than to look again when time is up.
            await asyncio.sleep(left)
            left = self._last + self._limit - self._loop.time()
        raise TimeoutError(f"nothing was said for {self._limit:.0f} s")


Heard = Callable[[bytes], None]


def _unheard(_: bytes) -> None:
    """Pass by what nobody counts."""


async def relay(
    client: Stream, application: Stream, first: bytes, idle: float, heard: Heard = _unheard
) -> None:
    """Copy until both halves have ended.

    Args:
        client: One side.
        application: The other.
        first: Bytes of the client that were read already.
        idle: Seconds without a byte after which it ends.
        heard: Is told of each piece that the client sends.

    Raises:
        ExceptionGroup: Of OSError, and of TimeoutError where it was idle.

    """
    idleness = _Idleness(idle)
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(idleness.watch())
        heard(first)
        await application.write(first)
        up = tasks.create_task(_copy(client, application, idleness, heard))
        await _copy(application, client, idleness, _unheard)
        await up
        watch.cancel()


async def _copy(source: Stream, sink: Stream, idleness: _Idleness, heard: Heard) -> None:
    chunks = 0
    while data := await source.read():
        heard(data)
        await sink.write(data)
        idleness.touch()
        chunks += 1
        if not chunks % TURN_CHUNKS:
            await asyncio.sleep(0)
    await sink.end()
