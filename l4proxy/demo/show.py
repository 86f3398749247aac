"""A demo from beginning to end, and what it prints."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine
from typing import TypeVar

from rich.console import Console
from rich.live import Live

from l4proxy.demo.screen import checked, drawn, introduction
from l4proxy.demo.stage import stage
from l4proxy.demo.story import tell
from l4proxy.demo.traffic import Scene, play

_REFRESH_SECONDS = 0.25

_T = TypeVar("_T")


def show_once(clients: int) -> bool:
    """Tell the story, print what was checked, and return whether all of it was good.

    Raises:
        BalancerFailed: The balancer did not start.
        KeyboardInterrupt: Ctrl-C, or SIGTERM; everything has been taken down.

    """
    return asyncio.run(_interruptible(_once(clients)))


def show_live(clients: int) -> None:
    """Show the traffic until Ctrl-C or SIGTERM.

    Raises:
        BalancerFailed: The balancer did not start.

    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_interruptible(_live(clients)))


async def _interruptible(work: Coroutine[None, None, _T]) -> _T:
    """Run `work`; SIGTERM interrupts it as Ctrl-C does, also where that is ignored.

    Raises:
        KeyboardInterrupt: It was interrupted, and has ended.

    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - who awaits is a task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _once(clients: int) -> bool:
    console = Console(highlight=False)
    began = time.monotonic()
    checks = []
    async with stage(clients) as ready:
        console.print(introduction(ready))
        console.print()
        async for check in tell(ready):
            checks.append(check)
            console.print(checked(check))
    good = sum(check.good for check in checks)
    console.print()
    console.print(f"{good} of {len(checks)} good, in {time.monotonic() - began:.1f} s.")
    return good == len(checks)


async def _live(clients: int) -> None:
    console = Console(highlight=False)
    scene = Scene()
    async with stage(clients) as ready, asyncio.TaskGroup() as tasks:
        tasks.create_task(play(ready, scene), name="play")
        with Live(drawn(ready, scene), console=console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(_REFRESH_SECONDS)
                live.update(drawn(ready, scene), refresh=True)
