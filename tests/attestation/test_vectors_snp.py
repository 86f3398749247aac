"""Genuine SEV-SNP reports: each is judged as its manifest says, for the reason that it names.

The reports are no part of this repository. They are looked for in the folder that the environment
variable L4PROXY_VECTORS names, else beside the repository in ``../shared/vectors``.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pytest

from attestation.checks import Check, Outcome, first_failure
from attestation.claims import Claims
from attestation.evidence import Evidence
from attestation.sev_snp import SevSnp

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("L4PROXY_VECTORS", ROOT / ".." / "shared" / "vectors")) / "snp"

# What the manifest calls a reason, and the checks that may find it.
REASONS = {
    "policy-debug": {"debug"},
    "certificate-expired": {"certificate_validity"},
    "measurement": {"measurement"},
    "tcb": {"minimum_tcb.snp"},
    "vmpl": {"vmpl"},
    "signature": {"signature"},
    "signature / chip id / tcb": {"signature", "chip", "certified_tcb"},
    "chain": {"chain_signatures"},
}


class Verdict(TypedDict):
    """One check of the manifest."""

    name: str
    at: str
    expect: str
    allow_debug: bool
    policy: NotRequired[dict[str, object]]
    mutate: NotRequired[dict[str, int]]
    reason: NotRequired[str]


class Expected(TypedDict):
    """What a report holds."""

    policy: str
    vmpl: int
    reported_tcb: dict[str, int]
    measurement: str
    report_data: str
    host_data: str
    id_key_digest: str
    chip_id: str


class Item(TypedDict):
    """One report of the manifest."""

    id: str
    file: str
    endorsement_key: dict[str, str]
    chain: list[str]
    product: str
    signature_ok: bool
    verify_at: str
    expected: Expected
    azure_hcl_report: NotRequired[dict[str, str]]
    checks: list[Verdict]


def _items() -> list[Item]:
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        return []
    return cast("list[Item]", json.loads(manifest.read_text(encoding="utf-8"))["items"])


ITEMS = _items()
VERDICTS = [(item, verdict) for item in ITEMS for verdict in item["checks"]]
GENUINE = [item for item in ITEMS if item["signature_ok"]]

pytestmark = pytest.mark.skipif(not ITEMS, reason=f"no genuine reports in {FOLDER}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _evidence(item: Item, document: bytes | None = None) -> Evidence:
    names = [item["endorsement_key"]["file"], *item["chain"]]
    endorsements = {name: (FOLDER / name).read_bytes() for name in names}
    return Evidence("sev-snp", document or (FOLDER / item["file"]).read_bytes(), endorsements)


def _spoilt(item: Item, verdict: Verdict) -> bytes:
    document = bytearray((FOLDER / item["file"]).read_bytes())
    if mutation := verdict.get("mutate"):
        document[mutation["xor_byte_at"]] ^= mutation["with"]
    return bytes(document)


def _judge(item: Item, verdict: Verdict) -> list[Check]:
    """Every check under the manifest's policy, debug among them."""
    kind = SevSnp()
    evidence = _evidence(item, _spoilt(item, verdict))
    verified = kind.verify(evidence, _seconds(verdict["at"]))
    checks = list(verified.checks)
    if verified.claims:
        demands = {"insecure_any_measurement": True, **verdict.get("policy", {})}
        checks += kind.demands(demands, ()).appraise(verified.claims)
        if verified.claims.debug and not verdict["allow_debug"]:
            checks.append(Check("debug", Outcome.FAILED))
    return checks


def _claims(item: Item) -> Claims:
    verified = SevSnp().verify(_evidence(item), _seconds(item["verify_at"]))
    assert verified.claims, first_failure(verified.checks)
    return verified.claims


@pytest.mark.parametrize(
    ("item", "verdict"), VERDICTS, ids=[f"{item['id']}: {v['name']}" for item, v in VERDICTS]
)
def test_a_report_is_judged_as_its_manifest_says(item: Item, verdict: Verdict) -> None:
    """Accepted, or refused by the check that the manifest's reason means."""
    failed = {check.name for check in _judge(item, verdict) if check.outcome is Outcome.FAILED}
    if verdict["expect"] == "accept":
        assert not failed
    else:
        assert failed & REASONS[verdict["reason"]]


@pytest.mark.parametrize("item", GENUINE, ids=[item["id"] for item in GENUINE])
def test_a_genuine_report_says_what_its_manifest_says(item: Item) -> None:
    """Every field that is read is the one that another verifier reads."""
    claims, expected = _claims(item), item["expected"]
    tcb = {part: claims.tcb[part] for part in expected["reported_tcb"]}
    assert (claims.product, tcb) == (item["product"], expected["reported_tcb"])
    assert claims.measurements["measurement"].hex() == expected["measurement"]
    assert claims.measurements["id_key_digest"].hex() == expected["id_key_digest"]
    assert claims.bound_data.hex() == expected["report_data"]
    assert (claims.manifest_register or bytes(32)).hex() == expected["host_data"]
    assert (claims.chip_id or bytes(64)).hex() == expected["chip_id"]
    assert int.from_bytes(claims.fields["policy"], "little") == int(expected["policy"], 16)
    assert int.from_bytes(claims.fields["vmpl"], "little") == expected["vmpl"]
    assert claims.fields["csp_id"].decode() == (item["endorsement_key"]["csp_id"] or "")


def test_azures_envelope_is_opened() -> None:
    """The genuine one holds the genuine report, and its text is bound."""
    (item,) = [item for item in ITEMS if "azure_hcl_report" in item]
    document = (FOLDER / item["azure_hcl_report"]["file"]).read_bytes()
    verified = SevSnp().verify(_evidence(item, document), _seconds(item["verify_at"]))
    assert verified.claims
    assert verified.claims.measurements == _claims(item).measurements
    spoilt = document.replace(b"HCLAkPub", b"HCLAkPuc")
    failure = first_failure(SevSnp().verify(_evidence(item, spoilt), 0).checks)
    assert failure
    assert failure.name == "hcl_runtime_data"


def test_every_reason_is_known() -> None:
    """No reason of the manifest is passed over."""
    assert {v["reason"] for _, v in VERDICTS if v["expect"] == "reject"} <= REASONS.keys()
