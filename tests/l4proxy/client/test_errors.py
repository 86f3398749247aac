"""Refusals in writing."""

import json

from attestation import SimulatedTee
from l4proxy.client import Fault, NotAttested
from tests.l4proxy.client.parts import Enclave, Server, client, refused, serving


async def test_a_refusal_says_what_was_found_and_expected() -> None:
    """The verdict with all its checks goes with the error, as an object and as JSON."""
    async with serving(Server(Enclave(SimulatedTee(b"other")))) as server:
        error = await refused(client(), server)
    assert error.result is not None
    assert str(error).startswith("refused: pcr0: found ")
    assert ", expected " in str(error)
    document = json.loads(json.dumps(error.as_document()))
    assert document["fault"] == "refused"
    assert document["attestation"]["accepted"] is False
    assert any(check["outcome"] == "failed" for check in document["attestation"]["checks"])


def test_a_fault_without_a_verdict() -> None:
    """Where nothing came to be judged, that is said."""
    error = NotAttested(Fault.TIMEOUT, "")
    assert str(error) == "timeout"
    assert error.as_document() == {"fault": "timeout", "detail": "", "attestation": None}


def test_it_is_a_connection_error() -> None:
    """Code that knows nothing of attestation treats it as what it is: there is no connection."""
    assert isinstance(NotAttested(Fault.REFUSED, ""), ConnectionError)
