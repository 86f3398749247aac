"""A balancer and three agents that verify each other: what tests of the attesting client share."""

import http.client
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from attestation import Policy, SimulatedTee
from l4proxy.client import Account, AttestedClient, OnSwitch, Rules, Strangers
from l4proxy.set_wire import MAX_SET, WELL_KNOWN_SET, parse_set
from tests.e2e.agents import Agent, running
from tests.e2e.backends import Backend
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until
from tests.l4proxy.agent.parts import IMAGE, KINDS, NAME, client_context, policy
from tests.ports import free_port

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
    """Three enclaves of one policy, which verify each other."""
    names = ("enclave-a", "enclave-b", "enclave-c")
    ports = {name: free_port() for name in names}
    peers = {
        "addresses": [f"127.0.0.1:{port}" for port in ports.values()],
        "server_name": NAME,
        "policy": str(write_policy(folder / "peers.yaml")),
    }
    with ExitStack() as stack:
        behind = {name: stack.enter_context(application(name)) for name in names}
        yield [
            stack.enter_context(
                running(Agent(folder / name, name, behind[name], port=ports[name], peers=peers))
            )
            for name in names
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


def known_to(agent: Agent) -> int:
    """How many are in the set of an agent."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", agent.port, timeout=TIMEOUT, context=client_context()
    )
    try:
        connection.request("GET", WELL_KNOWN_SET)
        return len(parse_set(connection.getresponse().read(MAX_SET)))
    finally:
        connection.close()


def asking(
    on_switch: OnSwitch = OnSwitch.REATTEST,
    asked: Policy | None = None,
    strangers: Strangers | None = None,
) -> AttestedClient:
    """A client by the policy of the agents."""
    rules = Rules(on_switch=on_switch, timeout=TIMEOUT, strangers=strangers)
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
