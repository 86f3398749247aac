"""The roster: discovery, probes, dials and the API change one state, and say that it changed."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from l4proxy.config import Config, parse_config
from l4proxy.control import roster as module
from l4proxy.control.attesting.policies import Policies, load_policies
from l4proxy.control.discovery import Changed, DnsDiscovery, DnsStatistics, watches
from l4proxy.control.found import Phase
from l4proxy.control.membership import AlreadyThere, Member, TooMany, Unknown
from l4proxy.control.roll import UnknownPool
from l4proxy.control.roster import Roster
from l4proxy.control.tickets.learner import Learner
from l4proxy.control.totals import Totals
from l4proxy.dataplane.counters import DIAL_FAILED
from l4proxy.limits import MAX_BACKENDS
from l4proxy.messages import Report
from routing import Address, BackendName, PoolName
from routing.health import HealthReason
from tests.e2e.backends import Backend
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.server import ApiServer
from tests.l4proxy.control.attesting.enclave import TEE, WRONG, Enclave, new_key, write_policy
from tests.l4proxy.control.attesting.enclave import running as enclave_running
from tests.l4proxy.control.discovery.dns_server import DnsServer, records, serve_dns
from tests.l4proxy.control.discovery.test_endpoints import endpoint, slice_
from tests.l4proxy.control.discovery.test_kubernetes import labelled
from tests.l4proxy.control.servers import make_certificate
from tests.l4proxy.control.tickets.stacks import Rotating
from tests.l4proxy.control.tickets.stacks import plain as plain_name
from tests.ports import free_port

PATIENCE_SECONDS = 20.0
APP = PoolName("app")
A, B = BackendName("a"), BackendName("b")


def config(pool: str) -> Config:
    """A configuration with one pool."""
    text = f'listeners: ["127.0.0.1:0"]\nroutes: {{app.example.com: app}}\npools: {{app: {pool}}}\n'
    return parse_config(text, "roster")


TWO = (
    '{backends: [{address: "127.0.0.1:1", name: a}, {address: "127.0.0.1:2", name: b}], '
    "sticky: off}"
)


def looked_up(server: DnsServer, more: str = "") -> str:
    """A pool that DNS fills."""
    dns = f"name: enclaves.internal, port: 443, resolver: {server.address}, every: 1s{more}"
    return f"{{backends: [{{dns: {{{dns}}}}}], sticky: off}}"


@contextlib.asynccontextmanager
async def running(roster: Roster) -> AsyncIterator[None]:
    """A roster at work."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(roster.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.005)


def names(roster: Roster) -> list[str]:
    """Who exists."""
    return [member.name for member in roster.members(APP)]


async def test_everybody_is_well_at_first() -> None:
    """Before anything is known the configuration's backends get traffic, and a plan is due."""
    roster = Roster(config(TWO), Totals())
    assert roster.changed.is_set()
    assert roster.usable() == {APP: {A, B}}
    assert roster.verdicts(APP)[A].reason is HealthReason.ASSUMED


async def test_what_the_api_puts_is_there_at_once() -> None:
    """Whether it is new is told; health knows it; deleting it says what it was."""
    roster = Roster(config(TWO), Totals())
    member = Member(BackendName("c"), Address("127.0.0.1", 3))
    for new in (True, False):
        roster.changed.clear()
        assert roster.put(APP, member) is new
        assert roster.changed.is_set()
    assert roster.usable()[APP] == {A, B, "c"}
    assert roster.since(APP, member.name) >= roster.since(APP, A)
    roster.changed.clear()
    assert roster.delete(APP, member.name).address == member.address
    assert roster.changed.is_set()
    assert roster.usable()[APP] == {A, B}
    with pytest.raises(KeyError):
        roster.since(APP, member.name)


async def test_what_cannot_be_changes_nothing() -> None:
    """A wrong pool or name raises, and no plan is due."""
    roster = Roster(config(TWO), Totals())
    roster.changed.clear()
    with pytest.raises(UnknownPool):
        roster.put(PoolName("none"), Member(A, Address("127.0.0.1", 3)))
    with pytest.raises(AlreadyThere):
        roster.put(APP, Member(A, Address("127.0.0.1", 3)))
    with pytest.raises(Unknown):
        roster.delete(APP, BackendName("c"))
    assert not roster.changed.is_set()


