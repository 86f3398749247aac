"""The supervisor, in this process: reload whole or not at all, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from l4proxy.admin.writes import NotReloaded
from l4proxy.config import ConfigError, load_config
from l4proxy.control import plan as plan_module
from l4proxy.control import publisher
from l4proxy.control import roster as roster_module
from l4proxy.control import supervisor as module
from l4proxy.control.attesting.revoked import MAX_REVOCATIONS, TooManyRevocations
from l4proxy.control.listeners import CannotListen
from l4proxy.control.log_writer import CannotLog
from l4proxy.control.membership import Member, MembershipError
from l4proxy.control.plan import Cells, TooManyBackends
from l4proxy.control.supervisor import Supervisor, raise_descriptor_limit, run
from l4proxy.control.workers import Seat
from l4proxy.messages import Observed, Ready
from l4proxy.revocation import Revocation, Revoked
from l4proxy.routable import RoutingKey, RoutingKeys
from l4proxy.secret_file import write_secret
from routing import Address, Backend, BackendName, PoolName, RoutableNames
from tests.e2e.backends import Backend as TlsBackend
from tests.l4proxy.control.attesting.enclave import write_policy
from tests.l4proxy.control.servers import PATIENCE_SECONDS, make_certificate
from tests.l4proxy.control.test_workers import SEEN, saying, until, worker
from tests.l4proxy.control.tickets.stacks import Rotating

PLAIN = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools: {app: {backends: ["127.0.0.1:1"], sticky: off}}
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
        with pytest.raises(NotReloaded, match=said):
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
        with pytest.raises(NotReloaded):
            supervisor.reload()
        assert "nothing was changed:\nfound 4097 backends" in caplog.text
        assert supervisor.version == 1


async def test_a_file_that_is_gone_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A reload without a file is told, and the balancer goes on."""
    async with running(path) as supervisor:
        remove(path)
        with pytest.raises(NotReloaded):
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
        change = await supervisor.changes.put_backend(APP, member)
        assert (change.created, change.in_force) == (True, True)
        assert supervisor.seats[0].applied >= change.version > 1
        assert backends(supervisor) == ["new", "127.0.0.1:1"]
        again = await supervisor.changes.put_backend(APP, member)
        assert (again.created, again.in_force) == (False, True)
        gone = await supervisor.changes.delete_backend(APP, BackendName("127.0.0.1:1"))
        assert gone.in_force
        assert backends(supervisor) == ["new"]
        with pytest.raises(MembershipError, match="no backend"):
            await supervisor.changes.delete_backend(APP, BackendName("127.0.0.1:1"))


async def test_a_change_that_a_worker_does_not_hear_of_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stands still delays the answer no longer than its bound."""
    monkeypatch.setattr(publisher, "SETTLE_SECONDS", 0.2)
    async with running(path) as supervisor:
        pid = supervisor.seats[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        change = await supervisor.changes.put_backend(
            APP, Member(BackendName("new"), Address("::1", 2))
        )
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
            await supervisor.changes.put_backend(APP, Member(BackendName("new"), Address("::1", 2)))
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
    rewrite(path, PLAIN.replace("admin: off", f"admin: {{address: 127.0.0.1:0, socket: {door}}}"))
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
        with pytest.raises(NotReloaded):
            supervisor.reload()
        await until(log.exists)
        rewrite(path, f"{PLAIN}access_log: {tmp_path}\n")
        with pytest.raises(NotReloaded):
            supervisor.reload()
        assert supervisor.version == 1


def test_a_log_that_cannot_be_opened_is_told_before_anything_runs(path: Path) -> None:
    """Nothing listens yet, and no socket file is left."""
    rewrite(path, f"{PLAIN}access_log: {path.parent}\n")
    with pytest.raises(CannotLog, match="cannot write the access log"):
        run(path, load_config(path))


# --- drains, tickets, keys ------------------------------------------------------------------------


async def test_a_backend_is_drained_and_undrained(path: Path) -> None:
    """When the answer comes, every worker decides by the change; a reload keeps it."""
    async with running(path) as supervisor:

        def backend() -> Backend:
            return supervisor.snapshot.pools.pools[APP].backends[0]

        change = await supervisor.changes.drain_backend("127.0.0.1:1", 60.0)
        assert (change.draining, change.in_force) == (True, True)
        assert supervisor.seats[0].applied >= change.version > 1
        assert (backend().draining, backend().drain_deadline) == (True, change.deadline)
        supervisor.reload()
        assert backend().draining
        again = await supervisor.changes.drain_backend("app/127.0.0.1:1")
        assert (again.deadline, again.in_force) == (change.deadline, True)
        done = await supervisor.changes.undrain_backend("127.0.0.1:1")
        assert (done.draining, done.deadline, done.in_force) == (False, None, True)
        assert not backend().draining
        assert backend().returned_at is not None
        for wrong in (
            supervisor.changes.drain_backend("other"),
            supervisor.changes.undrain_backend("other"),
        ):
            with pytest.raises(MembershipError, match="found no backend 'other'"):
                await wrong


def with_keys(folder: Path) -> str:
    """The plain configuration with one routing key, whose file may be missing."""
    return PLAIN.replace(
        "sticky: off", f"sticky: {{tickets: false, routable_keys: [{folder}/key]}}"
    )


def test_a_key_that_cannot_be_loaded_is_told_before_anything_runs(path: Path) -> None:
    """Nothing listens yet: the configuration is at fault."""
    rewrite(path, with_keys(path.parent))
    with pytest.raises(ConfigError, match=r"pools.app.sticky.routable_keys\[0\].*No such file"):
        run(path, load_config(path))


async def test_policies_are_loaded_anew_or_nothing_is_changed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in a policy is one of the configuration: at the start, and with a reload."""
    policy = path.parent / "policy.yaml"
    text = PLAIN.replace("sticky: off", "sticky: off, attestation: {policy: policy.yaml}")
    rewrite(path, text)
    with pytest.raises(ConfigError, match=r"policy\.yaml: cannot be read: No such file"):
        Supervisor(path, load_config(path))
    write_policy(policy)
    async with running(path) as supervisor:

        def asked() -> bytes:
            found = supervisor.roster.attestor.rules(APP)
            return b"" if found is None else found.policy.digest

        before = asked()
        assert before
        assert not supervisor.snapshot.pools.pools[APP].backends[0].trusted
        policy.write_text("accept: 5\n", encoding="utf-8")
        with pytest.raises(NotReloaded):
            supervisor.reload()
        assert "reload: nothing was changed" in caplog.text
        assert f"{policy}:1:9: accept: found 5" in caplog.text
        assert (asked(), supervisor.version) == (before, 1)
        write_policy(policy, allow_debug=True)
        supervisor.reload()
        assert asked() != before


