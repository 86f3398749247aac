"""`l4proxy status`: what a running daemon is doing, or that none runs."""

import argparse
import json
from pathlib import Path

import pytest

from l4proxy.cli import main
from l4proxy.cli.arguments import admin_address
from tests.e2e.balancer import running
from tests.l4proxy.cli.calls import call
from tests.ports import free_port

CONFIG = {"routes": {"app.example.com": "app"}, "pools": {"app": ["127.0.0.1:9"]}}


def test_a_running_daemon_is_shown(tmp_path: Path) -> None:
    """State, listeners and backends of a real daemon, for a reader and for a script."""
    with running(tmp_path, CONFIG) as balancer:
        admin = balancer.log.partition("http://")[2].split()[0]
        text = call("status", "--admin", admin)
        document = call("status", "--admin", admin, "--json")
    assert text.returncode == document.returncode == 0
    host, port = balancer.address
    for part in ("ready", f"{host}:{port}", "1 of 1 ready", "127.0.0.1:9", "sessions", "names"):
        assert part in text.stdout
    found = json.loads(document.stdout)
    assert found["status"]["state"] == "ready"
    assert found["backends"][0]["pool"] == "app"


def test_nobody_listening_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a daemon the message says where none was found."""
    address = f"127.0.0.1:{free_port()}"
    for more in ([], ["--watch"], ["--json"], ["--watch", "--json"]):
        assert main(["status", "--admin", address, *more]) == 1
        told = capsys.readouterr()
        assert f"no admin API at {address}" in told.err


@pytest.mark.parametrize(
    "text", ["127.0.0.1:9080", "[::1]:9080", "localhost:1", "unix:/run/admin.sock"]
)
def test_addresses_are_read(text: str) -> None:
    """Names, IPv4 and IPv6 addresses with a port are addresses."""
    assert admin_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "localhost", ":9080", "http://localhost:9080", "::1:9080", "unix:x"]
)
def test_other_texts_are_told(text: str) -> None:
    """What is no host with a port is an unusable argument."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected host:port"):
        admin_address(text)