async def test_probes_change_who_is_usable(caplog: pytest.LogCaptureFixture) -> None:
    """A backend that answers stays, one that does not goes, and the log says why."""
    with contextlib.ExitStack() as stack:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        pool = (
            f'{{backends: [{{address: "127.0.0.1:{port}", name: a}}, '
            f'{{address: "127.0.0.1:{free_port()}", name: b}}], health: {{type: tcp, every: 1s}}, '
            "sticky: off}"
        )
        roster = Roster(config(pool), Totals())
        roster.changed.clear()
        async with running(roster):
            await until(lambda: roster.usable()[APP] == {A})
            assert roster.changed.is_set()
            assert (APP, "refused", 1) in roster.outcomes()
    assert "app/b is unhealthy: probes_failed: refused" in caplog.text


async def test_dials_eject_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures that workers report set a backend aside, unless the pool says otherwise."""
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.01)
    totals = Totals()
    roster = Roster(config(TWO), totals)
    deaf = Roster(config(TWO.replace("{backends", "{passive_health: off, backends")), totals)
    async with running(roster), running(deaf):
        totals.take(0, Report(((DIAL_FAILED, "app/b/econnrefused", 9),)))
        await until(lambda: roster.usable()[APP] == {A})
        assert roster.verdicts(APP)[B].reason is HealthReason.DIALS_FAILED
    assert deaf.usable() == {}


async def test_what_dns_finds_is_there() -> None:
    """The newest answer is who exists; its figures are there to be shown."""
    async with serve_dns(records({"A": ["10.0.0.1", "10.0.0.2"]}, ttl=1)) as server:
        roster = Roster(config(looked_up(server)), Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443", "10.0.0.2:443"])
            server.say(records({"A": ["10.0.0.3"]}, ttl=1))
            await until(lambda: names(roster) == ["10.0.0.3:443"])
            ((pool, source, seen),) = roster.discoveries()
    assert (pool, source) == (APP, f"enclaves.internal:443@{server.address}")
    assert seen.addresses == 1
    assert roster.left_out(APP) == 0


async def test_what_kubernetes_finds_is_there(tmp_path: Path) -> None:
    """By the names of pods; what they are ready for counts, and a pod that boots is known."""
    async with ApiServer().running() as server:
        kubeconfig = write_kubeconfig(tmp_path / "k", server)
        asked = f"service: enclaves, port: https, kubeconfig: {kubeconfig}"
        roster = Roster(
            config(f"{{backends: [{{kubernetes: {{{asked}}}}}], sticky: off}}"), Totals()
        )
        slices = slice_(endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "b", ready=False))
        server.add("endpointslices", "s", labelled(slices))
        async with running(roster):
            await until(lambda: names(roster) == ["a", "b"])
            phases = [member.phase for member in roster.members(APP)]
            assert phases == [Phase.ELIGIBLE, Phase.WAITING]
            await until(lambda: server.watches.open)
            server.change("endpointslices", "s", labelled(slice_()))
            await until(lambda: names(roster) == [])
            ((pool, source, seen),) = roster.discoveries()
    assert (pool, source) == (APP, f"kubernetes:enclaves:https@{kubeconfig}")
    assert (seen.addresses, seen.fault) == (0, None)


async def test_a_source_is_kept_over_a_reload_that_does_not_change_it() -> None:
    """Equal sources go on; another one begins anew, with what was found until it knows better."""
    async with serve_dns(records({"A": ["10.0.0.1"]})) as server:
        first = config(looked_up(server))
        roster = Roster(first, Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443"])
            asked = len(server.queries)
            roster.adopt(first, roster.succeed(first))
            assert names(roster) == ["10.0.0.1:443"]
            ((_, _, seen),) = roster.discoveries()
            assert isinstance(seen, DnsStatistics)
            assert (seen.rounds, len(server.queries)) == (1, asked)
            other = config(looked_up(server).replace("every: 1s", "every: 2s"))
            roster.adopt(other, roster.succeed(other))
            assert names(roster) == ["10.0.0.1:443"]
            await until(lambda: len(server.queries) > asked)
            none = config(TWO)
            roster.adopt(none, roster.succeed(none))
            assert list(roster.discoveries()) == []
            assert names(roster) == ["a", "b"]


async def test_a_reload_without_room_changes_nothing() -> None:
    """What would not fit is told before anything is done."""
    roster = Roster(config(TWO), Totals())
    roster.put(APP, Member(BackendName("c"), Address("127.0.0.1", 3)))
    ports = ", ".join(f'"10.0.0.1:{port}"' for port in range(1, MAX_BACKENDS + 1))
    with pytest.raises(TooMany):
        roster.succeed(config(f"[{ports}]"))
    assert names(roster) == ["c", "a", "b"]


async def test_a_bug_in_discovery_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is in the log, the source is asked again after a rest."""
    monkeypatch.setattr(watches, "DISCOVERY_RETRY_SECONDS", 0.01)
    real = DnsDiscovery.watch
    failures = iter([ZeroDivisionError()])

    async def watch(self: DnsDiscovery, changed: Changed) -> None:
        for error in failures:
            raise error
        await real(self, changed)

    monkeypatch.setattr(DnsDiscovery, "watch", watch)
    async with serve_dns(records({"A": ["10.0.0.1"]})) as server:
        roster = Roster(config(looked_up(server)), Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443"])
    assert "ZeroDivisionError" in caplog.text


# --- drains ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drain", "asked", "expected"),
    [
        ("", None, 3_600.0),
        ("drain: {timeout: 10m}, ", None, 600.0),
        ("drain: {timeout: off}, ", None, None),
        ("", 60.0, 60.0),
        ("", math.inf, None),
    ],
)
async def test_a_drain_takes_as_long_as_is_said(
    drain: str, asked: float | None, expected: float | None
) -> None:
    """The configuration's time, unless another is asked for; whoever plans is told."""
    roster = Roster(config(TWO.replace("{backends", f"{{{drain}backends")), Totals())
    roster.changed.clear()
    begun = time.monotonic()
    pool, member, deadline = roster.drain("a", asked)
    assert (pool, member.name) == (APP, A)
    if expected is None:
        assert deadline is None
    else:
        assert deadline is not None
        assert begun + expected <= deadline <= time.monotonic() + expected
    assert roster.changed.is_set()
    assert roster.standing().drains == {(APP, A): deadline}


