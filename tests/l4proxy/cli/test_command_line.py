"""The command line as a whole: help that teaches, exit statuses, quick starts."""

import subprocess
import sys

import pytest

from l4proxy.cli import main
from l4proxy.cli.command_line import COMMANDS, INTERRUPTED, parser
from l4proxy.version import VERSION, build
from tests.l4proxy.cli.calls import ROOT, call

NAMES = [command.name for command in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help holds an example and the exit statuses."""
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"  l4proxy {name}" in text.partition("example")[2]
    assert "exit status: 0 fine" in text


def test_the_whole_names_its_commands() -> None:
    """Help lists every command with its summary."""
    text = parser().format_help()
    assert all(command.name in text and command.summary in text for command in COMMANDS)


def test_it_says_its_version() -> None:
    """`l4proxy --version` prints name, version and which build it is."""
    run = call("--version")
    assert (run.returncode, run.stdout) == (0, f"l4proxy {VERSION} ({build()})\n")
    assert build() in {"pure", "compiled"}


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["run"], ["check", "c", "--sni", "1.2.3.4"], ["status", "--a"]]
)
def test_unusable_arguments_are_status_2(arguments: list[str]) -> None:
    """A wrong command line is told on standard error, and nothing is started."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_help_is_quick() -> None:
    """Asking for help loads none of the libraries that commands need."""
    heavy = "{'aiohttp', 'cryptography', 'pydantic', 'rich', 'uvloop', 'yaml'}"
    code = f"import sys, l4proxy.cli; print({heavy} & sys.modules.keys())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted command ends with the status that shells know."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("l4proxy.cli.hello._peek", interrupted)
    assert main(["hello", "/dev/null"]) == INTERRUPTED


def test_a_reader_that_leaves_is_no_traceback() -> None:
    """`l4proxy … | head` ends quietly."""
    command = f"{sys.executable} -m l4proxy hello /dev/zero | true"
    run = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
