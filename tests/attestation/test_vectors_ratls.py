"""Genuine certificates with evidence: each is read as its manifest says.

The certificates are no part of this repository. They are looked for in the folder that the
environment variable L4PROXY_VECTORS names, else beside the repository in ``../shared/vectors``.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TypedDict, cast

import pytest
from cryptography import x509

from attestation import Binding, Expectation, judge, parse_claims_buffer, read_certificate
from attestation.checks import Outcome
from attestation.claims import Claims
from attestation.claims_buffer import KeyHash
from attestation.statement import read_statement
from tests.attestation.enclaves import KINDS, policy

ROOT = Path(__file__).parents[2]
VECTORS = Path(os.environ.get("L4PROXY_VECTORS", ROOT / ".." / "shared" / "vectors"))
# Report data in a quote of SGX, version 3: header of 48 bytes, then the report body (§3.1).
SGX_REPORT_DATA = slice(48 + 320, 48 + 384)

pytestmark = pytest.mark.skipif(
    not (VECTORS / "ratls").is_dir(), reason="the genuine certificates are not here"
)


class Item(TypedDict):
    """What the manifest says of one certificate."""

    file: str
    quote_length: int
    claims_buffer: str
    spki_sha256: str
    report_data_first_32: str
    pyca_cryptography: str


def _items() -> list[Item]:
    manifest = VECTORS / "ratls" / "manifest.json"
    if not manifest.is_file():
        return []
    return cast("list[Item]", json.loads(manifest.read_text(encoding="utf-8"))["items"])


@pytest.mark.parametrize("item", _items(), ids=lambda item: item["file"])
def test_a_genuine_certificate_is_read(item: Item) -> None:
    """Quote, claims buffer and key are those that stand in it, and belong together."""
    key = read_certificate((VECTORS / "ratls" / item["file"]).read_bytes(), Binding.CLAIMS_BUFFER)
    evidence = key.evidence
    assert evidence is not None
    assert evidence.claims_buffer is not None
    assert len(evidence.document) == item["quote_length"]
    assert evidence.claims_buffer.hex() == item["claims_buffer"]
    assert KeyHash.SHA256.digest(key.spki).hex() == item["spki_sha256"]
    assert parse_claims_buffer(evidence.claims_buffer).is_for(key.spki)


@pytest.mark.parametrize("item", _items(), ids=lambda item: item["file"])
def test_a_genuine_quote_covers_its_claims(item: Item) -> None:
    """Its report data is SHA-256 of the buffer as it was received, and zeros."""
    key = read_certificate((VECTORS / "ratls" / item["file"]).read_bytes(), Binding.CLAIMS_BUFFER)
    assert key.evidence is not None
    bound = key.evidence.document[SGX_REPORT_DATA]
    assert bound[:32].hex() == item["report_data_first_32"]
    claims = Claims("tdx", {}, bound, 0.0)
    statement = read_statement(key.evidence, claims, by_exporter=False)
    assert statement.checks[0].outcome is Outcome.PASSED


@pytest.mark.parametrize("item", _items(), ids=lambda item: item["file"])
def test_a_quote_of_sgx_is_no_tdx(item: Item) -> None:
    """The kind that the tag may stand for refuses it, with a reason."""
    key = read_certificate((VECTORS / "ratls" / item["file"]).read_bytes(), Binding.CLAIMS_BUFFER)
    assert key.evidence is not None
    asked = policy(accept=[{"tdx": {"mr_td": "11" * 48}}])
    found = judge(key.evidence, asked, KINDS, Expectation(spki=key.spki), 1_700_000_000)
    assert found.claims is None
    assert found.reason is not None


def test_one_of_them_is_refused_by_cryptography() -> None:
    """The reason for a reader of our own."""
    refused = [item for item in _items() if item["pyca_cryptography"] != "parses"]
    assert [item["file"] for item in refused] == ["gramine-cert.der"]
    with pytest.raises(ValueError, match="parsing"):
        x509.load_der_x509_certificate((VECTORS / "ratls" / refused[0]["file"]).read_bytes())


EVERVAULT = {
    "evervault-cage-cert-prod": "2023-01-18T13:07:20Z",
    "evervault-cage-cert-debug-2022": "2022-11-16T09:12:36Z",
}


@pytest.mark.parametrize("name", EVERVAULT)
def test_a_certificate_of_evervault_is_bound_to_its_document(name: str) -> None:
    """From the name in the certificate to the verdict, for this key and for no other."""
    encoded = (VECTORS / "nitro" / f"{name}.crt.der").read_bytes()
    now = datetime.fromisoformat(EVERVAULT[name]).timestamp()
    key = read_certificate(encoded, Binding.EVERVAULT)
    assert key.evidence is not None
    assert key.evidence.document == (VECTORS / "nitro" / f"{name}.cbor").read_bytes()
    genuine = KINDS["nitro"].verify(key.evidence, now).claims
    assert genuine is not None
    asked = policy(
        accept=[{"nitro": {"pcrs": {0: genuine.measurements["pcr0"].hex()}}}],
        binding="evervault",
        freshness={"max_age": "5m"},
        key_origin=["unstated"],
        allow_debug=True,
    )
    here = Expectation(certificate=encoded, spki=key.spki)
    assert judge(key.evidence, asked, KINDS, here, now).accepted
    other = (VECTORS / "nitro" / "evervault-ga-debug.crt.der").read_bytes()
    there = Expectation(spki=read_certificate(other, Binding.EVERVAULT).spki)
    reason = judge(key.evidence, asked, KINDS, there, now).reason
    assert reason is not None
    assert reason.name == "key_binding"


def test_a_document_that_came_apart_is_bound_too() -> None:
    """The newer form of Evervault: the certificate has no document, the document has the key."""
    encoded = (VECTORS / "nitro" / "evervault-ga-debug.crt.der").read_bytes()
    assert read_certificate(encoded, Binding.EVERVAULT).evidence is None
