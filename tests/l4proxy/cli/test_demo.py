"""`l4proxy demo`: the one command that shows everything, and leaves nothing behind."""

import argparse

import pytest

from l4proxy.cli import main
from l4proxy.cli.demo import MAX_SESSIONS, sessions
from l4proxy.demo.balancer import BalancerFailed
from l4proxy.demo.story import STEPS


def test_once_ends_by_itself_with_everything_checked(capfd: pytest.CaptureFixture[str]) -> None:
    """`l4proxy demo --once` checks its story against real processes and ends with status 0."""
    status = main(["demo", "--once", "--sessions", "6"])
    out, err = capfd.readouterr()
    assert (status, err) == (0, ""), out
    assert out.count("✓") == len(STEPS)
    assert "✗" not in out
    words = " ".join(out.split())
    assert all(title in words for title in STEPS)
    # How clients refuse: each for the reason that it is there for.
    for part in (
        *("delta is refuted: pcr0", "switched", "refused: pcr0: found"),
        *("refused: key_binding: found key", "refused: exporter: found"),
        "tls_failed: handshake: tlsv1 unrecognized name",
    ):
        assert part in words
    assert all(len(line) <= 80 for line in out.splitlines())


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
