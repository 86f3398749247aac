"""Scaling with a real supervisor and a real worker: what is decided is what clients meet."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from l4proxy.config import load_config
from l4proxy.control.membership import Member, MembershipError
from l4proxy.control.scaling import loop
from l4proxy.control.supervisor import Supervisor
from routing import Address, BackendName
from tests.e2e.backends import Backend
from tests.e2e.sockets import HELLO, connect, exactly
from tests.l4proxy.control.scaling.stand import APP, A, B
from tests.l4proxy.control.test_supervisor import running
from tests.l4proxy.control.test_workers import until

log = logging.getLogger(__name__)

TEXT = """
listeners: ["127.0.0.1:0"]
routes: {{app.example.com: app}}
pools:
  app:
    backends: [{backends}]
    sticky: off
    balance: least_sessions
    capacity: {{count: connections, sessions_per_backend: 4}}
    scaling: {scaling}
workers: 1
admin: off
shutdown: {{timeout: 0s}}
"""


class Echo(Backend):
    """A backend that answers what it hears, and notes when somebody came."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.came: list[float] = []

    def answer(self, sock: socket.socket) -> None:
        """Answer until the end."""
        self.came.append(time.perf_counter())
        with contextlib.suppress(ConnectionError):
            while data := sock.recv(4_096):
                sock.sendall(data)


@contextlib.contextmanager
def echoing(*names: str) -> Iterator[dict[str, Echo]]:
    """Backends of these names."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Echo()) for name in names}


@contextlib.asynccontextmanager
async def scaled(
    tmp_path: Path, backends: dict[str, Echo], scaling: str
) -> AsyncIterator[Supervisor]:
    """A supervisor that scales these."""
    named = ", ".join(
        f'{{address: "127.0.0.1:{echo.port}", name: {name}}}' for name, echo in backends.items()
    )
    path = tmp_path / "config.yaml"
    path.write_text(TEXT.format(backends=named, scaling=scaling), encoding="utf-8")
    assert load_config(path).pools[APP].scaling is not None
    async with running(path) as supervisor:
        yield supervisor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other closely."""
    monkeypatch.setattr(loop, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(loop, "ROUND_SECONDS", 0.1)


async def client(supervisor: Supervisor, stack: contextlib.ExitStack) -> None:
    """A client that was answered, and stays as long as the stack does."""
    address = supervisor.addresses[0]
    sock = stack.enter_context(connect((address.host, address.port)))

    def greet() -> None:
        sock.sendall(HELLO)
        exactly(sock, len(HELLO))

    await asyncio.to_thread(greet)


def active(supervisor: Supervisor) -> set[BackendName]:
    """Who takes new sessions by the snapshot in force."""
    return {each.name for each in supervisor.snapshot.pools.pools[APP].backends if each.active}


async def test_a_standby_takes_sessions_as_soon_as_slots_are_few(tmp_path: Path) -> None:
    """The worker gives it one by the mark at once; a round later it is awake for good."""
    with echoing("a", "b") as backends, contextlib.ExitStack() as stack:
        async with scaled(tmp_path, backends, "{max: 2, sessions: {mark: 2}}") as supervisor:
            await until(lambda: len(active(supervisor)) == 1)
            (awake,) = active(supervisor)
            asleep = "b" if awake == A else "a"
            await until(lambda: supervisor.seats[0].applied == supervisor.version)
            for _ in range(3):
                await client(supervisor, stack)
            assert not backends[asleep].came
            crossed = time.perf_counter()
            await client(supervisor, stack)
            assert len(backends[asleep].came) == 1
            # Told (--log-cli-level=info) and not judged: a busy machine may be slower.
            log.info("the first session after %.1f ms", 1e3 * (backends[asleep].came[0] - crossed))
            await until(lambda: len(active(supervisor)) == 2)
            last = supervisor.scaling.pools[APP].rounds
            assert "wake" in [kind.value for each in last.changes for kind in each.kinds]


async def test_who_is_activated_takes_sessions_now(tmp_path: Path) -> None:
    """Whatever scaling thinks; a drained one is told to be undrained."""
    with echoing("a", "b") as backends:
        async with scaled(tmp_path, backends, "{max: 2}") as supervisor:
            await until(lambda: len(active(supervisor)) == 1)
            asleep = B if active(supervisor) == {A} else A
            change = await supervisor.changes.activate_backend(asleep)
            assert (change.in_force, change.member.name) == (True, asleep)
            rounds = supervisor.scaling.pools[APP].rounds
            done = sum(rounds.counts.values())
            await until(lambda: sum(rounds.counts.values()) > done + 1)
            assert asleep in active(supervisor)
            await supervisor.changes.drain_backend(asleep)
            with pytest.raises(MembershipError, match="undrain it"):
                await supervisor.changes.activate_backend(f"app/{asleep}")


async def test_a_hello_that_waits_brings_a_backend(tmp_path: Path) -> None:
    """The pool is empty: the hello is parked, a backend asked for, and the client served."""
    with echoing("a", "b") as backends:
        async with scaled(tmp_path, backends, "{min: 0, max: 2, park: 20s}") as supervisor:
            for name in (A, B):
                await supervisor.changes.delete_backend(APP, name)
            rounds = supervisor.scaling.pools[APP].rounds
            with contextlib.ExitStack() as stack:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(client(supervisor, stack))
                    await until(lambda: rounds.last is not None and rounds.last.parked > 0)
                    assert rounds.last is not None
                    assert "parked" in [term.name for term in rounds.last.decision.terms]
                    new = Member(BackendName("new"), Address("127.0.0.1", backends["a"].port))
                    await supervisor.changes.put_backend(APP, new)
            await until(lambda: rounds.last is not None and not rounds.last.parked)


async def test_a_pool_that_is_scaled_no_more_is_as_before(tmp_path: Path) -> None:
    """A reload without the block wakes whoever rests, and ends scaling's drains."""
    with echoing("a", "b") as backends:
        async with scaled(tmp_path, backends, "{max: 1, stabilisation: 0s}") as supervisor:
            await until(lambda: bool(supervisor.roster.lineup.drains.deadlines()))
            path = tmp_path / "config.yaml"
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("{max: 1, stabilisation: 0s}", "off"), encoding="utf-8")
            supervisor.reload()
            pool = supervisor.snapshot.pools.pools[APP]
            assert [each.draining for each in pool.backends] == [False, False]
            assert (len(active(supervisor)), pool.mark.order, pool.park) == (2, (), 0.0)
            assert supervisor.scaling.pools == {}
