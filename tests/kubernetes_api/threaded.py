"""The API server in a thread of its own, for tests that wait without an event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.kubernetes_api.server import ApiServer

T = TypeVar("T")


class ThreadedServer:
    """A server in another thread, whose state is looked at and changed there."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.server = ApiServer()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._begun = threading.Event()

    def do(self, work: Callable[[ApiServer], T]) -> T:
        """Do something with the server; return what comes of it."""

        async def there() -> T:
            return work(self.server)

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(20)

    @contextmanager
    def running(self) -> Iterator["ThreadedServer"]:
        """Serve."""
        thread = threading.Thread(target=self._run, name="API server")
        thread.start()
        try:
            assert self._begun.wait(20)
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            thread.join(20)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with self.server.running():
            self._begun.set()
            await self._end.wait()
