"""`l4proxy run`: it serves, or says why not and starts nothing."""

import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.balancer import running
from tests.l4proxy.cli.calls import call, written

CONFIG = {"routes": {"app.example.com": "app"}, "pools": {"app": ["127.0.0.1:9"]}}


def test_every_mistake_is_told_and_nothing_starts(tmp_path: Path) -> None:
    """A wrong configuration is status 2, with all mistakes on standard error."""
    path = written(tmp_path, "listeners: []\nroutes: {a.example.com: nowhere}\npools: {}\nx: 1\n")
    run = call("run", path)
    assert run.returncode == 2
    assert run.stdout == ""
    for what in ("listeners", "nowhere", "pools", "x"):
        assert what in run.stderr
    assert "Traceback" not in run.stderr
    assert "ready" not in run.stderr


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A file that is not there is status 2, with its name."""
    run = call("run", tmp_path / "none.yaml")
    assert run.returncode == 2
    assert "none.yaml" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_routing_key_that_is_missing_is_told(tmp_path: Path) -> None:
    """A file that the configuration names and nobody can read is status 2, before it serves."""
    text = f"""
listeners: ["127.0.0.1:0"]
routes: {{app.example.com: app}}
pools: {{app: {{backends: ["127.0.0.1:9"], sticky: {{routable_keys: [{tmp_path}/key]}}}}}}
"""
    run = call("run", written(tmp_path, text))
    assert run.returncode == 2
    assert f"pools.app.sticky.routable_keys[0]: {tmp_path}/key: No such file" in run.stderr
    assert "Traceback" not in run.stderr
    assert "ready" not in run.stderr


@pytest.mark.parametrize("taken", ["listener", "admin"])
def test_a_taken_address_is_told(tmp_path: Path, taken: str) -> None:
    """An address that somebody else has is status 1, with the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        listener, admin = (
            (address, "127.0.0.1:0") if taken == "listener" else ("127.0.0.1:0", address)
        )
        text = f"""
listeners: ["{listener}"]
admin: {{address: "{admin}"}}
routes: {{app.example.com: app}}
pools: {{app: ["127.0.0.1:9"]}}
"""
        run = call("run", written(tmp_path, text))
    assert run.returncode == 1
    assert f"cannot listen on {address}" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM, and Ctrl-C, end it with status 0 and without a traceback."""
    with running(tmp_path, CONFIG) as balancer:
        assert "INFO ready: 1 workers listen on 127.0.0.1:" in balancer.log
        assert "INFO admin API on http://127.0.0.1:" in balancer.log
        assert balancer.stop(number) == 0
