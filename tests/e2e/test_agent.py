"""The agent as an operator starts it, with clients and servers that others wrote.

The TEE is simulated; everything else is real: the process, TLS, curl, openssl, nginx, the balancer.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation import CMW_EXTENSION, Expectation, parse_cmw
from attestation import der as asn1
from attestation.der import Tag
from attestation.x509 import load_certificate, split_pem
from l4proxy.agent.libssl import export
from l4proxy.evidence_wire import ALPN, FRAME_HEADER, Answer, Question, frame_size, parse_answer
from tests.e2e.backends import Backend
from tests.e2e.balancer import Address, Start
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.programs import serving, tool
from tests.e2e.resumption import NAME, visit
from tests.e2e.sockets import TIMEOUT, connect, exactly
from tests.e2e.waiting import until
from tests.house.repository import ROOT
from tests.l4proxy.agent.parts import client_context, document, policy, verdict
from tests.ports import free_port

TICKET_NAME = bytes(range(16))
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
NONCE = b"n" * 32
AGENT = (sys.executable, "-m", "l4proxy", "agent")


class Agent(NamedTuple):
    """An agent that runs."""

    address: Address
    folder: Path


@contextmanager
def running(folder: Path, **keys: object) -> Iterator[Agent]:
    """An agent until the end of the block."""
    ready, port = folder / "ready", free_port()
    settings = {
        **document(listen=f"127.0.0.1:{port}", ready_file=str(ready), protocol="http"),
        "ticket_name": TICKET_NAME.hex(),
        **keys,
    }
    for key in ("application", "protocol") if "files" in keys else ():
        del settings[key]
    (folder / "agent.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen([*AGENT, str(folder / "agent.yaml")], cwd=ROOT, stderr=log)
    try:
        yield Agent(("127.0.0.1", port), folder)
    finally:
        process.terminate()
        assert process.wait(TIMEOUT) == 0, (folder / "agent.log").read_text(encoding="utf-8")


def wait_ready(agent: Agent) -> None:
    """Waits for the file that says so."""
    until("the agent is ready", (agent.folder / "ready").exists)


@pytest.fixture
def page() -> Iterator[str]:
    """An application that serves one page; its address."""

    def serve(sock: socket.socket) -> None:
        if sock.recv(65_536):
            sock.sendall(PAGE)

    with Backend(serve) as backend:
        yield f"127.0.0.1:{backend.port}"


@pytest.fixture
def agent(tmp_path: Path, page: str) -> Iterator[Agent]:
    """An agent in front of that page."""
    with running(tmp_path, application=page) as found:
        wait_ready(found)
        yield found


def curl(address: Address, *arguments: str) -> bytes:
    """What curl prints."""
    host, port = address
    place = ["--resolve", f"{NAME}:{port}:{host}", "--silent", "--show-error", "--max-time", "20"]
    run = subprocess.run(
        [tool("curl"), *place, *arguments], capture_output=True, timeout=TIMEOUT, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def accepted(answer: Answer, expectation: Expectation) -> None:
    """Fails unless the evidence is accepted."""
    result = verdict(answer, expectation, time.time())
    assert result.accepted, result.reason


def proof(address: Address) -> tuple[Answer, Expectation]:
    """What a client hears by ALPN, and what it expects of it."""
    with connect(address) as sock:
        tls = client_context(ALPN).wrap_socket(sock, server_hostname=NAME)
        with tls:
            answer = parse_answer(exactly(tls, frame_size(exactly(tls, FRAME_HEADER))))
            certificate = tls.getpeercert(binary_form=True)
            assert certificate is not None
            spki = load_certificate(certificate).spki
            return answer, Expectation(spki=spki, exporter=answer.signed(export(tls)))


def test_curl_gets_the_page_and_the_evidence(agent: Agent) -> None:
    """A client that nobody prepared sees the application, and may ask for evidence."""
    place = f"https://{NAME}:{agent.address[1]}"
    assert curl(agent.address, "--insecure", f"{place}/") == b"hello"
    asked = f"{place}{Question(NONCE).target}"
    answer = parse_answer(curl(agent.address, "--insecure", asked))
    accepted(answer, Expectation(nonce=answer.signed(NONCE), live=False))


def test_openssl_has_the_exporter_value_that_was_signed(agent: Agent) -> None:
    """A proof holds for a client of another make, by its own account of the connection."""
    command = [tool("openssl"), "s_client", "-connect", "{}:{}".format(*agent.address)]
    command += ["-alpn", ALPN, "-keymatexport", "EXPORTER-Channel-Binding"]
    command += ["-keymatexportlen", "32", "-tls1_3"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        heard = _until_framed(client)
        client.terminate()
    start = heard.index(b"cmw") - 2 - FRAME_HEADER
    size = frame_size(heard[start : start + FRAME_HEADER])
    answer = parse_answer(heard[start + FRAME_HEADER :][:size])
    material = re.search(rb"Keying material: ([0-9A-F]{64})", heard)
    assert material is not None
    exporter = bytes.fromhex(material[1].decode())
    [leaf] = split_pem(heard, 1)
    spki = load_certificate(leaf).spki
    accepted(answer, Expectation(spki=spki, exporter=answer.signed(exporter)))


def _until_framed(client: "subprocess.Popen[bytes]") -> bytes:
    """All that openssl prints until a whole framed answer is among it."""
    assert client.stdout is not None
    heard = b""
    while True:
        part = os.read(client.stdout.fileno(), 65_536)
        assert part, heard
        heard += part
        place = heard.find(b"cmw")
        # The map's first byte stands two before its first key.
        if place >= 0 and len(heard) >= place - 2 + frame_size(heard[place - 6 : place - 2]):
            return heard


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_resume_under_the_given_name(agent: Agent, version: ssl.TLSVersion) -> None:
    """Tickets begin with the name that the operator gave, and open where they were issued."""
    context = client_context()
    context.minimum_version = context.maximum_version = version
    first = visit(agent.address, context)
    again = visit(agent.address, context, first.session)
    assert again.resumed
    assert TICKET_NAME in {ticket[: len(TICKET_NAME)] for ticket in again.tickets}


def test_a_proof_goes_through_the_balancer(agent: Agent, start: Start) -> None:
    """The balancer passes TLS on as it is, so both ends still agree on the connection."""
    pools = {"app": ["{}:{}".format(*agent.address)]}
    balancer = start({"routes": {NAME: "app"}, "pools": pools})
    accepted(*proof(balancer.address))


@contextmanager
def in_the_middle(agent: Agent, own: Certificate) -> Iterator[Address]:
    """Somebody who ends TLS on the way, and passes on the proof of a connection of their own."""
    middle = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    middle.load_cert_chain(own.certificate, own.key)
    middle.set_alpn_protocols([ALPN])

    def pass_on(sock: socket.socket) -> None:
        with (
            middle.wrap_socket(sock, server_side=True) as tls,
            connect(agent.address) as out,
            client_context(ALPN).wrap_socket(out, server_hostname=NAME) as there,
        ):
            header = exactly(there, FRAME_HEADER)
            tls.sendall(header + exactly(there, frame_size(header)))
            tls.recv(1)

    with Backend(pass_on) as backend:
        yield "127.0.0.1", backend.port


def test_no_proof_passes_for_a_man_in_the_middle(agent: Agent, authority: Authority) -> None:
    """Who ends TLS on the way has evidence of another key."""
    with in_the_middle(agent, authority.issue(NAME)) as address:
        result = verdict(*proof(address), time.time())
    assert result.reason is not None
    assert result.reason.name == "key_binding"


def test_no_proof_passes_even_with_the_key(tmp_path: Path, page: str, authority: Authority) -> None:
    """Who has the enclave's own key and certificate still has another connection."""
    own = authority.issue(NAME)
    own.key.chmod(0o600)
    way = {"provided": {"certificate": str(own.certificate), "key": str(own.key)}}
    known = policy(key_origin=["imported"], freshness={"mode": "exporter"})
    with running(tmp_path, application=page, certificate=way) as agent:
        wait_ready(agent)
        assert verdict(*proof(agent.address), time.time(), known).accepted
        with in_the_middle(agent, own) as address:
            result = verdict(*proof(address), time.time(), known)
    assert result.reason is not None
    assert result.reason.name == "exporter"


