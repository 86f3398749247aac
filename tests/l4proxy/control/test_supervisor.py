"""The supervisor, in this process: reload whole or not at all, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from l4proxy.config import load_config
from l4proxy.control import plan as plan_module
from l4proxy.control import supervisor as module
from l4proxy.control.listeners import CannotListen
from l4proxy.control.log_writer import CannotLog
from l4proxy.control.membership import Member, MembershipError
from l4proxy.control.plan import Cells, TooManyBackends
from l4proxy.control.supervisor import Supervisor, raise_descriptor_limit, run
from routing import Address, BackendName, PoolName
from tests.l4proxy.control.test_workers import until

PLAIN = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools: {app: ["127.0.0.1:1"]}
workers: 1
admin: off
shutdown: {timeout: 30s}
"""
APP = PoolName("app")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration file with one worker and a free port."""
    found = tmp_path / "config.yaml"
    found.write_text(PLAIN, encoding="utf-8")
    return found


@contextlib.asynccontextmanager
async def running(path: Path) -> AsyncIterator[Supervisor]:
    """A supervisor that serves, and is told to end after the block."""
    supervisor = Supervisor(path, load_config(path))
    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run())
        await until(lambda: supervisor.ready)
        try:
            yield supervisor
        finally:
            if not supervisor.stopping:
                os.kill(os.getpid(), signal.SIGTERM)


def rewrite(path: Path, text: str) -> None:
    """Write another configuration."""
    path.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Take the file away."""
    path.unlink()


def backends(supervisor: Supervisor) -> list[BackendName]:
    """The backends in force."""
    return [backend.name for backend in supervisor.snapshot.pools.pools[APP].backends]