async def test_to_drain_again_changes_the_time_only_if_one_is_given() -> None:
    """Who repeats a drain does not prolong it by accident."""
    roster = Roster(config(TWO), Totals())
    *_, first = roster.drain("app/a", 60.0)
    roster.changed.clear()
    assert roster.drain("a") == (APP, roster.members(APP)[0], first)
    assert not roster.changed.is_set()
    *_, later = roster.drain("a", 120.0)
    assert later is not None
    assert first is not None
    assert later > first


async def test_who_is_undrained_has_come_back() -> None:
    """Its slow start counts from then; to undrain who is not drained changes nothing."""
    roster = Roster(config(TWO), Totals())
    roster.drain("a")
    begun = time.monotonic()
    assert roster.undrain("a") == (APP, roster.members(APP)[0])
    assert roster.standing().drains == {}
    assert roster.standing().returned[APP, A] >= begun
    roster.changed.clear()
    roster.undrain("b")
    assert not roster.changed.is_set()
    assert roster.standing().returned.keys() == {(APP, A)}


async def test_a_drain_outlives_a_reload_and_ends_with_its_backend() -> None:
    """A reload says nothing of drains; who is deleted and comes again is not drained."""
    roster = Roster(config(TWO), Totals())
    roster.drain("a")
    same = config(TWO)
    roster.adopt(same, roster.succeed(same))
    assert roster.standing().drains.keys() == {(APP, A)}
    roster.undrain("b")
    roster.drain("b")
    roster.delete(APP, A)
    assert roster.standing().drains.keys() == {(APP, B)}
    roster.adopt(same, roster.succeed(same))
    assert A in [member.name for member in roster.members(APP)]
    assert roster.standing().drains.keys() == {(APP, B)}


# --- tickets --------------------------------------------------------------------------------------


def asked(port: int, more: str = "") -> str:
    """A pool with one backend, whose tickets are asked for."""
    return f'{{backends: [{{address: "127.0.0.1:{port}", name: a}}]{more}}}'


