"""Promises of `l4proxy.agent.threads`: what blocks keeps neither the loop nor the end."""

import asyncio
import threading

import pytest

from l4proxy.agent.threads import begin, in_thread
from tests.l4proxy.agent.parts import PATIENCE


async def test_what_a_call_gives_comes_back() -> None:
    """Its value, and its fault."""
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_a_wait_may_be_given_up() -> None:
    """The call goes on by itself, and its thread is none that the process waits for."""
    may, before = threading.Event(), set(threading.enumerate())
    call = begin(lambda: may.wait(PATIENCE))
    waiting = asyncio.wrap_future(call)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not call.done()
    [left] = set(threading.enumerate()) - before
    assert left.daemon
    may.set()
    assert call.result(PATIENCE)


def test_a_loop_that_is_gone_does_not_matter() -> None:
    """A call that ends after the loop tells nobody, and fails at nothing."""
    may, before = threading.Event(), set(threading.enumerate())

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await in_thread(lambda: may.wait(PATIENCE))

    asyncio.run(leave())
    [left] = set(threading.enumerate()) - before
    may.set()
    left.join(PATIENCE)
    assert not left.is_alive()


def test_no_thread_is_told_as_what_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a descriptor that cannot be had: nothing else has to end for it."""

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(OSError, match="no thread can be had"):
        begin(lambda: 7)