def test_a_parent_authority_signs_the_request(tmp_path: Path, page: str) -> None:
    """By file, with openssl as the authority: evidence first, then a chain that curl trusts."""
    request, answer = tmp_path / "request.pem", tmp_path / "chain.pem"
    ways = {"names": [NAME], "request": str(request), "answer": str(answer)}
    root = _root(tmp_path)
    with running(tmp_path, application=page, certificate={"csr": ways}) as agent:
        until("the request is there", request.exists)
        asked = x509.load_pem_x509_csr(request.read_bytes())
        oid = x509.ObjectIdentifier(CMW_EXTENSION)
        extension = asked.extensions.get_extension_for_oid(oid).value
        assert isinstance(extension, x509.UnrecognizedExtension)
        evidence = parse_cmw(asn1.read_only(extension.value, Tag.OCTET_STRING, "cmw").content)
        spki = spki_of(asked)
        inside = policy(freshness={"max_age": "5m"})
        signed = verdict(Answer(evidence), Expectation(spki=spki), time.time(), inside)
        assert signed.accepted, signed.reason
        _openssl(
            tmp_path,
            "x509",
            "-req",
            "-in",
            str(request),
            "-out",
            "half.pem",
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-copy_extensions",
            "copyall",
            "-days",
            "1",
        )
        (tmp_path / "half.pem").rename(answer)
        wait_ready(agent)
        place = f"https://{NAME}:{agent.address[1]}/"
        assert curl(agent.address, "--cacert", str(root), place) == b"hello"
        found, expectation = proof(agent.address)
        accepted(found, expectation)


