"""What the routable name gives away, and what it does not: who can go on with a session."""

import ssl
from pathlib import Path

import pytest

from l4proxy.routable import RoutingKey, RoutingKeys
from routing import ROUTABLE_NAME_BYTES
from tests.e2e.certificates import Authority
from tests.e2e.recipes import module, shell
from tests.e2e.resumption import (
    NAME,
    Visit,
    both_versions,
    client_context,
    repeating,
    server_context,
    visit,
)

SERVER_ID = 7  # as the guide has it


def _context(authority: Authority, key: bytes, folder: Path) -> ssl.SSLContext:
    """A server with a certificate of its own for the name, and tickets under a key."""
    context = server_context(authority.issue(NAME))
    module("static_name.py", folder).use_ticket_key(context, key)
    return context


def _moved(
    version: ssl.TLSVersion, authority: Authority, enclave: ssl.SSLContext, other: ssl.SSLContext
) -> tuple[Visit, Visit]:
    """A client begins with the enclave, and comes back to whoever has taken its place."""
    client = client_context(authority, version)
    with repeating(enclave) as backend:
        first = visit(("127.0.0.1", backend.port), client)
    with repeating(other) as backend:
        return first, visit(("127.0.0.1", backend.port), client, first.session)


@both_versions
def test_whoever_holds_the_whole_key_is_the_enclave(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """The danger is real: with the key file alone a stranger resumes, reads, and is believed."""
    shell("control plane", tmp_path)
    shell("enclave", tmp_path)
    key = (tmp_path / "ticket.key").read_bytes()
    enclave, thief = (_context(authority, key, tmp_path) for _ in range(2))
    first, second = _moved(version, authority, enclave, thief)
    assert second.resumed
    assert second.answer.startswith(b"GET / ")
    assert second.certificate == first.certificate  # the client still sees the enclave's own


@both_versions
@pytest.mark.parametrize("guess", ["made alike", "the routing key", "the name", "zeros"])
def test_every_file_of_the_operator_resumes_nothing(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion, guess: str
) -> None:
    """Names, routing keys, configuration and a good certificate do not open one ticket.

    The man in the middle knows the enclave's name, so its own key is looked up for the ticket; only
    the secrets are missing, which never were outside the enclave. The client does a full handshake
    and sees another certificate.
    """
    shell("control plane", tmp_path)
    shell("enclave", tmp_path)
    enclave = _context(authority, (tmp_path / "ticket.key").read_bytes(), tmp_path)
    (tmp_path / "ticket.key").unlink()  # it was only ever inside
    name = bytes.fromhex((tmp_path / "name.txt").read_text(encoding="ascii"))
    routing_key = RoutingKey.load(tmp_path / "routing.key")
    shell("enclave", tmp_path)  # the operator follows the same steps with the same name
    made_alike = (tmp_path / "ticket.key").read_bytes()
    guesses = {
        "made alike": made_alike,
        "the routing key": name + 4 * routing_key.secret,
        "the name": 5 * name,
        "zeros": name + bytes(64),
    }
    middle = _context(authority, guesses[guess], tmp_path)
    first, second = _moved(version, authority, enclave, middle)
    offered = second.tickets[0][:ROUTABLE_NAME_BYTES]
    assert offered == name
    assert RoutingKeys([routing_key]).server_id(offered) == SERVER_ID
    assert not second.resumed
    assert second.certificate != first.certificate
