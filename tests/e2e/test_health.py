"""Health: who does not answer is not asked, and comes back when it does."""

from contextlib import ExitStack
from pathlib import Path

from tests.e2e.backends import Backend, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, Heard, alert, say
from tests.e2e.waiting import until
from tests.ports import free_port

QUICK = {"type": "tcp", "every": "1s", "timeout": "500ms", "rise": 1, "fall": 1}
INTERNAL_ERROR = 80


def _balance(start: Start, backends: list[object], **pool: object) -> Balancer:
    chosen = {"backends": backends, "balance": "least_sessions", **pool}
    return start({"routes": {NAME.decode(): "app"}, "pools": {"app": chosen}})


def _healthy(balancer: Balancer, name: str) -> object:
    found = balancer.backend(name)
    assert found is not None
    health = found["health"]
    assert isinstance(health, dict)
    return health["healthy"]


def test_a_dead_backend_is_taken_out_and_back(start: Start) -> None:
    """Probes notice that a backend is gone before clients do, and that it is there again."""
    port = free_port()
    dead = {"address": f"127.0.0.1:{port}", "name": "dead", "weight": 256}
    with Backend(naming(b"second")) as second:
        balancer = _balance(start, [dead, second.address], health=QUICK)
        until("the dead one is noticed", lambda: not _healthy(balancer, "dead"))
        until("it gets no clients", lambda: (balancer.backend("dead") or {})["eligible"] is False)
        for _ in range(5):
            assert say(balancer.address, HELLO) == Heard(b"second")
        assert (balancer.backend("dead") or {})["dial_failures"] == {}
        with Backend(naming(b"first"), port=port):
            until("it is back", lambda: (balancer.backend("dead") or {})["eligible"] is True)
            until("it serves", lambda: say(balancer.address, HELLO) == Heard(b"first"))


def test_a_backend_on_a_unix_socket_is_probed(start: Start, tmp_path: Path) -> None:
    """The path that is missing is what is wrong with it."""
    with Backend(naming(b"second")) as second:
        path = f"unix:{tmp_path}/none.sock"
        balancer = _balance(start, [path, second.address], health=QUICK)
        until("it is noticed", lambda: not _healthy(balancer, "none.sock"))
        health = (balancer.backend("none.sock") or {})["health"]
        assert isinstance(health, dict)
        assert (health["reason"], health["fault"]) == ("probes_failed", "missing")
        assert say(balancer.address, HELLO) == Heard(b"second")


def test_a_pool_of_dead_backends_opens(start: Start) -> None:
    """When none is healthy all are tried, for a probe can be wrong."""
    dead = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    balancer = _balance(start, [*dead], health=QUICK)
    until("both are noticed", lambda: not any(_healthy(balancer, name) for name in dead))
    assert say(balancer.address, HELLO) == alert(INTERNAL_ERROR)
    until("dials were tried", lambda: balancer.counted("refused", "no_backend_answered") == 1)
    assert '"open": true' in balancer.page("/api/v1/pools")


def test_failing_dials_eject_without_probes(start: Start) -> None:
    """A backend that keeps failing dials is set aside, and clients are not sent to it."""
    dead = {"address": f"127.0.0.1:{free_port()}", "name": "dead", "weight": 256}
    with ExitStack() as stack:
        others = [stack.enter_context(Backend(naming(b"well"))) for _ in range(2)]
        balancer = _balance(start, [dead, *(each.address for each in others)])
        for _ in range(6):
            assert say(balancer.address, HELLO) == Heard(b"well")
        until("it is ejected", lambda: not _healthy(balancer, "dead"))
        found = balancer.backend("dead") or {}
        assert isinstance(found["health"], dict)
        assert found["health"]["ejected"] is True
        until("no worker asks it", lambda: (balancer.backend("dead") or {})["eligible"] is False)
        assert say(balancer.address, HELLO) == Heard(b"well")


def test_dials_eject_nobody_where_that_is_off(start: Start) -> None:
    """`passive_health: off` without probes watches nobody."""
    dead = {"address": f"127.0.0.1:{free_port()}", "name": "dead", "weight": 256}
    with Backend(naming(b"well")) as well:
        balancer = _balance(start, [dead, well.address], passive_health=False)
        for _ in range(8):
            assert say(balancer.address, HELLO) == Heard(b"well")
        until(
            "failures are reported", lambda: bool((balancer.backend("dead") or {})["dial_failures"])
        )
        found = balancer.backend("dead") or {}
        assert (found["health"], found["eligible"]) == (None, True)
