"""Calls that block, in threads that the process does not wait for when it ends.

An executor's threads are joined at the end, so that a TEE or a resolver that hangs would keep the
process for as long as it likes.
"""

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def begin(call: Callable[[], _T]) -> "Future[_T]":
    """Start a call in a thread of its own; what comes of it is in the future.

    Raises:
        OSError: No thread can be had.

    """
    future: Future[_T] = Future()
    # Whoever gives up the wait cancels nothing: the call goes on until it ends by itself.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError as error:
        # As of a descriptor that cannot be had: whoever asks tries again, and nothing else ends.
        raise OSError(errno.EAGAIN, "no thread can be had") from error
    return future


async def in_thread(call: Callable[[], _T]) -> _T:
    """Return what a call that blocks returns, or raise what it raises."""
    return await asyncio.wrap_future(begin(call))
