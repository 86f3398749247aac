"""Conceptual message wrappers: what is written is read, and nothing else."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.cmw import MAX_CMW, encode_cmw, media_type, parse_cmw
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence

_OPTIONAL = st.none() | st.binary(max_size=20)
_EVIDENCE = st.builds(
    Evidence,
    kind=st.sampled_from(["nitro", "sev-snp", "tdx", "simulated", "a-plug-in"]),
    document=st.binary(max_size=50),
    endorsements=st.dictionaries(st.text(max_size=9), st.binary(max_size=20), max_size=4),
    claims_buffer=_OPTIONAL,
    agent_claims=_OPTIONAL,
    manifest=_OPTIONAL,
)
_NITRO = "application/aws-nitro-document"


@given(_EVIDENCE)
def test_what_is_written_is_what_is_read(evidence: Evidence) -> None:
    """Evidence and all that came with it survive the wrapper."""
    assert parse_cmw(encode_cmw(evidence)) == evidence


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Hostile bytes raise nothing but MalformedEvidence."""
    with pytest.raises(MalformedEvidence):
        parse_cmw(data)


def test_every_prefix_is_refused() -> None:
    """A wrapper that is cut short is none."""
    encoded = encode_cmw(Evidence("nitro", b"document", {"vcek": b"x"}, b"claims"))
    for end in range(len(encoded)):
        with pytest.raises(MalformedEvidence):
            parse_cmw(encoded[:end])


@pytest.mark.parametrize("record", [[_NITRO, b"d"], [_NITRO, b"d", 4], [_NITRO, b"d", 1]])
def test_a_bare_record_is_read(record: list[object]) -> None:
    """A record of two or three parts is evidence; the indicator is not relied on."""
    assert parse_cmw(cbor2.dumps(record)) == Evidence("nitro", b"d", {})


def test_an_intel_quote_with_its_claims_is_read() -> None:
    """Tag 60000 is `[quote, claims buffer]`, as interoperable RA-TLS writes it."""
    encoded = cbor2.dumps(cbor2.CBORTag(60000, [b"quote", b"claims"]))
    assert parse_cmw(encoded) == Evidence("tdx", b"quote", {}, b"claims")


def test_plug_ins_have_a_media_type_too() -> None:
    """A kind without a type of its own is named in it."""
    assert media_type("nitro") == _NITRO
    assert media_type("sgx").endswith("-sgx")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (cbor2.CBORTag(60000, [b"quote"]), "no quote with its claims"),
        (cbor2.CBORTag(60001, [b"quote", b"claims"]), "tag"),
        ({}, "expected a collection with evidence"),
        ({"evidence": [_NITRO, b"d"], "more": [_NITRO, b"d"]}, "found 'more'"),
        ({1: [_NITRO, b"d"]}, "expected text"),
        ({"evidence": {"evidence": [_NITRO, b"d"]}}, "no record"),
        ({"evidence": [_NITRO, b"d"], "claims": b"raw"}, "'claims' is no record"),
        ({"evidence": [_NITRO, b"d"], "endorsements": []}, "expected a map"),
        (
            {"evidence": [_NITRO, b"d"], "endorsements": {str(n): ["t", b""] for n in range(17)}},
            "17 endorsements",
        ),
        ([_NITRO, "text"], "no record"),
        ([_NITRO, b"d", True], "no record"),
        ([_NITRO, b"d", 0], "no record"),
        ([_NITRO, b"d", 4, 5], "no record"),
        (["text/plain", b"d"], "found the type 'text/plain'"),
        (["application/x-l4proxy-evidence-", b"d"], "found the type"),
        (["application/x-l4proxy-evidence-a\x1b[2J", b"d"], "found the type"),
        (["application/x-l4proxy-evidence-" + "a" * 33, b"d"], "found the type"),
        (7, "no record"),
    ],
)
def test_another_shape_is_refused(value: object, fault: str) -> None:
    """Each part has one shape, and an error names the part."""
    with pytest.raises(MalformedEvidence, match=fault):
        parse_cmw(cbor2.dumps(value))


@pytest.mark.parametrize("data", [b'["application/aws-nitro-document","AA"]', b"{}"])
def test_the_json_form_is_refused_by_its_name(data: bytes) -> None:
    """Whoever sends JSON hears that CBOR is expected."""
    with pytest.raises(MalformedEvidence, match="found the JSON form, expected CBOR"):
        parse_cmw(data)


def test_too_many_bytes_are_refused_unread() -> None:
    """The limit comes before the parser."""
    with pytest.raises(MalformedEvidence, match="at most 262144"):
        parse_cmw(bytes(MAX_CMW + 1))
