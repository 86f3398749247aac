"""Fuzz target: what carries evidence and travels beside it.

    python -m tests.fuzz.fuzz_carriers [CORPUS]        # needs Atheris

Whatever the bytes: each reader returns or says that they are malformed, what it read of our own
documents has one encoding, and no verdict accepts what was not signed.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import TypeVar

from attestation import (
    Binding,
    Evidence,
    Expectation,
    MalformedEvidence,
    Policy,
    encode_cmw,
    parse_agent_claims,
    parse_claims_buffer,
    parse_cmw,
    parse_manifest,
    read_certificate,
)
from tests.attestation.enclaves import SPKI, policy, verdict
from tests.fuzz.targets import fuzz

_Read = TypeVar("_Read")


@cache
def _asked() -> Policy:
    return policy(freshness={"max_age": "30m"}, binding="spki", key_origin=["unstated"])


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    _read(parse_claims_buffer, data)
    agent = _read(parse_agent_claims, data)
    assert agent is None or agent.encode() == data
    manifest = _read(parse_manifest, data)
    assert manifest is None or manifest.encode() == data
    for binding in Binding:
        _read(partial(read_certificate, binding=binding), data)
    evidence = _read(parse_cmw, data)
    if evidence is not None:
        assert parse_cmw(encode_cmw(evidence)) == evidence
        assert not verdict(evidence, _asked(), Expectation(spki=b"another key")).accepted
    bare = Evidence("simulated", data, {}, data, data, data)
    assert not verdict(bare, _asked(), Expectation(spki=SPKI + b"x")).accepted


def _read(reader: Callable[[bytes], _Read], data: bytes) -> _Read | None:
    try:
        return reader(data)
    except MalformedEvidence:
        return None


if __name__ == "__main__":
    fuzz(check)
