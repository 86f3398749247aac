"""What a handshake shows, and what only one connection has."""

import ssl
import tempfile

import pytest

from attestation import Binding
from l4proxy.client.dial import dial
from l4proxy.client.lineages import Target
from l4proxy.client.tls import HTTP, Line, Offer, client_context, greet
from tests.l4proxy.agent.parts import NAME
from tests.l4proxy.client.parts import HOST, Server, serving

FULL = Offer((HTTP,), None)


async def line(port: int, context: ssl.SSLContext) -> Line:
    """A connection after its handshake."""
    target = Target(HOST, port, NAME)
    return await greet(context, await dial(target), target, FULL)


async def test_what_was_shown() -> None:
    """The certificate is that of this connection, to the byte, and its key is named by a digest."""
    async with serving(Server()) as server:
        found = await line(server.port, client_context(exporter=True))
        shown = found.shown(Binding.CLAIMS_BUFFER)
        found.stream.close()
    assert shown.spki == server.enclave.key.spki
    assert shown.chain == ()
    assert len(shown.key) == 32
    assert found.protocol == HTTP
    assert not found.resumed


async def test_each_connection_has_an_exporter_value_of_its_own() -> None:
    """Two connections to one server have two values."""
    context = client_context(exporter=True)
    async with serving(Server()) as server:
        lines = [await line(server.port, context) for _ in range(2)]
        values = {each.exporter() for each in lines}
        for each in lines:
            each.stream.close()
    assert len(values) == 2
    assert None not in values


async def test_tls_1_2_has_none() -> None:
    """Where the policy lets an older TLS in, there is nothing to bind to, and that is said."""
    server = Server()
    server.context = server.enclave.context()
    server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(server):
        found = await line(server.port, client_context(exporter=False))
        assert found.exporter() is None
        found.stream.close()


async def test_the_chain_that_came_with_it() -> None:
    """What stands behind the leaf is kept as it came, for the owner's name to be checked."""
    server = Server()
    credentials = server.enclave.credentials
    other = Server().enclave.credentials
    chained = type(credentials)(
        credentials.chain + other.chain, credentials.key, credentials.not_after
    )
    server.context = _context(chained.chain + chained.key)
    async with serving(server):
        found = await line(server.port, client_context(exporter=True))
        shown = found.shown(Binding.CLAIMS_BUFFER)
        found.stream.close()
    assert shown.chain == (ssl.PEM_cert_to_DER_cert(other.chain.decode()),)


def _context(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


@pytest.mark.parametrize(
    ("exporter", "oldest"), [(True, ssl.TLSVersion.TLSv1_3), (False, ssl.TLSVersion.TLSv1_2)]
)
def test_the_oldest_version(exporter: bool, oldest: ssl.TLSVersion) -> None:
    """An exporter needs TLS 1.3; nothing is older than 1.2."""
    assert client_context(exporter=exporter).minimum_version == oldest
