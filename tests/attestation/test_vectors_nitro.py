"""Nitro documents of real enclaves: each gets the verdict of its manifest, for the same reason.

The documents are no part of this repository. They are looked for in the folder that the
environment variable L4PROXY_VECTORS names, else beside the repository in ``../shared/vectors``.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import roots
from attestation.chain import holds
from attestation.checks import Check, Outcome, first_failure
from attestation.claims import Claims
from attestation.evidence import Verified
from attestation.nitro import Nitro
from attestation.x509 import load_certificate, split_pem
from tests.attestation.nitro_documents import evidence
from tests.fuzz.mutations import mutations

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("L4PROXY_VECTORS", ROOT / ".." / "shared" / "vectors")) / "nitro"


class Policy(TypedDict):
    """What a check demands of the claims."""

    pcrs: NotRequired[dict[str, str]]
    nonce: NotRequired[str]
    user_data: NotRequired[str]
    public_key: NotRequired[str]
    tls_certificate: NotRequired[str]
    binding: NotRequired[str]


class Case(TypedDict):
    """One check of the manifest."""

    name: str
    file: NotRequired[str]
    at: str
    allow_debug: NotRequired[bool]
    policy: NotRequired[Policy]
    expect: str
    reason: NotRequired[str]


class Item(TypedDict):
    """One document of the manifest."""

    id: str
    file: NotRequired[str]
    document_timestamp_ms: NotRequired[int]
    chain_valid_until: NotRequired[str]
    debug_mode: NotRequired[bool]
    expected: NotRequired[dict[str, object]]
    checks: list[Case]


def _items() -> list[Item]:
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        return []
    return cast("list[Item]", json.loads(manifest.read_text(encoding="utf-8"))["items"])


ITEMS = _items()
CASES = [(item, case) for item in ITEMS for case in item["checks"]]
GENUINE = [item for item in ITEMS if any(case["expect"] == "accept" for case in item["checks"])]
KIND = Nitro()

# The manifest's reasons, and the checks that say the same here.
REASONS = {
    "certificate-expired": "certificate_validity",
    "certificate-not-yet-valid": "certificate_validity",
    "bad-signature": "signature",
    "not-an-enclave-document (nitrotpm_pcrs, no pcrs)": "form",
    "debug-mode": "debug",
    "measurement": "pcr0",
    "nonce": "nonce",
    "binding": "tls_certificate",
}

pytestmark = pytest.mark.skipif(not ITEMS, reason=f"no documents of real enclaves in {FOLDER}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _bytes(item: Item, case: Case) -> bytes:
    name = case.get("file") or item.get("file")
    assert name
    return (FOLDER / name).read_bytes()


def _verify(item: Item, case: Case) -> Verified:
    return KIND.verify(evidence(_bytes(item, case)), _seconds(case["at"]))


def _same(name: str, found: bytes | None, expected: bytes) -> Check:
    return Check(name, Outcome.PASSED if found == expected else Outcome.FAILED)


def _appraise(claims: Claims, case: Case) -> list[Check]:
    """Put the demands of one check to claims."""
    allowed = case.get("allow_debug", False)
    checks = [Check("debug", Outcome.FAILED if claims.debug and not allowed else Outcome.PASSED)]
    policy = case.get("policy") or Policy()
    if "pcrs" in policy:
        checks += KIND.demands({"pcrs": policy["pcrs"]}, ()).appraise(claims)
    stated = {
        "nonce": (claims.nonce, policy.get("nonce")),
        "user_data": (claims.bound_data, policy.get("user_data")),
        "public_key": (claims.public_key, policy.get("public_key")),
    }
    for name, (found, expected) in stated.items():
        if expected is not None:
            checks.append(_same(name, found, bytes.fromhex(expected)))
    if "tls_certificate" in policy:
        assert policy.get("binding") == "user_data-is-spki-der"
        certificate = load_certificate((FOLDER / policy["tls_certificate"]).read_bytes())
        checks.append(_same("tls_certificate", claims.bound_data, certificate.spki))
    return checks


@pytest.mark.parametrize(
    ("item", "case"), CASES, ids=[f"{item['id']}: {case['name']}" for item, case in CASES]
)
def test_each_document_gets_its_verdict(item: Item, case: Case) -> None:
    """What the manifest accepts is accepted, and what it rejects fails in that very check."""
    verified = _verify(item, case)
    checks = [*verified.checks]
    if verified.claims:
        checks += _appraise(verified.claims, case)
    failure = first_failure(checks)
    if case["expect"] == "accept":
        assert failure is None
        assert holds(checks)
    else:
        assert failure is not None
        assert failure.name == REASONS[case["reason"]]


@pytest.mark.parametrize("item", GENUINE, ids=[item["id"] for item in GENUINE])
def test_claims_are_those_of_the_manifest(item: Item) -> None:
    """Each value that another parser found is the one that we find."""
    claims = _verify(item, item["checks"][0]).claims
    assert claims is not None
    expected = item["expected"]
    nonzero = {name: pcr.hex() for name, pcr in claims.measurements.items() if any(pcr)}
    pcrs = cast("dict[str, str]", expected["pcrs_nonzero"])
    assert nonzero == {f"pcr{index}": value for index, value in pcrs.items()}
    assert (claims.bound_data.hex() or None) == (expected["user_data"] or None)
    assert (None if claims.nonce is None else claims.nonce.hex()) == expected["nonce"]
    key = claims.public_key
    assert (None if key is None else key.hex()) == expected["public_key"]
    assert claims.debug is item["debug_mode"]
    assert claims.signed_at == item["document_timestamp_ms"] / 1000
    assert claims.valid_until == _seconds(item["chain_valid_until"])


def test_the_pinned_root_is_the_stored_one() -> None:
    """The certificate that AWS publishes has the fingerprint that we pin."""
    (root,) = split_pem((FOLDER / "aws-nitro-root-g1.pem").read_bytes(), 1)
    assert {load_certificate(root).fingerprint} == roots.AWS_NITRO


@given(st.data())
def test_changed_documents_never_raise(draw: st.DataObject) -> None:
    """A genuine document with bytes changed is refused, never an exception."""
    item = draw.draw(st.sampled_from(GENUINE))
    document = _bytes(item, item["checks"][0])
    changed = draw.draw(mutations([document]))
    verified = KIND.verify(evidence(changed), _seconds(item["checks"][0]["at"]))
    assert changed == document or verified.claims is None
