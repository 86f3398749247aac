"""`l4proxy demo`: the one command that shows everything, and leaves nothing behind."""

import argparse

import pytest

from l4proxy.cli import main
from l4proxy.cli.demo import MAX_SESSIONS, sessions
from l4proxy.demo.balancer import BalancerFailed
from tests.l4proxy.cli.calls import call


def test_once_ends_by_itself_with_everything_checked() -> None:
    """`l4proxy demo --once` checks its story against real processes and ends with status 0."""
    run = call("demo", "--once", "--sessions", "6")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    assert run.stdout.count("✓") == 11
    assert "✗" not in run.stdout
    words = " ".join(run.stdout.split())
    for part in (
        "delta is refuted: pcr0",
        "key_binding: found key",
        "unrecognized name",
        "switched",
    ):
        assert part in words
    assert all(len(line) <= 80 for line in run.stdout.splitlines())


@pytest.mark.parametrize(("good", "status"), [(True, 0), (False, 1)])
def test_the_status_tells_whether_all_was_good(
    monkeypatch: pytest.MonkeyPatch, good: bool, status: int
) -> None:
    """A check that fails makes the demo fail."""
    monkeypatch.setattr("l4proxy.demo.show.show_once", lambda _: good)
    assert main(["demo", "--once"]) == status


def test_a_demo_that_ctrl_c_ends_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live demo has no other end."""
    monkeypatch.setattr("l4proxy.demo.show.show_live", lambda _: None)
    assert main(["demo"]) == 0


def test_a_balancer_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Instead of a traceback the reader gets what the balancer said."""

    def fail(_: int) -> bool:
        raise BalancerFailed("it said: no")

    monkeypatch.setattr("l4proxy.demo.show.show_once", fail)
    assert main(["demo", "--once"]) == 1
    assert "it said: no" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "x", str(MAX_SESSIONS + 1)])
def test_the_number_of_clients_is_bounded(text: str) -> None:
    """A number that is none, or too large, is an unusable argument."""
    with pytest.raises(argparse.ArgumentTypeError, match=str(MAX_SESSIONS)):
        sessions(text)