async def test_it_serves_until_it_is_told_to_end(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says where it listens, is ready until the end begins, and closes what it opened."""
    caplog.set_level(logging.INFO)
    async with running(path) as supervisor:
        (address,) = supervisor.addresses
        assert address.port != 0
        await until(lambda: f"ready: 1 workers listen on {address}" in caplog.text)
        with socket.create_connection((address.host, address.port), timeout=10):
            pass
    assert supervisor.stopping
    assert not supervisor.ready
    assert "SIGTERM: " in caplog.text
    with socket.socket() as sock:
        assert sock.connect_ex((address.host, address.port)) != 0


async def test_a_reload_is_published_whole(path: Path) -> None:
    """After SIGHUP the new configuration is in force, with one more version, in every worker."""
    async with running(path) as supervisor:
        await until(lambda: supervisor.seats[0].applied == 1)
        rewrite(path, PLAIN.replace('"127.0.0.1:1"', '"127.0.0.1:2", "127.0.0.1:1"'))
        cell = supervisor.snapshot.pools.pools[APP].backends[0].index
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: supervisor.seats[0].applied == 2)
        assert backends(supervisor) == ["127.0.0.1:2", "127.0.0.1:1"]
        assert supervisor.snapshot.pools.pools[APP].backends[1].index == cell
        assert supervisor.config == load_config(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("example.com: app", "example.com: nowhere", "nowhere"),
        ("pools:", "poools:", "poools"),
        ("workers: 1", "workers: 2", "need a restart"),
        ("127.0.0.1:0", "127.0.0.2:0", "need a restart"),
        ("admin: off", "admin: {}", "need a restart"),
    ],
)
async def test_a_reload_that_cannot_be_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, said: str
) -> None:
    """A mistake, or a key that needs a restart, is told, and the old configuration stays whole."""
    async with running(path) as supervisor:
        config, snapshot = supervisor.config, supervisor.snapshot
        rewrite(path, PLAIN.replace(old, new).replace('"127.0.0.1:1"', '"10.0.0.9:9"'))
        supervisor.reload()
        assert said in caplog.text
        assert (supervisor.config, supervisor.snapshot) == (config, snapshot)
        assert supervisor.version == 1


async def test_a_reload_without_cells_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More backends than cells at a reload are told like a mistake."""

    def fail(*_: object) -> None:
        raise TooManyBackends("found 4097 backends")

    async with running(path) as supervisor:
        monkeypatch.setattr(Cells, "check", fail)
        supervisor.reload()
        assert "nothing was changed:\nfound 4097 backends" in caplog.text
        assert supervisor.version == 1


async def test_a_file_that_is_gone_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A reload without a file is told, and the balancer goes on."""
    async with running(path) as supervisor:
        remove(path)
        supervisor.reload()
        assert "reload: nothing was changed" in caplog.text
        assert supervisor.ready


async def test_a_worker_that_does_not_obey_is_killed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process cannot end by itself: after the timeout it is killed."""
    monkeypatch.setattr(module, "KILL_SECONDS", 0.2)
    rewrite(path, PLAIN.replace("30s", "0s"))
    async with running(path) as supervisor:
        pid = supervisor.seats[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert supervisor.seats[0].pid is None


async def test_a_second_signal_ends_it_at_once(path: Path) -> None:
    """Asked again, it cuts what runs."""
    async with running(path) as supervisor:
        (address,) = supervisor.addresses
        pid = supervisor.seats[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # else it would end by itself: nothing runs
        with socket.create_connection((address.host, address.port), timeout=10):
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: supervisor.stopping)
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: supervisor.seats[0].pid is None)


async def test_an_address_in_use_is_told_before_anything_runs(path: Path) -> None:
    """Nothing is started when an address cannot be bound."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        rewrite(path, PLAIN.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        with pytest.raises(CannotListen):
            Supervisor(path, load_config(path))


def test_the_descriptor_limit_is_raised_for_workers() -> None:
    """The soft limit becomes the hard one, within what can be planned with."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        limit = raise_descriptor_limit()
        assert limit == min(before[1], module.MOST_DESCRIPTORS)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limit, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_runs_on_a_loop_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` is the whole daemon: it returns when the balancer has ended."""
    ran: list[Path] = []

    class Short:
        """A supervisor with nothing to do."""

        def __init__(self, found: Path, _: object) -> None:
            ran.append(found)

        async def run(self) -> None:
            """End at once."""

    monkeypatch.setattr(module, "Supervisor", Short)
    run(path, load_config(path))
    assert ran == [path]


async def test_a_backend_is_put_and_deleted(path: Path) -> None:
    """When the answer comes, every worker decides by the change."""
    async with running(path) as supervisor:
        member = Member(BackendName("new"), Address("127.0.0.1", 2), 3)
        change = await supervisor.put_backend(APP, member)
        assert (change.created, change.in_force) == (True, True)
        assert supervisor.seats[0].applied >= change.version > 1
        assert backends(supervisor) == ["new", "127.0.0.1:1"]
        again = await supervisor.put_backend(APP, member)
        assert (again.created, again.in_force) == (False, True)
        gone = await supervisor.delete_backend(APP, BackendName("127.0.0.1:1"))
        assert gone.in_force
        assert backends(supervisor) == ["new"]
        with pytest.raises(MembershipError, match="no backend"):
            await supervisor.delete_backend(APP, BackendName("127.0.0.1:1"))


async def test_a_change_that_a_worker_does_not_hear_of_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stands still delays the answer no longer than its bound."""
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.2)
    async with running(path) as supervisor:
        pid = supervisor.seats[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        change = await supervisor.put_backend(APP, Member(BackendName("new"), Address("::1", 2)))
        assert not change.in_force
        os.kill(pid, signal.SIGCONT)
        await until(lambda: supervisor.seats[0].applied >= change.version)


async def test_changes_are_gathered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the state changes, what is published is the newest, a few times a second."""
    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.3)
    async with running(path) as supervisor:
        for port in range(2, 30):
            supervisor.roster.put(APP, Member(BackendName("new"), Address("::1", 2), port))
            await asyncio.sleep(0.002)
        await until(lambda: supervisor.snapshot.pools.pools[APP].backends[0].weight == 29)
        assert supervisor.version <= 4


async def test_without_cells_a_put_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections of removed backends may hold every cell: then there is no room for a new one."""
    async with running(path) as supervisor:
        monkeypatch.setattr(plan_module, "MAX_BACKENDS", 1)
        with pytest.raises(TooManyBackends):
            await supervisor.put_backend(APP, Member(BackendName("new"), Address("::1", 2)))
        assert backends(supervisor) == ["127.0.0.1:1"]


async def test_a_plan_without_cells_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was found beyond the cells comes into force when there are some."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    async with running(path) as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr(plan_module, "MAX_BACKENDS", 1)
            supervisor.roster.put(APP, Member(BackendName("new"), Address("::1", 2)))
            await until(lambda: "the snapshot stays as it was" in caplog.text)
            assert backends(supervisor) == ["127.0.0.1:1"]
        await until(lambda: backends(supervisor) == ["new", "127.0.0.1:1"])


async def test_the_admin_api_has_two_doors(path: Path, tmp_path: Path) -> None:
    """Both are opened as configured; the file of the socket is gone at the end."""
    door = tmp_path / "admin.sock"
    rewrite(path, PLAIN.replace("off", f"{{address: 127.0.0.1:0, socket: {door}}}"))
    async with running(path) as supervisor:
        assert supervisor.admin_address is not None
        for connect in (
            asyncio.open_unix_connection(door),
            asyncio.open_connection("127.0.0.1", supervisor.admin_address.port),
        ):
            reader, writer = await connect
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in await reader.readline()
            writer.close()
    assert not door.exists()


async def test_the_access_log_is_opened_anew_whatever_the_configuration_says(
    path: Path, tmp_path: Path
) -> None:
    """A rotation must not wait until a mistake in the configuration is mended."""
    log = tmp_path / "access.log"
    rewrite(path, f"{PLAIN}access_log: {log}\n")
    async with running(path) as supervisor:
        log.rename(tmp_path / "moved")
        rewrite(path, "nonsense")
        supervisor.reload()
        await until(log.exists)
        rewrite(path, f"{PLAIN}access_log: {tmp_path}\n")
        supervisor.reload()
        assert supervisor.version == 1


def test_a_log_that_cannot_be_opened_is_told_before_anything_runs(path: Path) -> None:
    """Nothing listens yet, and no socket file is left."""
    rewrite(path, f"{PLAIN}access_log: {path.parent}\n")
    with pytest.raises(CannotLog, match="cannot write the access log"):
        run(path, load_config(path))
