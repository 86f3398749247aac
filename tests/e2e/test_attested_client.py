"""The attesting client through the balancer, to agents with a simulated TEE: all are processes."""

import asyncio
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy.client import (
    Basis,
    Continuity,
    Fault,
    NotAttested,
    OnSwitch,
)
from tests.e2e.agents import Agent, running
from tests.e2e.attested import Site, asking, enclaves, prepared, visit, write_policy
from tests.e2e.balancer import ROOT, Start
from tests.e2e.programs import serving as server
from tests.e2e.programs import tool
from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until
from tests.l4proxy.agent.parts import NAME, policy
from tests.l4proxy.cli.calls import call
from tests.l4proxy.client.parts import Enclave, Server, refused, serving
from tests.l4proxy.client.test_attacks import taken_from
from tests.ports import free_port

PAGE = (ROOT / "docs" / "attested-connection.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For the tests that leave it was."""
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


async def test_fresh_and_resumed_through_the_balancer(site: Site) -> None:
    """The proof holds end to end through the balancer, and each client keeps its enclave."""
    async with asking() as client, asyncio.timeout(TIMEOUT):
        first, name = await visit(client, site.port)
        assert (first.standing, first.basis) == (Continuity.FRESH, Basis.EXPORTER)
        assert site.by_name(first).name == name
        for _ in range(5):
            later, same = await visit(client, site.port)
            assert (later.standing, later.basis) == (Continuity.RESUMED, Basis.LINEAGE)
            assert (later.instance, same) == (first.instance, name)


@pytest.mark.parametrize("on_switch", [OnSwitch.ALLOW, OnSwitch.REATTEST])
async def test_a_fail_over_is_told(own_site: Site, on_switch: OnSwitch) -> None:
    """When its enclave dies the client goes on with another, which proves itself."""
    async with asking(on_switch) as client, asyncio.timeout(2 * TIMEOUT):
        first, _ = await visit(client, own_site.port)
        own_site.by_name(first).stop(signal.SIGKILL)
        second, name = await visit(client, own_site.port)
    assert (second.standing, second.basis) == (Continuity.SWITCHED, Basis.EXPORTER)
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
    assert (first.standing, first.basis) == (Continuity.FRESH, Basis.NONCE)
    assert (later.standing, later.basis) == (Continuity.RESUMED, Basis.LINEAGE)
    assert caught.value.fault is Fault.NO_PROOF
