"""Promises of `l4proxy.agent.telemetry.board`: what is listed is told, and nothing else is."""

import asyncio
import threading
from pathlib import Path

import pytest

from l4proxy.agent.telemetry import board as module
from l4proxy.agent.telemetry.board import Board
from l4proxy.agent.telemetry.settings import TelemetrySettings
from l4proxy.agent.telemetry.traffic import Traffic
from l4proxy.agent_metrics import CAPACITY, CPU, HTTP_REQUESTS, MEMORY, OPEN_SESSIONS
from tests.l4proxy.agent.parts import PATIENCE, settings, soon
from tests.l4proxy.agent.telemetry import test_page
from tests.l4proxy.agent.telemetry.test_usage import Machine


def listed(*metrics: str, **keys: object) -> TelemetrySettings:
    """Settings by which these may leave."""
    found = settings(
        protocol="http",
        telemetry={
            "listen": "127.0.0.1:9102",
            "token_file": "/run/token",
            "metrics": list(metrics),
            **keys,
        },
    ).telemetry
    assert found is not None
    return found


def values(board: Board) -> dict[str, float]:
    """What is told."""
    return test_page.values(test_page.families(board.page()))


async def test_the_agent_tells_of_itself(tmp_path: Path) -> None:
    """Use since the last look, traffic, and what the settings say."""
    machine, traffic = Machine(tmp_path), Traffic()
    every = (CPU, MEMORY, HTTP_REQUESTS, OPEN_SESSIONS, CAPACITY)
    board = Board(listed(*every, capacity=500), traffic, machine.kernel())
    assert values(board) == {HTTP_REQUESTS: 0, OPEN_SESSIONS: 0, CAPACITY: 500}
    machine.spent(30, 70)
    board.look()
    traffic.heard(b"GET / HTTP/1.1\r\n")
    with traffic.session():
        assert values(board) == {
            CPU: pytest.approx(0.3),
            MEMORY: 0.25,
            HTTP_REQUESTS: 1,
            OPEN_SESSIONS: 1,
            CAPACITY: 500,
        }
    (machine.proc / "meminfo").unlink()
    board.look()
    assert not values(board).keys() & {CPU, MEMORY}


async def test_what_is_not_listed_never_leaves(tmp_path: Path) -> None:
    """Neither the agent's nor the application's, whatever that one says."""
    page = tmp_path / "page"
    page.write_text(f"{OPEN_SESSIONS} 9\n{CPU} 0.9\nsecret 1\nqueue 3\n")
    board = Board(listed(CPU, "queue", application=str(page)), Traffic())
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(board.watch())
        await soon(lambda: bool(values(board)))
        watching.cancel()
    assert values(board) == {"queue": 3}


async def test_an_application_that_fails_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its last values are not told again; the fault is, once."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    page = tmp_path / "page"
    page.write_text("queue 3\n")
    board = Board(listed("queue", application=str(page)), Traffic())
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(board.watch())
        await soon(lambda: bool(values(board)))
        page.unlink()
        await soon(lambda: not values(board))
        await asyncio.sleep(0.02)
        page.write_text("queue 4\n")
        await soon(lambda: values(board) == {"queue": 4})
        watching.cancel()
    assert caplog.text.count("No such file") == 1
    assert "telemetry: application: works again" in caplog.text


async def test_without_an_application_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's own values alone are looked up."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    board = Board(listed(MEMORY), Traffic())
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(board.watch())
        await soon(lambda: bool(values(board)))
        watching.cancel()
    assert 0 < values(board)[MEMORY] <= 1


async def test_without_a_thread_the_application_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A long page is read beside the clients; where that cannot be, the agent does not end."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    page = tmp_path / "page"
    page.write_text("queue 3\n")
    board = Board(listed("queue", application=str(page)), Traffic())

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(board.watch())
        await soon(lambda: bool(values(board)))
        with monkeypatch.context() as short:
            short.setattr(threading.Thread, "start", none)
            await soon(lambda: not values(board))
        await soon(lambda: bool(values(board)))
        watching.cancel()
    assert caplog.text.count("no thread can be had") == 1
