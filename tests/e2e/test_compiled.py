"""The compiled build, where it has been made: the same daemon, its hot modules as machine code."""

import sys
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import ROOT, Balancer, Start
from tests.e2e.sockets import HELLO, NAME, connect, exactly, to_the_end

BUILD = ROOT / "build" / "compiled"


def _is_of_these_sources() -> bool:
    """Whether it was made of what stands here now: its sources are in it, too."""
    folders = [ROOT / name for name in ("l4proxy", "routing", "sni")]
    ours = (path for folder in folders for path in folder.rglob("*.[cp]*") if path.is_file())
    ours = (path for path in ours if path.suffix in {".c", ".py"})
    return all(_same(path, BUILD / path.relative_to(ROOT)) for path in ours)


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


@pytest.fixture
def start_compiled(start: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts daemons of the compiled build; a skip that says so where it is not there."""
    if not BUILD.exists():
        pytest.skip("the compiled build has not been made (make compiled)")
    if not _is_of_these_sources():
        pytest.skip("the compiled build is of other sources (make compiled)")
    monkeypatch.setenv("PYTHONPATH", str(BUILD))
    # -P: not the sources of the folder that it is started in.
    command = (sys.executable, "-P", "-m", "l4proxy", "run")
    monkeypatch.setattr("tests.e2e.balancer.COMMAND", command)
    return start


def test_the_compiled_build_serves(start_compiled: Start) -> None:
    """Short and long connections, a refusal, and the counters: as the sources do it."""
    with Backend(naming(b"short")) as short, Backend(echo) as long:
        pools = {"short": [short.address], "long": [long.address]}
        routes = {NAME.decode(): "long", "default": "short"}
        balancer = start_compiled({"routes": routes, "pools": pools})
        assert "compiled__mypyc" in balancer.worker.mapped
        _expect_service(balancer)


def _expect_service(balancer: Balancer) -> None:
    with connect(balancer.address) as client:
        client.sendall(HELLO)
        assert exactly(client, len(HELLO)) == HELLO
        for size in (1, 1_000, 300_000):
            client.sendall(bytes(size))
            assert exactly(client, size) == bytes(size)
    with connect(balancer.address) as client:
        client.sendall(HELLO.replace(NAME, NAME[::-1]))
        assert to_the_end(client) == b"short"
    with connect(balancer.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert to_the_end(client) == b""
    balancer.expect_counted("ended", "complete", 2)
    balancer.expect_counted("refused", "not_tls")
