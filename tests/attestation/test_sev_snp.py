"""The kind sev-snp: what a genuine report says, and that no bytes make it raise."""

import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.checks import Check, Outcome, first_failure
from attestation.claims import Claims
from attestation.errors import PolicyError
from attestation.evidence import EvidenceKind
from attestation.sev_snp import DOCUMENT_BYTES, SevSnp
from tests.attestation.snp_builder import (
    CHIP,
    DAY,
    MEASUREMENT,
    NOW,
    TCB,
    Recipe,
    crl,
    envelope,
    fingerprint,
    statements,
)

TURIN = Recipe(product="Turin", version=5, tcb={**TCB, "fmc": 1}, chip=CHIP[:8].ljust(64, b"\0"))
GOOD = Recipe().evidence()


def _kind(product: str = "Milan") -> SevSnp:
    return SevSnp(frozenset({fingerprint(product)}))


def _claims(recipe: Recipe) -> Claims:
    verified = _kind(recipe.product).verify(recipe.evidence(), NOW)
    assert verified.claims, first_failure(verified.checks)
    return verified.claims


def test_it_is_a_kind() -> None:
    """What a registry asks of it."""
    kind: EvidenceKind = SevSnp()
    assert (kind.name, kind.signs_time, kind.limit) == ("sev-snp", False, DOCUMENT_BYTES)
    with pytest.raises(PolicyError, match="no measurement"):
        kind.demands({}, ("accept", 0, "sev-snp"))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(version=2),
        Recipe(),
        Recipe(version=4),
        Recipe(version=5),
        Recipe(product="Genoa"),
        TURIN,
        Recipe(kind="VLEK"),
        Recipe(product="Genoa", kind="VLEK"),
    ],
    ids=["v2", "v3", "v4", "v5", "Genoa", "Turin", "VLEK", "VLEK of Genoa"],
)
def test_a_genuine_report_says_what_it_holds(recipe: Recipe) -> None:
    """Each version, product and kind of key; the security version in the product's own layout."""
    claims = _claims(recipe)
    assert (claims.kind, claims.product, claims.tcb) == ("sev-snp", recipe.product, recipe.tcb)
    assert claims.measurements["measurement"] == MEASUREMENT
    assert (claims.bound_data, claims.debug, claims.simulated) == (b"\xda" * 64, False, False)
    assert claims.chip_id == (None if recipe.kind == "VLEK" else recipe.chip)
    assert claims.details["signed_by"] == recipe.kind
    assert claims.fields["csp_id"] == (b"CN=cloud.example" if recipe.kind == "VLEK" else b"")
    assert (claims.signed_at, claims.manifest_register) == (None, None)
    assert claims.valid_until == NOW + DAY


def test_every_check_has_its_place() -> None:
    """The questions are put in one order, each resting on those before it."""
    recipe = replace(Recipe(), more={"crl": crl(end=NOW + 10)})
    verified = _kind().verify(recipe.evidence(), NOW)
    names = [check.name for check in verified.checks]
    assert {check.outcome for check in verified.checks} == {Outcome.PASSED}
    order = ["form", "guest_policy", "chain_root", "certificate_validity", "product", "revocation"]
    order += ["signature", "certified_tcb", "chip", "tcb_order", "cpuid"]
    assert [name for name in names if name in order] == order
    assert verified.claims
    assert verified.claims.valid_until == NOW + 10


def test_the_hosts_data_is_the_manifests_register() -> None:
    """It is given at launch, and code in the guest cannot write it."""
    assert _claims(Recipe(patches={0xC0: b"m" * 32})).manifest_register == b"m" * 32


def test_a_vendors_root_is_pinned() -> None:
    """A made-up AMD is believed by nobody who does not name it."""
    failure = first_failure(SevSnp().verify(GOOD, NOW).checks)
    assert failure
    assert (failure.name, failure.expected) == ("chain_root", "a pinned root")


def test_an_envelope_of_azure_is_opened() -> None:
    """Its report is judged like any other, and it is told that no TLS key is bound."""
    text = b'{"keys":[]}'
    recipe = Recipe(patches={0x50: hashlib.sha256(text).digest() + bytes(32)})
    evidence = replace(GOOD, document=envelope(recipe.report(), text))
    verified = _kind().verify(evidence, NOW)
    assert verified.claims
    assert "virtual TPM" in verified.claims.details["envelope"]
    assert Check("hcl_runtime_data", Outcome.PASSED) in verified.checks


@pytest.mark.parametrize("csp", [b"\x16\x05CN", b"\x0c\x02CN", b""])
def test_a_cloud_without_a_name_is_refused(csp: bytes) -> None:
    """What stands there must be text of its kind."""
    recipe = Recipe(kind="VLEK")
    template = recipe.leaf_template()
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.3704.1.5")
    extensions = (*statements(TCB, None), (x509.UnrecognizedExtension(oid, csp), False))
    leaf = replace(template, extensions=extensions).make()
    failure = first_failure(_kind().verify(replace(recipe, leaf=leaf).evidence(), NOW).checks)
    assert failure
    assert failure.name == "chip"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_report_never_raises(data: st.DataObject) -> None:
    """Whichever bytes change, the answer is a list of checks; under a signature it is no."""
    spoilt = bytearray(GOOD.document)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at] ^= data.draw(st.integers(1, 255))
    if bytes(spoilt) == GOOD.document:
        return
    verified = _kind().verify(replace(GOOD, document=bytes(spoilt)), NOW)
    assert verified.claims is None
    assert first_failure(verified.checks)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["vcek", "ask", "ark"]), st.data())
def test_a_damaged_certificate_never_raises(name: str, data: st.DataObject) -> None:
    """Nor does one of the certificates, whichever byte changes."""
    spoilt = bytearray(GOOD.endorsements[name])
    at = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[at] ^= data.draw(st.integers(1, 255))
    endorsements = {**GOOD.endorsements, name: bytes(spoilt)}
    verified = _kind().verify(replace(GOOD, endorsements=endorsements), NOW)
    assert first_failure(verified.checks)


@given(st.binary(max_size=1300), st.dictionaries(st.text(max_size=8), st.binary(max_size=64)))
def test_any_bytes_are_answered(document: bytes, endorsements: dict[str, bytes]) -> None:
    """Nothing escapes, whatever is handed in."""
    evidence = replace(GOOD, document=document, endorsements=endorsements)
    assert first_failure(_kind().verify(evidence, NOW).checks)