async def test_a_revocation_is_in_force_when_it_is_answered(path: Path) -> None:
    """With how many it has hit; once there is no room nothing is changed."""
    async with running(path) as supervisor:
        done = await supervisor.changes.revoke([Revocation(Revoked.CHIP, b"chip")])
        assert (done.refuted, done.in_force) == (0, True)
        many = [Revocation(Revoked.CHIP, n.to_bytes(5)) for n in range(MAX_REVOCATIONS)]
        with pytest.raises(TooManyRevocations):
            await supervisor.changes.revoke(many)
        assert len(supervisor.roster.attestor.revocations) == 1


async def test_keys_are_loaded_anew_or_nothing_is_changed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A reload reads the files again; one that is no key leaves everything as it was."""
    file = path.parent / "key"
    old, new = RoutingKey.fresh(), RoutingKey.fresh()
    write_secret(file, old.line())
    rewrite(path, with_keys(path.parent))
    async with running(path) as supervisor:

        def key() -> RoutableNames | None:
            return supervisor.snapshot.pools.pools[APP].routable

        assert key() == RoutingKeys([old])
        file.chmod(0o640)
        with pytest.raises(NotReloaded):
            supervisor.reload()
        assert "reload: nothing was changed" in caplog.text
        assert "found mode 0640" in caplog.text
        assert (key(), supervisor.version) == (RoutingKeys([old]), 1)
        file.unlink()
        write_secret(file, new.line())
        supervisor.reload()
        assert key() == RoutingKeys([new])
    assert not any(each.secret.hex() in caplog.text for each in (old, new))


async def test_a_name_that_a_client_waits_for_is_published_at_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker asked for does not wait until changes have gathered."""
    monkeypatch.setattr(roster_module, "HOLD_SECONDS", PATIENCE_SECONDS)
    certificate = make_certificate(tmp_path)
    held = Rotating(certificate.context())
    with TlsBackend(held) as server:
        rewrite(
            path, PLAIN.replace("127.0.0.1:1", f"127.0.0.1:{server.port}").replace("off}}", "{}}}")
        )
        async with running(path) as supervisor:

            def names() -> int:
                return len(supervisor.snapshot.pools.pools[APP].ticket_names.names)

            await until(lambda: names() == 1)
            monkeypatch.setattr(module, "PUBLISH_SECONDS", 10 * PATIENCE_SECONDS)
            await supervisor.changes.put_backend(APP, Member(BackendName("new"), Address("::1", 2)))
            held.context = certificate.context()
            supervisor.roster.ask(APP)
            await until(lambda: names() == 2)


async def test_what_one_worker_observes_the_others_are_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of three workers observes something: each is told of two, never of its own."""
    told = Counter[int]()
    monkeypatch.setattr(Seat, "tell", lambda seat, _: told.update([seat.number]))
    monkeypatch.setattr(module, "KILL_SECONDS", 0.2)
    worker(monkeypatch, saying(Ready(1), Observed((SEEN,))))
    rewrite(path, PLAIN.replace("workers: 1", "workers: 3").replace("30s", "0s"))
    async with running(path):
        await until(lambda: told == {0: 2, 1: 2, 2: 2})