def spki_of(request: x509.CertificateSigningRequest) -> bytes:
    """The key of a request, as it stands in DER."""
    return request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _root(folder: Path) -> Path:
    """A parent authority's certificate; its key lies beside it."""
    _openssl(
        folder,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "root.key",
        "-out",
        "root.pem",
        "-subj",
        "/CN=parent",
        "-days",
        "1",
    )
    return folder / "root.pem"


def _openssl(folder: Path, *arguments: str) -> None:
    command = [tool("openssl"), *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT)


def test_a_given_certificate_is_served(tmp_path: Path, page: str, authority: Authority) -> None:
    """Clients of its authority see it; evidence says that the key came from outside."""
    own = authority.issue(NAME)
    own.key.chmod(0o600)
    way = {"provided": {"certificate": str(own.certificate), "key": str(own.key)}}
    with running(tmp_path, application=page, certificate=way) as agent:
        wait_ready(agent)
        place = f"https://{NAME}:{agent.address[1]}/"
        assert curl(agent.address, "--cacert", str(authority.root), place) == b"hello"
        result = verdict(*proof(agent.address), time.time())
    assert result.reason is not None
    assert result.reason.name == "key_origin"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nginx_ends_tls_with_what_the_agent_made(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Its certificate is the agent's, its tickets carry the name, and it passes questions on."""
    files = {"directory": str(tmp_path / "tls"), "ticket_key": "nginx80"}
    with running(tmp_path, files=files) as agent:
        wait_ready(agent)
        with _nginx(tmp_path, agent) as address:
            context = client_context()
            context.minimum_version = context.maximum_version = version
            first = visit(address, context)
            again = visit(address, context, first.session)
            assert again.resumed
            assert all(ticket.startswith(TICKET_NAME) for ticket in again.tickets)
            with connect(address) as sock, context.wrap_socket(sock, server_hostname=NAME) as tls:
                target = Question(NONCE).target
                tls.sendall(f"GET {target} HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
                heard = b""
                while part := tls.recv(65_536):
                    heard += part
            answer = parse_answer(heard.partition(b"\r\n\r\n")[2])
            assert first.certificate is not None
            spki = load_certificate(first.certificate).spki
            here = Expectation(spki=spki, nonce=answer.signed(NONCE))
            by_nonce = policy(freshness={"mode": "nonce"})
            result = verdict(answer, here, time.time(), by_nonce)
            assert result.accepted, result.reason


@contextmanager
def _nginx(folder: Path, agent: Agent) -> Iterator[Address]:
    """The nginx of the documentation."""
    page = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^```text\n# nginx.conf\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    port = free_port()
    recipe = recipe.replace("8443", f"127.0.0.1:{port}").replace("/run/tls", f"{folder}/tls")
    recipe = recipe.replace("127.0.0.1:9081", "{}:{}".format(*agent.address))
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{recipe}\n}}\n",
        encoding="utf-8",
    )
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with serving(command, folder, port):
        yield "127.0.0.1", port
