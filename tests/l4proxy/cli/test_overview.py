"""The overview of a daemon: what is drawn, and how it is kept fresh."""

import json
from collections.abc import Mapping
from typing import TypeVar, cast

import pytest

from l4proxy.admin.client import AdminClient, AdminUnavailable
from l4proxy.admin.view import backends_document, status_document
from l4proxy.cli import overview
from l4proxy.cli.overview import counted, look, show, watch, watch_as_json
from l4proxy.dataplane import counters as names
from tests.l4proxy.telemetry.fake import FakeBalancer

ROWS = [
    (names.REFUSED, "not_tls", 1_234),
    (names.FORWARDED, "app/a", 8),
    (names.DIAL_FAILED, "app/b/econnrefused", 4),
]


_D = TypeVar("_D")


class Asked(AdminClient):
    """Asks a balancer without HTTP, for so many looks; then the daemon is gone."""

    def __init__(self, balancer: FakeBalancer, looks: int) -> None:
        super().__init__("nowhere")
        pages = {
            "/api/v1/status": status_document(balancer),
            "/api/v1/backends": backends_document(balancer, 0.0),
        }
        self._pages: Mapping[str, object] = pages
        self._left = looks * len(pages)

    def ask(self, page: str, kind: type[_D]) -> _D:
        """The document of a page."""
        self._left -= 1
        if self._left < 0:
            raise AdminUnavailable("gone")
        return cast("_D", self._pages[page])


@pytest.fixture
def balancer() -> FakeBalancer:
    """One with a full backend, some refusals and some failed dials."""
    found = FakeBalancer(rows=ROWS)
    found.load.cells[0] = 10
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr(overview, "WATCH_SECONDS", 0.0)


def test_everything_is_on_one_screen(
    balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]
) -> None:
    """State, counts and each backend are shown within eighty columns."""
    show(look(Asked(balancer, 1)))
    told = capsys.readouterr().out
    for part in ("ready", "10 open", "1 of 3 ready", "not_tls 1,234", "full", "econnrefused 4"):
        assert part in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_what_is_zero_is_left_out() -> None:
    """Of many reasons only those that occurred are shown."""
    assert counted({"a": 0, "b": 2, "c": 1_000}) == "b 2, c 1,000"


def test_watching_ends_with_the_daemon(
    balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch goes on until the daemon is gone, and then says so."""
    with pytest.raises(AdminUnavailable):
        watch(Asked(balancer, 3))
    assert "ready" in capsys.readouterr().out


def test_scripts_watch_lines(balancer: FakeBalancer, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each look is a line of its own."""
    with pytest.raises(AdminUnavailable):
        watch_as_json(Asked(balancer, 3))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["status"]["state"] for line in lines] == ["ready"] * 3
