"""Drafts: what is pinned of each kind, and what nothing can be pinned of."""

from dataclasses import replace

import pytest
import yaml

from attestation import Claims, Evidence, SimulatedTee
from attestation.manifest import digest, register_value
from l4proxy.cli.draft import Draft, NoDraft, from_build, from_evidence
from tests.attestation.enclaves import KINDS, MANIFEST, NOW, on_question

HASH = b"\x11" * 48
BUILD = b'{"Measurements": {"HashAlgorithm": "Sha384", "PCR0": "aa", "PCR1": "bb", "PCR2": "cc"}}'
BARE = Evidence("nitro", b"", {})
NITRO = Claims("nitro", {f"pcr{n}": bytes([n]) * 48 for n in range(16)}, b"", NOW)
SNP = Claims(
    "sev-snp",
    {"measurement": HASH},
    b"",
    NOW,
    product="Genoa",
    tcb={"snp": 8},
    fields={"vmpl": bytes(4)},
)
TDX = Claims("tdx", {"mr_td": HASH, **{f"rtmr{n}": bytes([n]) * 48 for n in range(4)}}, b"", NOW)


def test_a_build_is_pinned() -> None:
    """PCR0, PCR1 and PCR2, and PCR8 where the image is signed."""
    assert from_build(BUILD) == Draft({"nitro": {"pcrs": {0: "aa", 1: "bb", 2: "cc"}}})
    signed = BUILD.replace(b'"PCR0"', b'"PCR8": "dd", "PCR0"')
    (pins,) = from_build(signed).accept.values()
    assert isinstance(pins, dict)
    assert pins["pcrs"][8] == "dd"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "found no JSON"),
        (b"[]", 'found no "Measurements"'),
        (b'{"Measurements": 1}', 'found no "Measurements"'),
        (b'{"Measurements": {"PCR0": "aa"}}', "found no PCR1, PCR2"),
        (BUILD.replace(b'"aa"', b"1"), "found no PCR0"),
        (b"[" * 100_000, "found no JSON"),
    ],
)
def test_what_no_build_prints_is_refused(text: bytes, said: str) -> None:
    """Each fault says what was expected."""
    with pytest.raises(NoDraft, match=said):
        from_build(text)


def test_what_says_which_code_runs_is_pinned() -> None:
    """And nothing that differs between two enclaves of one image, as PCR3 and PCR4 do."""
    assert from_evidence(NITRO, BARE).accept == {
        "nitro": {"pcrs": {1: "01" * 48, 2: "02" * 48, 8: "08" * 48}}
    }
    assert from_evidence(SNP, BARE).accept == {
        "sev-snp": {
            "measurement": HASH.hex(),
            "minimum_tcb": {"snp": 8},
            "products": ["Genoa"],
        }
    }
    (demands,) = from_evidence(replace(SNP, fields={"vmpl": b"\1\0\0\0"}), BARE).accept.values()
    assert isinstance(demands, dict)
    assert demands["max_vmpl"] == 1
    (pins,) = from_evidence(TDX, BARE).accept.values()
    assert isinstance(pins, dict)
    assert sorted(pins["rtmr"]) == [0, 1, 2]


def test_a_manifest_is_pinned_where_the_register_holds_it() -> None:
    """One that only came along is no statement."""
    manifest = MANIFEST.encode()
    with_manifest = replace(BARE, manifest=manifest)
    held = replace(NITRO, manifest_register=register_value(digest(manifest), 48))
    assert from_evidence(held, with_manifest).manifest == f"sha256:{digest(manifest).hex()}"
    for claims, evidence in (
        (NITRO, with_manifest),
        (held, BARE),
        (replace(held, manifest_register=HASH), with_manifest),
    ):
        assert from_evidence(claims, evidence).manifest is None


def test_nothing_is_pinned_of_a_debug_tee() -> None:
    """Its registers are zeros, which every debug TEE has."""
    tee = SimulatedTee(b"image", debug=True)
    claims = KINDS["simulated"].verify(on_question(tee=tee), NOW).claims
    assert claims is not None
    with pytest.raises(NoDraft, match="debug mode"):
        from_evidence(claims, BARE)


def test_a_plug_ins_set_is_its_own() -> None:
    """What a set of another kind looks like only its plug-in knows."""
    with pytest.raises(NoDraft, match="found the kind acme"):
        from_evidence(replace(NITRO, kind="acme"), BARE)


def test_a_draft_is_yaml_that_says_the_same() -> None:
    """Digits stay text, numbers stay numbers, and a strange source cannot add a line."""
    draft = Draft({"nitro": {"pcrs": {0: "1" * 96}}}, simulated=True, manifest="sha256:" + "0" * 64)
    text = draft.text("a file\nallow_debug: true")
    assert yaml.safe_load(text) == {
        "accept": [{"nitro": {"pcrs": {0: "1" * 96}}}],
        "allow_simulated": True,
        "manifest": "sha256:" + "0" * 64,
    }
    assert text.startswith("# From a file?allow_debug")
