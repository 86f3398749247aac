"""`l4proxy backend`: put and deleted on a running daemon, or told why not."""

from pathlib import Path

import pytest

from l4proxy.cli import main
from tests.e2e.balancer import running
from tests.l4proxy.cli.calls import call

CONFIG = {"routes": {"app.example.com": "app"}, "pools": {"app": ["127.0.0.1:9"]}}


def test_a_backend_is_put_and_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a real daemon; `status` over the same socket shows it."""
    with running(tmp_path, CONFIG) as balancer:
        admin = ["--admin", f"unix:{tmp_path}/admin.sock"]
        put = call("backend", "put", "app", "new", "[::1]:8443", "--weight", "3", *admin)
        assert (put.returncode, put.stderr) == (0, "")
        assert put.stdout == "put app/new at [::1]:8443: in force\n"
        found = balancer.backend("new") or {}
        assert (found["weight"], found["source"]) == (3, "api")
        assert main(["status", *admin]) == 0
        assert "new ([::1]:8443)" in capsys.readouterr().out
        assert main(["backend", "delete", "app", "new", *admin]) == 0
        assert "deleted app/new at [::1]:8443: in force" in capsys.readouterr().out
        assert balancer.backend("new") is None
        for wrong, why in (
            (["delete", "app", "new"], "found no backend 'new'"),
            (["put", "app", "new", "nowhere"], "expected ip:port"),
            (["put", "ap/p", "new", "10.0.0.1:1"], "expected GET"),
        ):
            assert main(["backend", *wrong, *admin]) == 1
            assert why in capsys.readouterr().err


def test_without_a_daemon_it_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says where none was found."""
    address = f"unix:{tmp_path}/none.sock"
    assert main(["backend", "delete", "app", "new", "--admin", address]) == 1
    assert f"no admin API at {address}: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["put", "app", "new"], ["put", "app", "new", "10.0.0.1:1", "--weight", "x"]]
)
def test_what_is_missing_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that cannot be used are status 2."""
    with pytest.raises(SystemExit) as ending:
        main(["backend", *arguments])
    assert ending.value.code == 2
    assert "usage: l4proxy backend" in capsys.readouterr().err
