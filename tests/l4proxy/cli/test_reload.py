"""`l4proxy reload`: what a running daemon says of its new configuration."""

from pathlib import Path

import pytest

from l4proxy.cli import main
from tests.e2e.balancer import running

POOLS = {"app": {"backends": ["127.0.0.1:9"], "server_name": "app.example.com"}}
CONFIG = {"routes": {"app.example.com": "app"}, "pools": POOLS}
OTHER = {"routes": {"b.example.com": "app"}, "pools": POOLS}


def test_what_has_changed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In force when it is answered; the same again changes no key, and a mistake nothing."""
    with running(tmp_path, CONFIG) as balancer:
        command = ["reload", "--admin", f"unix:{tmp_path}/admin.sock"]
        balancer.write(OTHER)
        assert main(command) == 0
        assert capsys.readouterr().out == "reloaded: in force; changed: routes\n"
        assert main(command) == 0
        assert "in force; no key has changed" in capsys.readouterr().out
        balancer.write({**OTHER, "routes": {"b.example.com": "nowhere"}})
        assert main(command) == 1
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith("l4proxy: nothing was changed:\n")
        assert "nowhere" in err
        assert balancer.page("/readyz")


def test_without_a_daemon_it_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says where none was found."""
    assert main(["reload", "--admin", f"unix:{tmp_path}/none.sock"]) == 1
    assert "no admin API at" in capsys.readouterr().err
