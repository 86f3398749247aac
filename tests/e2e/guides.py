"""Guides, as a reader follows them: files are written, commands run, in the order of the page."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.house.repository import ROOT
from tests.ports import free_port

GUIDES = ROOT / "docs" / "guides"
PATIENCE = 50.0
"""Seconds for all commands of a guide: each takes one, and a test may take sixty."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The first line of a file is a comment with its name.
_FILE = re.compile(r"# ([\w-]+\.\w+)\n")
_PORT = re.compile(r"\b8[04]\d\d\b")
_MARK = "---- fence "
# Ends what runs in the background, which is of the shell's own process group, and waits for it.
_END = "trap 'status=$?; trap : TERM; kill 0; wait; exit $status' EXIT\n"


class Fence(NamedTuple):
    """A fenced part of a page."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The name of the file that it is; empty: it is none."""
        named = None if self.language == "sh" else _FILE.match(self.text)
        return named[1] if named else ""


class Step(NamedTuple):
    """Commands of a guide, what the page says that they print, and what they printed."""

    commands: str
    shown: Sequence[str]
    printed: str

    @property
    def missing(self) -> list[str]:
        """Lines of the page that were not printed; `…` stands for anything."""
        wanted = (".*".join(map(re.escape, line.split("…"))) for line in self.shown)
        return [line for line in wanted if not re.search(f"^{line}$", self.printed, re.MULTILINE)]


def fences(name: str) -> list[Fence]:
    """The fenced parts of a guide, on ports that are free now."""
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    ports: dict[str, str] = {}
    for port in _PORT.findall(text):
        if port not in ports:
            ports[port] = str(free_port())
    text = _PORT.sub(lambda found: ports[found[0]], text)
    return [Fence(*found) for found in _FENCE.findall(text)]


def follow(name: str, folder: Path) -> list[Step]:
    """Follows a guide in an empty folder; a command that fails fails the test.

    What the page starts in the background runs to the end of the page.
    """
    found = fences(name)
    for fence in found:
        if fence.file:
            (folder / fence.file).write_text(fence.text, encoding="utf-8")
    commands = [fence.text for fence in found if fence.language == "sh"]
    parts = _run(commands, folder)
    assert len(parts) == len(commands)
    return [
        Step(text, shown, printed)
        for text, shown, printed in zip(commands, _shown(found), parts, strict=True)
    ]


def _shown(found: Sequence[Fence]) -> list[list[str]]:
    """The lines that stand behind each fence of commands."""
    shown: list[list[str]] = []
    for fence in found:
        if fence.language == "sh":
            shown.append([])
        elif fence.language == "text":
            shown[-1].extend(fence.text.splitlines())
    return shown


def _run(commands: Sequence[str], folder: Path) -> list[str]:
    """What each of them prints, errors included."""
    tools = folder.with_name(f"{folder.name}-tools")
    tools.mkdir()
    for tool, program in (("l4proxy", "python3 -m l4proxy"), ("python3", sys.executable)):
        (tools / tool).write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
        (tools / tool).chmod(0o700)
    marked = "".join(f"echo '{_MARK}'\n{text}" for text in commands)
    script = _END + marked
    with (tools / "printed").open("w+b") as out:
        shell = subprocess.Popen(
            ["sh", "-eu", "-c", script],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": f"{tools}:{os.defpath}"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            status = shell.wait(PATIENCE)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
    printed = (tools / "printed").read_text(encoding="utf-8")
    assert status == 0, printed + _logs(folder)
    return printed.split(_MARK + "\n")[1:]


def _logs(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.log")))
