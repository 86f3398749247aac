"""Promises of `l4proxy.agent.files`: whole files for their owner alone, and an application told."""

import asyncio
import logging
import stat
from pathlib import Path

import pytest

from l4proxy.agent import files
from l4proxy.agent.files import CERTIFICATE, KEY, TICKET_KEY, hand_over, reload
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.parts import soon


def test_three_files_are_handed_over(tmp_path: Path) -> None:
    """Key, certificate and ticket key, each readable by its owner alone, and nothing else."""
    made = credentials()
    hand_over(tmp_path / "tls", made, b"ticket key")
    found = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    assert found == {KEY: made.key, CERTIFICATE: made.chain, TICKET_KEY: b"ticket key"}
    for path in (tmp_path / "tls").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_renewal_replaces_them(tmp_path: Path) -> None:
    """The next certificate takes the place of the last."""
    hand_over(tmp_path, credentials(), b"one")
    renewed = credentials()
    hand_over(tmp_path, renewed, b"one")
    assert (tmp_path / CERTIFICATE).read_bytes() == renewed.chain


async def test_the_application_is_told(tmp_path: Path) -> None:
    """The command runs; where there is none nothing does."""
    await reload(())
    await reload(("touch", str(tmp_path / "told")))
    assert (tmp_path / "told").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [(("false",), "exit status 1"), (("/no/such",), "No such file"), (("sleep", "60"), "still")],
)
async def test_a_command_that_fails_is_told(
    command: tuple[str, ...],
    message: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log says so, and the agent goes on."""
    monkeypatch.setattr(files, "RELOAD_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING):
        await reload(command)
    assert message in caplog.text


def _runs(process: str) -> bool:
    return (Path("/proc") / process).exists()


async def test_a_command_that_stays_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each renewal would leave another one running."""
    monkeypatch.setattr(files, "RELOAD_SECONDS", 0.5)
    told = tmp_path / "told"
    await reload(("sh", "-c", f"printf $$ > {told}; exec sleep 60"))
    assert not _runs(await asyncio.to_thread(told.read_text))


async def test_an_agent_that_ends_leaves_no_command(tmp_path: Path) -> None:
    """A command that runs when the agent is told to end is ended too."""
    told = tmp_path / "told"
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reload(("sh", "-c", f"printf $$ > {told}; exec sleep 60")))
        await soon(lambda: told.exists() and bool(told.read_text()))
        running.cancel()
    assert not _runs(await asyncio.to_thread(told.read_text))


def test_what_cannot_be_put_in_place_is_not_left_beside_it(tmp_path: Path) -> None:
    """Each attempt would leave another copy of a secret."""
    (tmp_path / KEY).mkdir()
    with pytest.raises(OSError, match="directory"):
        hand_over(tmp_path, credentials(), b"ticket key")
    assert {path.name for path in tmp_path.iterdir()} == {KEY, TICKET_KEY}
