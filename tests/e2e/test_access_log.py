"""The access log of a running daemon: a line a connection, and rotation as everybody does it."""

import json
import signal
from pathlib import Path

from tests.e2e.backends import Backend, naming
from tests.e2e.balancer import Start
from tests.e2e.sockets import HELLO, NAME, Heard, say
from tests.e2e.waiting import until


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_file_is_written_and_rotated(start: Start, tmp_path: Path) -> None:
    """Each connection is a line of JSON; after a move and SIGHUP the next is in a new file."""
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    with Backend(naming(b"well")) as backend:
        routes, pools = {NAME.decode(): "app"}, {"app": [backend.address]}
        balancer = start({"routes": routes, "pools": pools, "access_log": str(path)})
        for _ in range(3):
            assert say(balancer.address, HELLO) == Heard(b"well")
        until("three lines are there", lambda: len(_lines(path)) == 3)
        assert oct(path.stat().st_mode & 0o777) == "0o640"
        path.rename(moved)
        balancer.process.signal(signal.SIGHUP)
        until("the file is opened anew", path.exists)
        assert say(balancer.address, HELLO) == Heard(b"well")
        until("the fourth line is in the new file", lambda: len(_lines(path)) == 1)
        assert len(_lines(moved)) == 3


def test_a_reload_switches_it_on_and_off(start: Start, tmp_path: Path) -> None:
    """The log of a configuration is that of the newest."""
    path = tmp_path / "access.log"
    with Backend(naming(b"well")) as backend:
        config = {"routes": {NAME.decode(): "app"}, "pools": {"app": [backend.address]}}
        balancer = start(config)
        assert say(balancer.address, HELLO) == Heard(b"well")
        balancer.reload({**config, "access_log": str(path)})
        assert say(balancer.address, HELLO) == Heard(b"well")
        until("a line is there", lambda: len(_lines(path)) == 1)
        balancer.reload(config)
        assert say(balancer.address, HELLO) == Heard(b"well")
        until("it is counted", lambda: balancer.counted("ended", "complete") == 3)
        assert len(_lines(path)) == 1


def test_a_full_disk_stops_nobody(start: Start) -> None:
    """What cannot be written is dropped and counted, and clients are served."""
    with Backend(naming(b"well")) as backend:
        routes, pools = {NAME.decode(): "app"}, {"app": [backend.address]}
        balancer = start({"routes": routes, "pools": pools, "access_log": "/dev/full"})
        for _ in range(3):
            assert say(balancer.address, HELLO) == Heard(b"well")
        until("it is counted", lambda: balancer.counted("access_log", "dropped_by_writer") == 3)
