"""The attesting client through the balancer, to agents with a simulated TEE: all are processes."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from attestation import Policy, SimulatedTee
from l4proxy.client import (
    Account,
    AttestedClient,
    Basis,
    Fault,
    NotAttested,
    OnSwitch,
    Rules,
    Standing,
)
from tests.e2e.agents import Agent, running
from tests.e2e.backends import Backend
from tests.e2e.balancer import ROOT, Balancer, Start, free_port
from tests.e2e.programs import serving as server
from tests.e2e.programs import tool
from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until
from tests.l4proxy.agent.parts import IMAGE, KINDS, NAME, policy
from tests.l4proxy.cli.calls import call
from tests.l4proxy.client.parts import Enclave, Server, refused, serving
from tests.l4proxy.client.test_attacks import taken_from

PAGE = (ROOT / "docs" / "attested-connection.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
HEALTH = {"type": "tls", "every": "1s", "timeout": "900ms", "rise": 1, "fall": 2}


@dataclass
class Site:
    """A balancer, and the agents behind it.

    Attributes:
        balancer: In front.
        agents: Behind.
        policy: What they meet, as a file.
    """

    balancer: Balancer
    agents: Sequence[Agent]
    policy: Path

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.balancer.address[1]

    def by_name(self, account: Account) -> Agent:
        """The agent at the other end."""
        (found,) = (agent for agent in self.agents if account.name.startswith(agent.name))
        return found


def write_policy(path: Path, image: bytes = IMAGE.encode(), **keys: object) -> Path:
    """A policy's file that accepts a simulated TEE with this image."""
    pcrs = SimulatedTee(image).registers()
    accept = [{"simulated": {"pcrs": {index: pcrs[index].hex() for index in (0, 1, 2)}}}]
    found = {"accept": accept, "allow_simulated": True, "ticket_keys": "inside", **keys}
    path.write_text(yaml.safe_dump(found), encoding="utf-8")
    return path


@contextmanager
def application(name: str) -> Iterator[str]:
    """An application that answers its name; its address."""
    body = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nConnection: close\r\n\r\n{name}"

    def serve(sock: socket.socket) -> None:
        if sock.recv(65_536):
            sock.sendall(body.encode())

    with Backend(serve) as backend:
        yield f"127.0.0.1:{backend.port}"


