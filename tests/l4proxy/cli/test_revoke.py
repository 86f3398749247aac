"""`l4proxy revoke`: on a running daemon, or told why not."""

from pathlib import Path

import pytest

from l4proxy.cli import main
from tests.e2e.balancer import running

CONFIG = {"routes": {"app.example.com": "app"}, "pools": {"app": ["127.0.0.1:9"]}}
KEY = "key:" + "ab" * 32


def test_what_is_revoked_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With how many backends it has hit; to repeat it changes nothing."""
    with running(tmp_path, CONFIG) as balancer:
        admin = ["--admin", f"unix:{tmp_path}/admin.sock"]
        for _ in range(2):
            assert main(["revoke", KEY.upper(), "chip:00112233", *admin]) == 0
            said = f"revoked {KEY}, chip:00112233: in force; backends refuted: 0\n"
            assert capsys.readouterr().out == said
        assert "l4proxy_revocations 2.0" in balancer.page("/metrics")


def test_without_a_daemon_it_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says where none was found."""
    assert main(["revoke", KEY, "--admin", f"unix:{tmp_path}/none.sock"]) == 1
    assert "no admin API at" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["serial:00"], ["key:00"], [KEY, "measurement:0"]])
def test_what_cannot_be_revoked_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that cannot be used are status 2."""
    with pytest.raises(SystemExit) as ending:
        main(["revoke", *arguments])
    assert ending.value.code == 2
    assert "usage: l4proxy revoke" in capsys.readouterr().err
