"""A demo from beginning to end: what is printed, and how it is interrupted."""

import asyncio
import signal

import pytest

from l4proxy.demo import show
from l4proxy.demo.show import show_live, show_once


def test_the_story_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says how many checks were good, and how long it took."""
    assert show_once(2)
    assert "8 of 8 good, in " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_live_demo_ends_when_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """Ctrl-C, and SIGTERM, take everything down without a traceback."""

    async def interrupt(*_: object) -> None:
        await asyncio.sleep(0.1)
        signal.raise_signal(number)
        await asyncio.Event().wait()

    monkeypatch.setattr(show, "_REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(show, "play", interrupt)
    show_live(2)
    assert "2 clients" in capsys.readouterr().out


def test_an_interrupted_story_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A story that did not come to its end is neither good nor bad."""

    async def interrupt(_: int) -> bool:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(show, "_once", interrupt)
    with pytest.raises(KeyboardInterrupt):
        show_once(2)
