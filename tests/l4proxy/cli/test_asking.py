"""Tests of asking a running daemon for a change, against a stand-in for its admin API."""

import argparse
from collections.abc import Mapping

import pytest

from l4proxy.admin.client import AdminClient, AdminRefused, AdminUnavailable
from l4proxy.cli.asking import DEFAULT_SOCKET, add_admin, ask, state_of


def test_the_daemon_is_where_it_usually_is() -> None:
    """Without the option the socket is that of the example configuration."""
    parser = argparse.ArgumentParser()
    add_admin(parser)
    assert parser.parse_args([]).admin == DEFAULT_SOCKET
    assert parser.parse_args(["--admin", "unix:/a"]).admin == "unix:/a"
    with pytest.raises(SystemExit):
        parser.parse_args(["--admin", "nowhere"])


def test_what_was_asked_for_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, page and body go to the daemon; its answer comes back."""

    def change(
        _client: AdminClient, method: str, page: str, document: object = None
    ) -> Mapping[str, object]:
        return {"heard": (method, page, document)}

    monkeypatch.setattr(AdminClient, "change", change)
    assert ask("unix:/a", "PUT", "/b", {"c": 1}) == {"heard": ("PUT", "/b", {"c": 1})}


@pytest.mark.parametrize("error", [AdminRefused("found no such thing"), AdminUnavailable("gone")])
def test_why_not_is_told(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the daemon refuses or is not there: its reason is a line of standard error."""

    def change(*_arguments: object) -> Mapping[str, object]:
        raise error

    monkeypatch.setattr(AdminClient, "change", change)
    assert ask("unix:/a", "DELETE", "/b") is None
    assert capsys.readouterr() == ("", f"l4proxy: {error}\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"in_force": True}, "in force"), ({"in_force": False}, "not in force in all workers yet")],
)
def test_whether_it_holds_yet_is_said(change: Mapping[str, object], said: str) -> None:
    """A change that not all workers have acknowledged is not called one that holds."""
    assert state_of(change) == said
