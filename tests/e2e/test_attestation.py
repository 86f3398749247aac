"""Attested pools: who has not proved what it runs gets no traffic, and loses what it has."""

import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from OpenSSL import SSL

from attestation import SimulatedTee
from tests.e2e.backends import Backend, naming
from tests.e2e.balancer import Balancer, Page, Start
from tests.e2e.sockets import TIMEOUT
from tests.e2e.test_agent import running as agent
from tests.e2e.waiting import until
from tests.l4proxy.agent.parts import IMAGE
from tests.l4proxy.cli.calls import call
from tests.l4proxy.control.attesting.enclave import (
    TEE,
    WRONG,
    Enclave,
    honest,
    http,
    new_key,
    running,
    write_policy,
)

PROBES = {"type": "tls", "every": "1s", "timeout": "900ms", "rise": 1, "fall": 3}
BY_NONCE = {"freshness": {"mode": "nonce"}}
REFUSED = "TLSV1_ALERT_INTERNAL_ERROR"


@dataclass
class App(Enclave):
    """An enclave that answers its name, or holds the connection of who asks for that.

    Attributes:
        name: What it answers.
        proves: Whether it answers for itself; else its endpoint is out of order.
    """

    name: bytes = b"a"
    proves: bool = True

    def __post_init__(self) -> None:
        """Answer."""
        self.endpoint = _answer


def _answer(enclave: Enclave, connection: SSL.Connection, target: str) -> bytes:
    assert isinstance(enclave, App)
    if target.startswith("/.well-known"):
        out_of_order = http(b"", status="503 Service Unavailable")
        return honest(enclave, connection, target) if enclave.proves else out_of_order
    connection.sendall(http(enclave.name))
    if target == "/hold":
        connection.recv(1)
    return b""


@contextmanager
def apps(*enclaves: App) -> Iterator[list[object]]:
    """Enclaves at work; their entries in a pool."""
    with ExitStack() as stack:
        yield [
            {"address": stack.enter_context(running(each)).address, "name": each.name.decode()}
            for each in enclaves
        ]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that accepts `TEE`, asked by nonce."""
    path = tmp_path / "app-policy.yaml"
    write_policy(path, **BY_NONCE)
    return path


def config(backends: list[object], policy: Path, **more: object) -> Mapping[str, object]:
    """A configuration whose pool is attested."""
    block = {"policy": str(policy), "every": "5s", **cast("Mapping[str, str]", more.pop("a", {}))}
    pool = {"backends": backends, "sticky": False, "balance": "round_robin", "health": PROBES}
    routes = {"app.example.com": "app"}
    return {"routes": routes, "pools": {"app": {**pool, "attestation": block, **more}}}


def trust(balancer: Balancer, name: str = "a") -> Mapping[str, Page]:
    """What a backend has proved."""
    found = balancer.backend(name) or {}
    return cast("Mapping[str, Page]", found.get("attestation") or {})


def expect(balancer: Balancer, state: str, name: str = "a") -> None:
    """Waits until a backend stands so, and every worker decides by that."""
    until(f"{name} is {state}", lambda: stands(balancer, state, name))


def stands(balancer: Balancer, state: str, name: str) -> bool:
    """Whether it does by now."""
    found, proof = balancer.backend(name) or {}, trust(balancer, name)
    if proof.get("state") != state:
        return False
    if proof["enforced"] and found["eligible"] != (state == "trusted"):
        return False
    status = balancer.status()
    workers = cast("list[dict[str, int]]", status["workers"])
    return all(worker["applied"] >= cast("int", status["snapshot"]) for worker in workers)


def client(balancer: Balancer) -> ssl.SSLSocket:
    """A TLS client; who answers, the policy has asked."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(balancer.address, TIMEOUT)
    return context.wrap_socket(plain, server_hostname="app.example.com")


def ask(balancer: Balancer, target: str = "/") -> bytes:
    """Who answers a client."""
    with client(balancer) as tls:
        tls.sendall(f"GET {target} HTTP/1.1\r\nHost: app.example.com\r\n\r\n".encode())
        came = b""
        while not came.endswith((b"a", b"b", b"c")):
            came += tls.recv(1_000) or pytest.fail("no answer")
        return came[-1:]


def refused(balancer: Balancer) -> bool:
    """Whether a client is told that nobody serves it."""
    try:
        ask(balancer)
    except ssl.SSLError as error:
        return error.reason == REFUSED
    return False


