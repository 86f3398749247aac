"""What is said of a connection, to programs and to people."""

import json
from dataclasses import replace

import pytest

from l4proxy.client import Account
from l4proxy.client.lineages import Vouch
from tests.l4proxy.agent.parts import NAME
from tests.l4proxy.client.parts import HOST, Server, client, serving


@pytest.fixture
async def account() -> Account:
    """Of a connection to an enclave of no name."""
    async with serving(Server()) as server:
        connection = await client().connect(HOST, server.port, NAME)
        connection.close()
    return connection.account


async def test_it_is_json(account: Account) -> None:
    """A script reads whose the connection is, what that rests on, and the whole verdict."""
    found = json.loads(json.dumps(account.as_document()))
    assert found["standing"] == "fresh"
    assert found["basis"] == "exporter"
    assert found["instance"] == account.instance.hex()
    assert found["previous"] is None
    assert found["proved_at"].endswith("+00:00")
    assert found["attestation"]["accepted"] is True
    assert found["attestation"]["simulated"] is True


async def test_a_place_in_a_set_is_told(account: Account) -> None:
    """Whose word it is, of when, and until when it counts."""
    assert account.as_document()["member_of_set"] is None
    found = replace(account, vouch=Vouch("enclave-a", 0.0, 600.0)).as_document()
    assert found["member_of_set"] == {
        "verified_by": "enclave-a",
        "verified_at": "1970-01-01T00:00:00+00:00",
        "until": "1970-01-01T00:10:00+00:00",
    }


async def test_its_name(account: Account) -> None:
    """An instance is known by its key; what it calls itself stands before it."""
    key = account.instance[:6].hex()
    agent = account.result.agent
    assert agent is not None
    assert account.name == key
    named = replace(account.result, agent=replace(agent, instance="enclave-a"))
    assert replace(account, result=named).name == f"enclave-a {key}"
    assert replace(account, result=replace(account.result, agent=None)).name == key
