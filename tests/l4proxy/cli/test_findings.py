"""What a check finds, told to a terminal and to a pipe."""

from pathlib import Path

import pytest

from l4proxy.cli.findings import examine, tell
from l4proxy.cli.where import Question
from sni import ServerName
from tests.l4proxy.cli.calls import written

STRANGER = Question(ServerName("x.example.com"), (b"h2",), "203.0.113.1")


def test_a_refusal_is_known(tmp_path: Path) -> None:
    """Findings say whether the client would be refused; without a client nobody is."""
    path = written(tmp_path)
    assert examine(path, STRANGER).refused
    assert not examine(path, None).refused


def test_a_terminal_gets_colours_and_a_pipe_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the configuration is highlighted; elsewhere it stays plain YAML."""
    findings = examine(written(tmp_path), STRANGER)
    tell(findings)
    assert "\x1b[" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    tell(findings)
    told = capsys.readouterr().out
    assert "\x1b[" in told
    assert "listeners" in told
    assert "offering h2" in told
