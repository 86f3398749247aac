"""`l4proxy drain`, `undrain` and `activate`: on a running daemon, or told why not."""

from pathlib import Path

import pytest

from l4proxy.cli import main
from tests.e2e.balancer import running
from tests.l4proxy.cli.calls import call

CONFIG = {
    "routes": {"app.example.com": "app", "api.example.com": "api"},
    "pools": {
        "app": {
            "backends": [{"address": "127.0.0.1:9", "name": "a"}, "127.0.0.1:10"],
            "drain": {"timeout": "2h"},
        },
        "api": [{"address": "127.0.0.1:9", "name": "a"}],
    },
}


def test_a_backend_is_drained_and_undrained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real daemon; `status` over the same socket shows it, and a reload keeps it."""
    with running(tmp_path, CONFIG) as balancer:
        admin = ["--admin", f"unix:{tmp_path}/admin.sock"]
        drained = call("drain", "app/a", *admin)
        assert (drained.returncode, drained.stderr) == (0, "")
        assert drained.stdout.startswith("drained app/a at 127.0.0.1:9: in force; its sessions may")
        assert "stay for 7,200 s" in drained.stdout
        balancer.reload(CONFIG)
        found = balancer.backend("a") or {}
        assert (found["pool"], found["draining"], found["reason"]) == ("app", True, "draining")
        assert main(["status", *admin]) == 0
        assert "draining" in capsys.readouterr().out
        for more, stay in (("off", "without end"), ("90s", "for 90 s")):
            assert main(["drain", "127.0.0.1:10", "--timeout", more, *admin]) == 0
            assert f"its sessions may stay {stay}" in capsys.readouterr().out
        assert main(["undrain", "app/a", *admin]) == 0
        assert capsys.readouterr().out == "undrained app/a at 127.0.0.1:9: in force\n"
        assert (balancer.backend("a") or {})["draining"] is False
        assert main(["activate", "app/a", *admin]) == 0
        assert capsys.readouterr().out == "activated app/a at 127.0.0.1:9: in force\n"


def test_what_cannot_be_drained_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not there, or in several pools, or a time that is none: status 1."""
    with running(tmp_path, CONFIG) as balancer:
        admin = ["--admin", f"unix:{tmp_path}/admin.sock"]
        for wrong, why in (
            (["drain", "none"], "found no backend 'none'"),
            (["undrain", "app/none"], "found no backend 'app/none'"),
            (["drain", "a"], "in the pools app, api: expected POOL/NAME"),
            (["drain", "app/a", "--timeout", "60"], "expected a duration"),
        ):
            assert main([*wrong, *admin]) == 1
            assert why in capsys.readouterr().err
        assert main(["drain", "app/a", "--admin", balancer.page_address]) == 1
        assert "writes only over the unix socket" in capsys.readouterr().err
        assert (balancer.backend("a") or {})["draining"] is False


@pytest.mark.parametrize("action", ["drain", "undrain", "activate"])
def test_without_a_daemon_it_is_status_1(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says where none was found."""
    address = f"unix:{tmp_path}/none.sock"
    assert main([action, "a", "--admin", address]) == 1
    assert f"no admin API at {address}: No such file" in capsys.readouterr().err
