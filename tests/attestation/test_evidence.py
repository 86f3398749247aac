"""Evidence: what the nouns promise to whoever holds them, and the kinds to whoever asks them."""

import dataclasses

import pytest

from attestation.evidence import Evidence, EvidenceKind, MeasurementSet, Verified
from attestation.kinds import built_in_kinds


def test_evidence_does_not_change_on_its_way() -> None:
    """What was judged is what arrived."""
    evidence = Evidence("nitro", b"document", {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        evidence.document = b"another"  # type: ignore[misc]  # what is to be refused
    assert (evidence.claims_buffer, evidence.agent_claims, evidence.manifest) == (None,) * 3


@pytest.mark.parametrize("kind", built_in_kinds(), ids=lambda kind: kind.name)
def test_a_kind_is_what_the_protocol_says(kind: EvidenceKind) -> None:
    """Each built-in kind answers to nonsense with a refusal that says why."""
    verified = kind.verify(Evidence(kind.name, b"nonsense", {}), 0.0)
    assert isinstance(verified, Verified)
    assert verified.claims is None
    assert verified.checks


@pytest.mark.parametrize("kind", built_in_kinds(), ids=lambda kind: kind.name)
def test_a_set_names_its_kind(kind: EvidenceKind) -> None:
    """The demands that a kind reads are on claims of that kind."""
    demands: MeasurementSet = kind.demands({"insecure_any_measurement": True}, ())
    assert demands.kind == kind.name
    assert not demands.allows_debug_values
