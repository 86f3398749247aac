"""Genuine TDX quotes: each is judged as its manifest says, for the reason that it names.

The quotes are no part of this repository. They are looked for in the folder that the environment
variable L4PROXY_VECTORS names, else beside the repository in ``../shared/vectors``.
"""

import importlib.util
import json
import os
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pytest

from attestation.checks import Check, Outcome, first_failure
from attestation.evidence import Evidence
from attestation.tdx import Tdx

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("L4PROXY_VECTORS", ROOT / ".." / "shared" / "vectors")) / "tdx"
WITHOUT_LIBRARY = importlib.util.find_spec("dcap_qvl") is None

# What the manifest calls a reason, the check that finds it and, where it is a library's, its words.
REASONS = {
    "quote-signature": ("quote_signature", ""),
    "root (pre-production hardware: the chain ends in another self-signed Intel root)": (
        "chain_root",
        "",
    ),
    "td-attributes-debug": ("debug", ""),
    "tcb-status (accept only if policy allows OutOfDate)": ("tcb_status", "OutOfDate"),
    "SEPT_VE_DISABLE is not enabled": ("sept_ve_disable", "SEPT_VE_DISABLE is not enabled"),
    "TCBInfo expired": ("collateral_validity", "TCBInfo expired"),
    "TCBInfo issue date is in the future": (
        "collateral_validity",
        "TCBInfo issue date is in the future",
    ),
    "Fmspc mismatch": ("tcb", "Fmspc mismatch"),
    "No matching TCB level found": ("tcb", "No matching TCB level found"),
}


class Verdict(TypedDict):
    """One check of the manifest."""

    name: str
    at: str
    expect: str
    allow_debug: NotRequired[bool]
    allow_sept_ve_enabled: NotRequired[bool]
    collateral: NotRequired[str]
    mutate: NotRequired[dict[str, int]]
    reason: NotRequired[str]
    tcb_status: NotRequired[str]
    advisories: NotRequired[list[str]]


class Item(TypedDict):
    """One quote of the manifest."""

    id: str
    file: str
    fmspc: str
    td_debug: bool
    sept_ve_disable: bool
    pck_chain_root_is_intel_sgx_root: bool
    pck_chain_valid_from: str
    pck_chain_valid_until: str
    expected: dict[str, str | list[str]]
    checks: list[Verdict]


def _items() -> list[Item]:
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        return []
    return cast("list[Item]", json.loads(manifest.read_text(encoding="utf-8"))["items"])


ITEMS = _items()
VERDICTS = [(item, verdict) for item in ITEMS for verdict in item["checks"]]
GENUINE = [item for item in ITEMS if item["pck_chain_root_is_intel_sgx_root"]]

pytestmark = pytest.mark.skipif(not ITEMS, reason=f"no genuine quotes in {FOLDER}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _evidence(item: Item, verdict: Verdict) -> Evidence:
    document = bytearray((FOLDER / item["file"]).read_bytes())
    if mutation := verdict.get("mutate"):
        document[mutation["xor_byte_at"]] ^= mutation["with"]
    name = verdict.get("collateral")
    endorsements = {"collateral": (FOLDER / name).read_bytes()} if name else {}
    return Evidence("tdx", bytes(document), endorsements)


def _judge(item: Item, verdict: Verdict) -> list[Check]:
    """Every check under the manifest's policy, debug among them."""
    kind = Tdx()
    verified = kind.verify(_evidence(item, verdict), _seconds(verdict["at"]))
    checks = list(verified.checks)
    if verified.claims:
        allowed = verdict.get("allow_sept_ve_enabled", False)
        demands = {"insecure_any_measurement": True, "allow_sept_ve_enabled": allowed}
        checks += kind.demands(demands, ()).appraise(verified.claims)
        if verified.claims.debug and not verdict.get("allow_debug"):
            checks.append(Check("debug", Outcome.FAILED))
    return checks


@pytest.mark.parametrize(
    ("item", "verdict"), VERDICTS, ids=[f"{item['id']}: {v['name']}" for item, v in VERDICTS]
)
def test_a_quote_is_judged_as_its_manifest_says(item: Item, verdict: Verdict) -> None:
    """Accepted, or refused by the check that the manifest's reason means."""
    if WITHOUT_LIBRARY and "collateral" in verdict:
        pytest.skip("the extra tdx is not installed: collateral is not judged")
    failed = {
        check.name: check.found
        for check in _judge(item, verdict)
        if check.outcome is Outcome.FAILED
    }
    if verdict["expect"] == "accept":
        assert not failed
    else:
        name, words = REASONS[verdict["reason"]]
        assert words in failed[name]


@pytest.mark.parametrize(
    ("item", "verdict"),
    [(item, verdict) for item, verdict in VERDICTS if "tcb_status" in verdict],
    ids=[item["id"] for item, verdict in VERDICTS if "tcb_status" in verdict],
)
def test_a_platform_has_the_status_that_its_manifest_says(item: Item, verdict: Verdict) -> None:
    """Intel's word on it, and the advisories."""
    pytest.importorskip("dcap_qvl", reason="the extra tdx is not installed")
    claims = Tdx().verify(_evidence(item, verdict), _seconds(verdict["at"])).claims
    assert claims
    assert claims.tcb_status == verdict["tcb_status"]
    assert claims.details["advisories"] == ", ".join(verdict["advisories"])


@pytest.mark.parametrize("item", GENUINE, ids=[item["id"] for item in GENUINE])
def test_a_genuine_quote_says_what_its_manifest_says(item: Item) -> None:
    """Every field that is read is the one that another verifier reads."""
    verdict, expected = item["checks"][0], item["expected"]
    verified = Tdx().verify(_evidence(item, verdict), _seconds(verdict["at"]))
    claims = verified.claims
    assert claims, first_failure(verified.checks)
    known = {**claims.measurements, **claims.fields}
    for name in ("tee_tcb_svn", "mr_seam", "td_attributes", "xfam", "mr_td", "mr_config_id"):
        assert known[name].hex() == expected[name]
    assert [claims.measurements[f"rtmr{i}"].hex() for i in range(4)] == expected["rtmr"]
    assert claims.bound_data.hex() == expected["report_data"]
    assert (claims.product, claims.debug) == (item["fmspc"], item["td_debug"])
    assert claims.valid_until == _seconds(item["pck_chain_valid_until"])


def test_every_reason_is_known() -> None:
    """No reason of the manifest is passed over."""
    assert {v["reason"] for _, v in VERDICTS if v["expect"] == "reject"} <= REASONS.keys()
