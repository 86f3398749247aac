"""The attesting client: what it connects to is a verified enclave, or it does not connect.

    async with AttestedClient.from_file(Path("policy.yaml")) as client:
        reader, writer = await client.open_connection("app.example.com", 443)

Who stands in between, the balancer included, is noticed before a byte of the application is sent.

    rules        what is asked of connections beside the policy
    lineages     instances that were proved, and their sessions
    members      the pre-verified set: instances that another one has proved
    dial, tls    a connection, and what only it has
    proof        the question for evidence on that connection, and the answer
    attempts     from a target to a connection that is proved, or spoken for
    account      what can honestly be said of a connection; errors: why there is none
    transport    a connection as asyncio has them
    port         a local port for applications that speak plain TCP
"""

from attestation import OnSwitch, Reattest, Strangers
from l4proxy.client.account import Account, Basis, Continuity
from l4proxy.client.client import AttestedClient
from l4proxy.client.connection import Connection
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.port import LocalPort, Watcher
from l4proxy.client.rules import Rules
from l4proxy.client.transport import ProvedTransport

__all__ = [
    "Account",
    "AttestedClient",
    "Basis",
    "Connection",
    "Continuity",
    "Fault",
    "LocalPort",
    "NotAttested",
    "OnSwitch",
    "ProvedTransport",
    "Reattest",
    "Rules",
    "Strangers",
    "Watcher",
]
