"""A demo from beginning to end: what is printed, and how it is interrupted."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType

import pytest

from l4proxy.demo import show
from l4proxy.demo.client import DemoClient
from l4proxy.demo.show import show_live, show_once
from l4proxy.demo.stage import Stage
from l4proxy.demo.story import Check
from tests.l4proxy.demo.conftest import balancer_at, nowhere

Setting = Callable[[int], contextlib.AbstractAsyncContextManager[Stage]]


@pytest.fixture
def empty(client: DemoClient) -> Setting:
    """A stage without enclaves, for what does not look at them."""

    @contextlib.asynccontextmanager
    async def stage(clients: int) -> AsyncIterator[Stage]:
        async with asyncio.TaskGroup() as tasks:
            yield Stage({}, balancer_at(nowhere()), (client,) * clients, client, tasks)

    return stage


@pytest.mark.parametrize("good", [True, False])
def test_the_story_is_summed_up(
    empty: Setting, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    """The last line says how many checks were good, and how long it took."""

    async def tell(_: Stage) -> AsyncIterator[Check]:
        yield Check(True, "one", "found")
        yield Check(good, "two", "found")

    monkeypatch.setattr(show, "stage", empty)
    monkeypatch.setattr(show, "tell", tell)
    assert show_once(2) is good
    assert f"{1 + good} of 2 good, in " in capsys.readouterr().out.splitlines()[-1]


@contextlib.contextmanager
def ctrl_c(handler: signal.Handlers | Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Ctrl-C as if whoever started us had left it so: a shell has its background jobs ignore it."""
    inherited = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, inherited)


async def _interrupt(number: signal.Signals) -> None:
    await asyncio.sleep(0.1)
    signal.raise_signal(number)
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("number", "handler"),
    [
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_IGN),
    ],
)
def test_the_live_demo_ends_when_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    empty: Setting,
    number: signal.Signals,
    handler: signal.Handlers | Callable[[int, FrameType | None], object],
) -> None:
    """Ctrl-C, and SIGTERM, end it without a traceback."""
    monkeypatch.setattr(show, "_REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(show, "play", lambda *_: _interrupt(number))
    monkeypatch.setattr(show, "stage", empty)
    with ctrl_c(handler):
        show_live(2)
    assert "2 clients" in capsys.readouterr().out


def test_an_interrupted_demo_takes_everything_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """With enclaves and a balancer that run, too."""
    doors: list[Stage] = []

    async def interrupt(ready: Stage, _: object) -> None:
        doors.append(ready)
        await _interrupt(signal.SIGTERM)

    monkeypatch.setattr(show, "play", interrupt)
    show_live(1)
    (ready,) = doors
    assert ready.balancer.process.returncode == 0
    assert not [enclave for enclave in ready.enclaves if enclave.running]


def test_an_interrupted_story_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A story that did not come to its end is neither good nor bad."""

    async def interrupt(_: int) -> bool:
        await _interrupt(signal.SIGTERM)
        return True

    monkeypatch.setattr(show, "_once", interrupt)
    with pytest.raises(KeyboardInterrupt):
        show_once(2)
