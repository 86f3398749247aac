"""The compiled build, where it has been made: the same daemon, its hot modules as machine code."""

import subprocess
import sys

import pytest

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import ROOT, Balancer, Start
from tests.e2e.compiled import missing, start_from_it
from tests.e2e.sockets import HELLO, NAME, connect, exactly, to_the_end


@pytest.fixture
def start_compiled(start: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts daemons of the compiled build; a skip that says so where it is not there."""
    if why := missing():
        pytest.skip(why)
    start_from_it(monkeypatch)
    return start


@pytest.mark.usefixtures("start_compiled")
def test_it_says_which_build_it_is() -> None:
    """`l4proxy --version` tells the builds apart."""
    for options, word in ((["-P"], "compiled"), ([], "pure")):
        command = [sys.executable, *options, "-m", "l4proxy", "--version"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert run.stdout.endswith(f" ({word})\n")


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