@contextmanager
def enclaves(folder: Path) -> Iterator[list[Agent]]:
    """Three enclaves of one policy."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                running(Agent(folder / name, name, stack.enter_context(application(name))))
            )
            for name in ("enclave-a", "enclave-b", "enclave-c")
        ]


def config(agents: Sequence[Agent], policy_file: Path) -> dict[str, object]:
    """A pool of attested agents, sticky by their tickets."""
    pool = {
        "backends": [{"address": f"127.0.0.1:{each.port}", "name": each.name} for each in agents],
        "sticky": {"tickets": True, "session_ids": True, "reservation": "1s"},
        "balance": "round_robin",
        "health": HEALTH,
        "attestation": {"policy": str(policy_file), "every": "10s"},
    }
    return {"routes": {NAME: "app", "localhost": "app"}, "pools": {"app": pool}}


def attested(balancer: Balancer, agent: Agent) -> bool:
    """Whether the balancer trusts an agent."""
    found = balancer.backend(agent.name) or {}
    trust = found.get("attestation")
    return isinstance(trust, dict) and trust.get("state") == "trusted"


def prepared(agents: Sequence[Agent], start: Start, folder: Path) -> Site:
    """A balancer that trusts these agents."""
    file = write_policy(folder / "policy.yaml")
    balancer = start(config(agents, file))
    until("it trusts them", lambda: all(attested(balancer, agent) for agent in agents))
    return Site(balancer, agents, file)


@pytest.fixture(scope="module")
def site(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("site")
    with enclaves(folder) as agents:
        yield prepared(agents, start_shared, folder)


@pytest.fixture
def own_site(start: Start, tmp_path: Path) -> Iterator[Site]:
    """For a test that kills what it finds."""
    folder = tmp_path / "site"
    folder.mkdir()
    with enclaves(folder) as agents:
        yield prepared(agents, start, folder)


def asking(on_switch: OnSwitch = OnSwitch.REATTEST, asked: Policy | None = None) -> AttestedClient:
    """A client by the policy of the agents."""
    rules = Rules(on_switch=on_switch, timeout=TIMEOUT)
    return AttestedClient(asked or policy(ticket_keys="inside"), rules, kinds=KINDS)


async def visit(client: AttestedClient, port: int) -> tuple[Account, str]:
    """What is known of a connection, and which application answers on it."""
    reader, writer = await client.open_connection("127.0.0.1", port, NAME)
    account = writer.get_extra_info("account")
    assert isinstance(account, Account)
    writer.write(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return account, answer.decode().rpartition("\r\n")[2]


async def test_fresh_and_resumed_through_the_balancer(site: Site) -> None:
    """The proof holds end to end through the balancer, and each client keeps its enclave."""
    async with asking() as client, asyncio.timeout(TIMEOUT):
        first, name = await visit(client, site.port)
        assert (first.standing, first.basis) == (Standing.FRESH, Basis.EXPORTER)
        assert site.by_name(first).name == name
        for _ in range(5):
            later, same = await visit(client, site.port)
            assert (later.standing, later.basis) == (Standing.RESUMED, Basis.LINEAGE)
            assert (later.instance, same) == (first.instance, name)


@pytest.mark.parametrize("on_switch", [OnSwitch.ALLOW, OnSwitch.REATTEST])
async def test_a_fail_over_is_told(own_site: Site, on_switch: OnSwitch) -> None:
    """When its enclave dies the client goes on with another, which proves itself."""
    async with asking(on_switch) as client, asyncio.timeout(2 * TIMEOUT):
        first, _ = await visit(client, own_site.port)
        own_site.by_name(first).stop(signal.SIGKILL)
        second, name = await visit(client, own_site.port)
    assert (second.standing, second.basis) == (Standing.SWITCHED, Basis.EXPORTER)
    assert second.previous == first.instance
    assert own_site.by_name(second).name == name != own_site.by_name(first).name


async def test_a_diversion_is_refused(own_site: Site) -> None:
    """With `on_switch: refuse` another genuine enclave hears nothing, and is named."""
    async with asking(OnSwitch.REFUSE) as client, asyncio.timeout(2 * TIMEOUT):
        first, _ = await visit(client, own_site.port)
        own_site.by_name(first).stop(signal.SIGKILL)
        with pytest.raises(NotAttested) as caught:
            await visit(client, own_site.port)
    assert caught.value.fault is Fault.SWITCHED
    assert first.instance.hex() in str(caught.value)


async def test_a_man_in_front_of_the_balancer(site: Site) -> None:
    """Who ends TLS in front of the balancer, and passes a true proof on, is refused."""

    async def say(_: Enclave, __: ssl.SSLObject) -> bytes:
        return await taken_from(site.port)

    async with serving(Server(say=say)) as middle:
        error = await refused(asking(), middle)
    assert error.fault is Fault.REFUSED
    assert "key_binding" in str(error)


async def test_a_policy_that_it_does_not_meet(site: Site) -> None:
    """The balancer's word counts for nothing: the client's own policy decides."""
    async with asking(asked=policy(claims={"service": "other"})) as client:
        with pytest.raises(NotAttested, match="claim_service: found 'app', expected 'other'"):
            await visit(client, site.port)


def test_once_for_scripts(site: Site, tmp_path: Path) -> None:
    """`connect --once` has the verdict as JSON, and as its exit status."""
    place = ("--once", f"127.0.0.1:{site.port}", "--server-name", NAME)
    good = call("connect", "--policy", site.policy, *place)
    assert good.returncode == 0, good.stdout
    assert json.loads(good.stdout)["standing"] == "fresh"
    other = write_policy(tmp_path / "other.yaml", b"other image")
    bad = call("connect", "--policy", other, *place)
    assert bad.returncode == 1
    document = json.loads(bad.stdout)
    assert document["verdict"] == "refused"
    assert document["detail"].startswith("pcr0: found ")
    assert ", expected " in document["detail"]


def test_a_local_port_for_any_application(site: Site, tmp_path: Path) -> None:
    """An application that knows nothing of TLS reaches the enclave through `connect --listen`."""
    local = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "l4proxy", "connect", "--policy", str(site.policy)]
    command += ["--listen", local, f"127.0.0.1:{site.port}", "--server-name", NAME]
    log = tmp_path / "connect.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        until("the port is ready", lambda: "ready: " in log.read_text(encoding="utf-8"))
        fetch = [tool("curl"), "--silent", "--show-error", "--max-time", "20", f"http://{local}/"]
        names = {subprocess.check_output(fetch, timeout=TIMEOUT) for _ in range(3)}
    finally:
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    assert len(names) == 1
    lines = log.read_text(encoding="utf-8")
    assert lines.count("fresh (exporter): ") == 1
    assert lines.count("resumed (lineage): ") == 2
    assert f"fresh (exporter): {names.pop().decode()} " in lines


async def test_two_hundred_at_once_through_two_balancers(own_site: Site, start: Start) -> None:
    """One enclave is killed and one rotates: who answers was proved, and who failed says why."""
    other = start(config(own_site.agents, own_site.policy))
    until("it trusts them", lambda: all(attested(other, agent) for agent in own_site.agents))
    ports = [own_site.port, other.address[1]]
    results: list[tuple[Account, str] | NotAttested | OSError] = []
    half = asyncio.Event()

    async def one(number: int) -> None:
        async with asking() as client:
            for _ in range(2):
                try:
                    results.append(await visit(client, ports[number % 2]))
                except OSError as error:
                    results.append(error)
                if len(results) >= 100:
                    half.set()

    async with asyncio.timeout(50.0), asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(one(number))
        await half.wait()
        own_site.agents[0].stop(signal.SIGKILL)
        own_site.agents[1].stop()
        await asyncio.to_thread(own_site.agents[1].start)

    assert len(results) == 400
    for result in results:
        if isinstance(result, OSError):
            assert str(result)
        else:
            account, name = result
            assert account.result.accepted
            assert name in {"", own_site.by_name(account).name}
    answered = Counter(bool(result[1]) for result in results if not isinstance(result, OSError))
    assert answered[True] > 200


def adapted(text: str, port: int, local: str = "") -> str:
    """An example of the page, for a service on this machine."""
    text = text.replace("app.example.com:443", f"localhost:{port}")
    return text.replace('"app.example.com", 443', f'"localhost", {port}').replace(
        "127.0.0.1:8080", local
    )


def test_the_examples_of_the_page(site: Site) -> None:
    """Each script on the page runs as it stands there, and reaches an enclave."""
    assert len(SCRIPTS) == 4
    for script in SCRIPTS:
        run = subprocess.run(
            [sys.executable, "-c", adapted(script, site.port)],
            cwd=site.policy.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert "enclave-" in run.stdout.splitlines()[-1]


def test_the_commands_of_the_page(site: Site) -> None:
    """Each command on the page runs as it stands there."""
    tool("curl")
    serve, once = COMMANDS
    listen, fetch = serve.splitlines()
    local = f"127.0.0.1:{free_port()}"
    python = f"{sys.executable} -m l4proxy"
    env, folder = {**os.environ, "PYTHONPATH": str(ROOT)}, site.policy.parent

    def command(text: str) -> list[str]:
        return shlex.split(adapted(text, site.port, local).replace("l4proxy", python, 1))

    with subprocess.Popen(
        command(listen), cwd=site.policy.parent, env=env, stdout=subprocess.PIPE
    ) as port:
        try:
            assert port.stdout is not None
            assert port.stdout.readline().startswith(b"ready: ")
            answer = subprocess.check_output(shlex.split(adapted(fetch, site.port, local)))
        finally:
            port.terminate()
    assert answer.startswith(b"enclave-")
    said = subprocess.check_output(command(once), cwd=folder, env=env, timeout=TIMEOUT)
    assert json.loads(said)["verdict"] == "accepted"


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {folder}/server.crt;
        ssl_certificate_key {folder}/server.key;
        ssl_session_ticket_key {folder}/ticket.key;
        location /.well-known/attestation {{ proxy_pass http://127.0.0.1:{agent}; }}
        location / {{ return 200 "nginx"; }}
    }}
}}
"""


async def test_where_nginx_ends_tls_the_client_says_nonce_only(tmp_path: Path) -> None:
    """Its key is the enclave's, its sessions are resumed, and no more is claimed than is proved."""
    folder, port = tmp_path / "tls", free_port()
    agent = Agent(tmp_path / "agent", "enclave-n", files={"directory": str(folder)})
    command = [tool("nginx"), "-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "conf")]
    with running(agent):
        text = NGINX.format(folder=folder, port=port, agent=agent.port)
        (tmp_path / "conf").write_text(text, encoding="utf-8")
        with server(command, tmp_path, port):
            by_nonce = policy(freshness={"mode": "nonce"}, ticket_keys="inside")
            async with asking(asked=by_nonce) as client, asyncio.timeout(TIMEOUT):
                first, answer = await visit(client, port)
                later, _ = await visit(client, port)
            async with asking() as strict, asyncio.timeout(TIMEOUT):
                with pytest.raises(NotAttested) as caught:
                    await visit(strict, port)
    assert answer == "nginx"
    assert (first.standing, first.basis) == (Standing.FRESH, Basis.NONCE)
    assert (later.standing, later.basis) == (Standing.RESUMED, Basis.LINEAGE)
    assert caught.value.fault is Fault.NO_PROOF