async def test_names_are_learned_and_looked_for_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated key is found as soon as a worker asks, and that is urgent; else names are not."""
    monkeypatch.setattr(module, "HOLD_SECONDS", PATIENCE_SECONDS)
    certificate = make_certificate(tmp_path)
    held = Rotating(certificate.context())
    with Backend(held) as server:
        roster = Roster(config(asked(server.port)), Totals())
        roster.changed.clear()
        async with running(roster):
            await until(lambda: list(roster.interviews()) == [(APP, "", 1)])
            (first,) = roster.standing().names[APP].names
            assert first.owner == A
            assert roster.changed.is_set()
            assert not roster.urgent.is_set()
            held.context = certificate.context()
            roster.ask(APP)
            await until(roster.urgent.is_set)
            assert len(roster.standing().names[APP].names) == 2
            assert roster.name_statistics(APP)[A].names == 2
            assert roster.ticket_standings(APP)[A].fault is None
            assert list(roster.rounds()) == [(APP, 1)]


async def test_who_gives_no_tickets_is_as_well_as_before() -> None:
    """An interview that fails is told, and bars nobody from traffic."""
    with Backend(lambda _: None) as server:
        roster = Roster(config(asked(server.port)), Totals())
        async with running(roster):
            await until(lambda: roster.ticket_standings(APP)[A].fault is not None)
            assert roster.usable() == {APP: {A}}
            assert roster.verdicts(APP)[A].reason is HealthReason.ASSUMED
            assert list(roster.interviews()) == [(APP, "tls_failed", 1)]
            gone = config(TWO.replace("app:", "other:"))
            roster.adopt(gone, roster.succeed(gone))
            assert roster.ticket_standings(APP) == {}


async def test_who_is_well_again_has_come_back_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its slow start counts from the moment of the verdict; one in bad health does not count."""
    forgiven = list[tuple[PoolName, BackendName]]()
    monkeypatch.setattr(Learner, "returned", lambda _, *key: forgiven.append(key))
    port = free_port()
    pool = asked(port, ", health: {type: tcp, every: 1s, rise: 1, fall: 1}")
    roster = Roster(config(pool), Totals())
    async with running(roster):
        await until(lambda: not roster.verdicts(APP)[A].healthy)
        assert roster.standing().returned == {}
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
        async with server:
            await until(lambda: roster.verdicts(APP)[A].healthy)
            await until(lambda: (APP, A) in roster.standing().returned)
        assert forgiven == [(APP, A)]
        assert roster.standing().returned[APP, A] == roster.since(APP, A)


# --- attestation ---------------------------------------------------------------------------------


def attested(folder: Path, enclave: Enclave, port: int) -> tuple[Config, Policies]:
    """A configuration whose only backend must prove itself, and the policy that it names."""
    write_policy(folder / "app.yaml", freshness={"mode": "nonce"})
    probes = "health: {type: tls, every: 1s, timeout: 900ms}"
    block = f"{probes}, sticky: off, attestation: {{policy: {folder}/app.yaml, every: 1h}}"
    backend = f'{{address: "127.0.0.1:{port}", name: a}}'
    found = config(f"{{backends: [{backend}], {block}}}")
    return found, load_policies(folder / "config.yaml", found)


async def test_who_has_not_proved_itself_is_barred(tmp_path: Path) -> None:
    """From the start; a key that a probe sees changed is barred again, until it is proved."""
    enclave = Enclave()
    with enclave_running(enclave) as server:
        found, policies = attested(tmp_path, enclave, server.port)
        roster = Roster(found, Totals(), policies)
        assert roster.standing().barred == {(APP, A): None}
        async with running(roster):
            await until(lambda: not roster.standing().barred)
            first = roster.attestor.trusts(APP)[A].key
            roster.changed.clear()
            enclave.tee, enclave.key = WRONG, new_key()
            await until(lambda: roster.standing().barred == {(APP, A): -math.inf})
            assert roster.changed.is_set()
            enclave.tee = TEE
            await until(lambda: not roster.standing().barred)
            assert roster.attestor.trusts(APP)[A].key != first
            plain = config(TWO)
            roster.adopt(plain, roster.succeed(plain))
            assert roster.standing().barred == {}


async def test_a_ticket_key_that_two_hold_bars_both(tmp_path: Path) -> None:
    """What interviews have found out of an attested pool counts against its backends."""
    enclave = Enclave()
    with enclave_running(enclave) as server:
        found, policies = attested(tmp_path, enclave, server.port)
        roster = Roster(found, Totals(), policies)
        async with running(roster):
            await until(lambda: not roster.standing().barred)
            now = asyncio.get_running_loop().time()
            homes = {A: Address("127.0.0.1", server.port), B: Address("127.0.0.1", 1)}
            roster.learner.registry.settle({APP: homes})
            roster.learner.registry.learn(APP, A, [plain_name("red")], now)
            roster.learner.registry.share(APP, B, [plain_name("red")], now)
            await until(lambda: roster.standing().barred == {(APP, A): -math.inf})
            assert roster.attestor.trusts(APP)[A].reason.startswith("ticket_names")


async def test_a_pool_is_complete_when_all_its_sources_have_answered() -> None:
    """One that only the configuration names is from the beginning."""
    assert Roster(config(TWO), Totals()).complete(APP)
    async with serve_dns(records({"A": ["10.0.0.1"]})) as server:
        roster = Roster(config(looked_up(server)), Totals())
        assert not roster.complete(APP)
        async with running(roster):
            await until(lambda: roster.complete(APP))
