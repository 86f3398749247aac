"""Agent claims: one encoding, every field in its shape."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.agent_claims import (
    MAX_AGENT_CLAIMS,
    MAX_TEXT,
    AgentClaims,
    KeyOrigin,
    TicketKeys,
    commit_ticket_names,
    parse_agent_claims,
)
from attestation.errors import MalformedEvidence
from tests.attestation.enclaves import AGENT

_TEXT = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
_DIGEST = st.none() | st.binary(min_size=32, max_size=32)
_CLAIMS = st.builds(
    AgentClaims,
    instance=_TEXT,
    key_origin=st.sampled_from(KeyOrigin),
    ticket_keys=st.none() | st.sampled_from(TicketKeys),
    ticket_names=_DIGEST,
    manifest=_DIGEST,
    telemetry=_DIGEST,
    claims=st.dictionaries(_TEXT, _TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans()),
)


@given(_CLAIMS)
def test_what_is_stated_is_what_is_read(claims: AgentClaims) -> None:
    """Claims survive their encoding."""
    assert parse_agent_claims(claims.encode()) == claims


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Hostile bytes raise nothing but MalformedEvidence."""
    if data == AgentClaims().encode():
        return
    with pytest.raises(MalformedEvidence):
        parse_agent_claims(data)


def test_every_prefix_is_refused() -> None:
    """Claims that are cut short are no claims."""
    encoded = AGENT.encode()
    for end in range(len(encoded)):
        with pytest.raises(MalformedEvidence):
            parse_agent_claims(encoded[:end])


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "expected a map"),
        ({1: "x"}, "expected text"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"instance": 5}, "'instance' is no text"),
        ({"instance": "a\nb"}, "'instance' is no text"),
        ({"instance": "a" * (MAX_TEXT + 1)}, "'instance' is no text"),
        ({"key_origin": "outside"}, "none of inside, released, imported"),
        ({"key_origin": "unstated"}, "none of inside, released, imported"),
        ({"key_origin": ["inside"]}, "none of inside, released, imported"),
        ({"ticket_keys": "somewhere"}, "neither inside nor shared"),
        ({"ticket_keys": {"a": 1}}, "neither inside nor shared"),
        ({"manifest": b"short"}, "no digest of 32 bytes"),
        ({"telemetry": "text"}, "no digest of 32 bytes"),
        ({"claims": []}, "expected a map"),
        ({"claims": {"a": None}}, "'a' is no text"),
        ({"claims": {"a": [1]}}, "'a' is no text"),
        ({"claims": {"": None}}, "is no text"),
        ({"instance": ""}, "one encoding"),
        ({"claims": {}}, "one encoding"),
    ],
)
def test_a_wrong_field_is_named(found: object, fault: str) -> None:
    """Each field has its shape, and an error says which one has not."""
    encoded = cbor2.dumps(found, canonical=True)
    with pytest.raises(MalformedEvidence, match=fault):
        parse_agent_claims(encoded)


def test_another_order_of_keys_is_refused() -> None:
    """There is one encoding, so that a digest stands for one content."""
    with pytest.raises(MalformedEvidence, match="one encoding"):
        parse_agent_claims(cbor2.dumps({"ticket_keys": "inside", "instance": "a"}))


def test_too_many_bytes_are_refused_unread() -> None:
    """The limit comes before the parser."""
    with pytest.raises(MalformedEvidence, match="at most 16384"):
        parse_agent_claims(b"\xff" * (MAX_AGENT_CLAIMS + 1))


def test_ticket_names_are_committed_to_as_a_set() -> None:
    """Order and repetition do not matter; another name does."""
    one, two = b"a" * 16, b"b" * 16
    assert commit_ticket_names([one, two]) == commit_ticket_names([two, one, two])
    assert commit_ticket_names([one]) != commit_ticket_names([two])
