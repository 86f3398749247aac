"""The actuator `command`, with programs that work, fail, hang and talk too much."""

import asyncio
import contextlib
import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from l4proxy.actuators import ActuatorError
from l4proxy.actuators.command import ENVIRONMENT, Command, CommandSettings, _end_of, _Last
from l4proxy.conformance import check_actuator_kind
from tests.l4proxy.actuators.orders import ORDER, POOL, REFUSAL, order, read

PATIENCE = 20.0


def settings(script: str, within: str = "10s") -> CommandSettings:
    """Settings of a shell script; it is the operator who asks for a shell here."""
    quoted = json.dumps(script)
    return read(CommandSettings, f"command: [/bin/sh, -c, {quoted}]\ntimeout: {within}")


async def run(script: str, within: str = "10s") -> None:
    """One order of one document, through a script."""
    await Command().make(settings(script, within), POOL).apply(order(3))


async def test_each_document_comes_on_standard_input(tmp_path: Path) -> None:
    """One run for each, in the order of the documents."""
    made = Command().make(settings(f"cat >> {tmp_path}/heard; echo >> {tmp_path}/heard"), POOL)
    await made.apply(ORDER)
    await made.notify(REFUSAL)
    lines = (tmp_path / "heard").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["scale", "drain", "evict", "attestation_refused"]


async def test_it_gets_nothing_of_the_daemons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable but two, no descriptor but its three, and the root as its folder."""
    monkeypatch.setenv("SECRET", "word")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    await run(f"env -0 > {tmp_path}/env; ls /proc/$$/fd > {tmp_path}/fd; pwd > {tmp_path}/pwd")
    os.close(descriptor)
    found = (tmp_path / "env").read_text().split("\0")
    variables = dict(line.split("=", 1) for line in found if line)
    assert {name: variables.get(name) for name in ENVIRONMENT} == dict(ENVIRONMENT)
    # What a shell itself adds.
    assert set(variables) - set(ENVIRONMENT) <= {"PWD", "OLDPWD", "SHLVL", "_"}
    numbers = {int(number) for number in (tmp_path / "fd").read_text().split()}
    # A shell keeps a copy of its own, at 10 or above.
    assert {number for number in numbers if number < 10} == {0, 1, 2}
    assert (tmp_path / "pwd").read_text() == "/\n"


async def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    """They arrive as they are written."""
    text = f"command: [/usr/bin/touch, '{tmp_path}/$(id) ; *']"
    await Command().make(read(CommandSettings, text), POOL).apply(order(3))
    assert os.listdir(tmp_path) == ["$(id) ; *"]  # noqa: PTH208 - no coroutine lists a Path


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "found status 3, expected 0: it says nothing"),
        ("echo one >&2; echo two >&2; echo >&2; exit 1", "expected 0: two"),
        ("printf '\\033[2Jno\\n' >&2; exit 1", r"expected 0: \x1b[2Jno"),
        ("printf '\\377' >&2; exit 1", r"expected 0: \ufffd"),
        ("head -c 9000 /dev/zero | tr '\\0' a >&2; exit 1", "a" * 300),
        ("head -c 300000 /dev/zero >&2; echo end >&2; exit 1", "expected 0: "),
        ("kill -9 $$", "found status -9"),
    ],
)
async def test_a_failure_is_told_with_its_last_line(script: str, said: str) -> None:
    """Escaped and short, whatever it wrote."""
    with pytest.raises(ActuatorError) as caught:
        await run(script)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


async def test_however_much_it_says_it_may_succeed() -> None:
    """Nothing of it is waited for, and little is kept."""
    await run("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero")


async def test_its_standard_error_may_be_closed() -> None:
    """That is no end of the program."""
    await run("exec 2>&-; true")


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM INT HUP; sleep 60 & sleep 60"])
async def test_what_takes_too_long_is_killed(tmp_path: Path, script: str) -> None:
    """With all that it has started."""
    with pytest.raises(ActuatorError, match=r"found it running after 0\.2 s"):
        await run(f"echo $$ > {tmp_path}/pid; {script}", "200ms")
    await gone(tmp_path / "pid")


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    """As when the balancer ends, or a newer order is there."""
    file = tmp_path / "pid"
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(f"echo $$ > {file}; sleep 60 & sleep 60"))
        await written(file)
        running.cancel()
    await gone(file)


async def test_a_program_may_end_in_the_moment_of_a_cancellation() -> None:
    """Nobody hears of it, and nothing fails where nobody sees it."""
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    with _true() as process:
        assert isinstance(process.stderr, io.FileIO)
        ending = loop.create_task(_end_of(process.pid, _Last(process.stderr)))
        await asyncio.sleep(0)
        _see_the_end_of(process.pid)
        loop.call_soon(ending.cancel)
        await asyncio.wait([ending], timeout=PATIENCE)
    assert ending.cancelled()
    assert not failures


async def test_what_it_leaves_behind_is_killed_when_it_ends(tmp_path: Path) -> None:
    """Nothing runs on that nobody watches, and nobody waits for it."""
    await run(f"echo $$ > {tmp_path}/pid; sleep 60 & true")
    await gone(tmp_path / "pid")


def _true() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["/bin/true"], bufsize=0, stderr=subprocess.PIPE)


def _see_the_end_of(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def gone(file: Path) -> None:
    """Waits until no process is left alive in the group that a script wrote down."""
    group = _text(file).strip()
    async with asyncio.timeout(PATIENCE):
        # A process that is killed may take a moment to end.
        while any(stat[2] == group and stat[0] != "Z" for stat in _stats()):  # noqa: ASYNC110 - no event tells of others' children
            await asyncio.sleep(0.01)


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _stats() -> list[list[str]]:
    """State, parent and group of every process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found.append(path.read_text().rpartition(") ")[2].split()[:3])
    return found


async def written(file: Path) -> None:
    """Waits until a script wrote something."""
    async with asyncio.timeout(PATIENCE):
        while not _text(file):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: []", "at least 1 item"),
        ("command: [sh, -c, ls]", "expected an absolute path"),
        ("command: /bin/true", "tuple"),
        ("command: [/bin/echo, 3]", "found 3, expected an argument"),
        ('command: [/bin/echo, "a\\nb"]', "without control characters"),
        (f"command: [{', '.join(['/bin/true'] * 65)}]", "at most 64 items"),
        ("command: [/bin/true]\nshell: true", "unknown key"),
        ("command: [/bin/true]\ntimeout: 11s", "from 100ms to 10s"),
    ],
)
def test_settings_that_are_no_command_are_mistakes(text: str, said: str) -> None:
    """It is a list, and its program has an absolute path."""
    with pytest.raises(ValidationError) as caught:
        read(CommandSettings, text)
    assert said in str(caught.value) or "extra_forbidden" in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "text"])
async def test_a_program_that_cannot_be_started_is_told(tmp_path: Path, name: str) -> None:
    """When the configuration is loaded, and when it went away afterwards."""
    (tmp_path / "text").touch()
    text = f"command: [{tmp_path}/{name}]"
    with pytest.raises(ActuatorError, match="the command of pool app: found nothing at"):
        Command().make(read(CommandSettings, text), POOL)
    file = tmp_path / name
    file.touch()
    file.chmod(0o700)
    made = Command().make(read(CommandSettings, text), POOL)
    file.unlink()
    with pytest.raises(ActuatorError, match=r"cannot be run: .*No such file"):
        await made.apply(order(3))


def test_it_keeps_the_promises_of_an_actuator() -> None:
    """As every plug-in has to."""
    check_actuator_kind(Command(), "command: [/bin/true]", failing="command: [/bin/false]")