@contextmanager
def held(balancer: Balancer) -> Iterator[ssl.SSLSocket]:
    """A connection that stays open."""
    with client(balancer) as tls:
        tls.sendall(b"GET /hold HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
        assert tls.recv(1_000)
        yield tls


def cut(tls: ssl.SSLSocket) -> bool:
    """Whether the connection has ended without a word of its server."""
    tls.settimeout(0.01)
    try:
        return not tls.recv(1_000)
    except TimeoutError:
        return False
    except (ssl.SSLError, ConnectionError):
        return True


def test_only_enclaves_that_prove_themselves_get_traffic(start: Start, policy: Path) -> None:
    """One of three runs something else: no client ever meets it, and status says why."""
    enclaves = App(name=b"a"), App(WRONG, name=b"b"), App(name=b"c")
    with apps(*enclaves) as backends:
        balancer = start(config(backends, policy))
        expect(balancer, "trusted")
        expect(balancer, "trusted", "c")
        expect(balancer, "refuted", "b")
        assert {ask(balancer) for _ in range(12)} == {b"a", b"c"}
        found = balancer.backend("b") or {}
        assert (found["eligible"], found["reason"], found["trust"]) == (
            False,
            "untrusted",
            "refuted",
        )
        assert str(trust(balancer, "b")["reason"]).startswith("pcr0: found ")
        assert not any("well-known" not in target for target in enclaves[1].asked)
        page = balancer.page("/metrics")
        for line in (
            'l4proxy_backend_trust{backend="a",pool="app",state="trusted"} 1.0',
            'l4proxy_backend_trust{backend="b",pool="app",state="refuted"} 1.0',
            'l4proxy_backend_simulated{backend="a",pool="app"} 1.0',
            'l4proxy_pool_attestation_enforced{pool="app"} 1.0',
        ):
            assert line in page
        assert 'l4proxy_attestations_total{outcome="pcr0",pool="app"}' in page
        assert "SIMULATED" in balancer.log


def test_evidence_by_exporter_and_by_certificate(start: Start, tmp_path: Path) -> None:
    """The strict default, and the way that needs no endpoint."""
    write_policy(tmp_path / "exporter.yaml")
    write_policy(tmp_path / "age.yaml", freshness={"max_age": "1h"})
    with apps(App(name=b"a"), App(name=b"b", in_certificate=True, proves=False)) as (one, two):
        by_exporter = config([one], tmp_path / "exporter.yaml")
        by_age = config([two], tmp_path / "age.yaml", a={"evidence": "certificate"})
        for found, name in ((by_exporter, "a"), (by_age, "b")):
            balancer = start(found)
            expect(balancer, "trusted", name)
            assert ask(balancer) == name.encode()


def test_a_pool_without_a_proof_stays_closed(start: Start, policy: Path) -> None:
    """Health opens a pool in which nobody is well; nothing opens one in which nobody is proved."""
    with apps(App(WRONG)) as backends:
        balancer = start(config(backends, policy))
        expect(balancer, "refuted")
        assert refused(balancer)
    until("it is unhealthy too", lambda: not _healthy(balancer))
    assert refused(balancer)


def _healthy(balancer: Balancer) -> bool:
    health = (balancer.backend("a") or {})["health"]
    return bool(cast("Mapping[str, Page]", health)["healthy"])


def test_a_key_that_changes_is_out_until_it_is_proved(start: Start, policy: Path) -> None:
    """A probe sees it: no client meets the new key before its proof."""
    enclave = App()
    with apps(enclave) as backends:
        balancer = start(config(backends, policy, a={"every": "1h"}))
        expect(balancer, "trusted")
        before = trust(balancer)["key"]
        enclave.proves, enclave.key = False, new_key()
        until("it is out of rotation", lambda: refused(balancer))
        expect(balancer, "untested")
        enclave.proves = True
        expect(balancer, "trusted")
        assert trust(balancer)["key"] != before
        until("it is back", lambda: not refused(balancer))


@pytest.mark.parametrize(
    "tee", [WRONG, SimulatedTee(b"the image", debug=True)], ids=["pcr", "debug"]
)
def test_who_is_refuted_loses_its_connections(
    start: Start, policy: Path, tee: SimulatedTee
) -> None:
    """At once, however long they might have stayed."""
    enclave = App()
    with apps(enclave) as backends:
        balancer = start(config(backends, policy))
        expect(balancer, "trusted")
        with held(balancer) as tls:
            enclave.tee = tee
            expect(balancer, "refuted")
            until("its connection is cut", lambda: cut(tls))
        assert refused(balancer)


def test_trust_that_expires_lets_connections_finish(start: Start, tmp_path: Path) -> None:
    """No new one from then on; those there are go on for as long as a drain lets them."""
    write_policy(tmp_path / "age.yaml", freshness={"mode": "nonce", "max_age": "3s"})
    enclave = App()
    with apps(enclave) as backends:
        balancer = start(config(backends, tmp_path / "age.yaml", drain={"timeout": "4s"}))
        expect(balancer, "trusted")
        with held(balancer) as tls:
            enclave.proves = False
            expect(balancer, "expired")
            until("nobody new is let in", lambda: refused(balancer))
            assert not cut(tls)
            assert str(trust(balancer)["reason"]).startswith("no_answer: status 503")
            until("its time is over", lambda: cut(tls))
        enclave.proves = True
        expect(balancer, "trusted")


def test_observing_admits_and_says_so(start: Start, policy: Path) -> None:
    """On the first day: everything is told, and nothing is barred."""
    with apps(App(WRONG)) as backends:
        balancer = start(config(backends, policy, a={"mode": "observe"}))
        expect(balancer, "refuted")
        assert ask(balancer) == b"a"
        assert trust(balancer)["enforced"] is False
        assert "NOT enforced" in balancer.log
        assert "it has traffic: observed only" in balancer.log
        assert 'l4proxy_pool_attestation_enforced{pool="app"} 0.0' in balancer.page("/metrics")


def test_a_revocation_acts_at_once(start: Start, policy: Path) -> None:
    """From the command line, on connections too; and again from the configuration."""
    one, two = App(name=b"a"), App(name=b"b")
    with apps(one, two) as backends:
        balancer = start(config(backends, policy, a={"every": "1h"}))
        expect(balancer, "trusted")
        expect(balancer, "trusted", "b")
        key = str(trust(balancer)["key"])
        admin = ["--admin", f"unix:{balancer.path.with_name('admin.sock')}"]
        done = call("revoke", f"key:{key}", *admin)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"revoked key:{key}: in force; backends refuted: 1\n"
        assert {ask(balancer) for _ in range(4)} == {b"b"}
        assert trust(balancer)["state"] == "refuted"
        image = f"measurement:{TEE.registers()[0].hex()}"
        balancer.reload(config(backends, policy, a={"every": "1h", "revoked": [image]}))
        expect(balancer, "refuted", "b")
        assert refused(balancer)
        status, _ = balancer.change("POST", "/api/v1/revocations", {"revoke": ["chip:00"]})
        assert status == 400


def test_another_policy_comes_with_a_reload(start: Start, policy: Path) -> None:
    """What it accepts is let in, what it does not accept is refuted; a broken one is not taken."""
    with apps(App(name=b"a"), App(WRONG, name=b"b")) as backends:
        balancer = start(config(backends, policy, a={"every": "1h"}))
        expect(balancer, "trusted")
        expect(balancer, "refuted", "b")
        write_policy(policy, WRONG, **BY_NONCE)
        balancer.reload(config(backends, policy, a={"every": "1h"}))
        expect(balancer, "refuted")
        expect(balancer, "trusted", "b")
        policy.write_text("accept: []\n", encoding="utf-8")
        balancer.process.signal(signal.SIGHUP)
        until("it is told", lambda: f"{policy}:1:9: accept: " in balancer.log)
        assert ask(balancer) == b"b"


def test_a_policy_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    """With its file, line and column; `check` says the same."""
    (tmp_path / "app.yaml").write_text("accept:\n  - nitre: {}\n", encoding="utf-8")
    path = tmp_path / "config.yaml"
    path.write_text(
        "listeners: ['127.0.0.1:0']\nroutes: {app.example.com: app}\n"
        "pools: {app: {backends: ['127.0.0.1:9'], attestation: {policy: app.yaml}}}\n",
        encoding="utf-8",
    )
    for command in ("run", "check"):
        done = call(command, path)
        assert done.returncode == 2
        assert f"{tmp_path}/app.yaml:2:5: accept[0]: found the key 'nitre'" in done.stderr


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("mode", ["exporter", "certificate"])
def test_our_own_agent_is_believed(start: Start, tmp_path: Path, protocol: str, mode: str) -> None:
    """Whatever its application speaks: by its endpoint, by ALPN, by its certificate."""
    tee = SimulatedTee(IMAGE.encode())
    folder = tmp_path / "agent"
    folder.mkdir()
    path = tmp_path / "agent-policy.yaml"
    freshness = {"mode": "exporter"} if mode == "exporter" else {"max_age": "2h"}
    write_policy(path, tee, freshness=freshness)
    asked = {"evidence": "certificate"} if mode == "certificate" else {}
    with ExitStack() as stack:
        page = stack.enter_context(Backend(naming(b"hello"))).address
        found = stack.enter_context(agent(folder, application=page, protocol=protocol))
        host, port = found.address
        entry: list[object] = [{"address": f"{host}:{port}", "name": "a"}]
        balancer = start(config(entry, path, a=asked))
        expect(balancer, "trusted")
        assert trust(balancer)["simulated"] is True
        with client(balancer) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
            assert tls.recv(5) == b"hello"
