"""`l4proxy verify` over genuine evidence: each file gets the verdict of its manifest.

The files are no part of this repository; the tests of each kind in tests/attestation say where they
are looked for. Here the whole way is taken: a policy file, the command, its exit status, its JSON.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from attestation import Binding, read_certificate
from l4proxy.cli import main
from tests.attestation import test_vectors_nitro as nitro
from tests.attestation import test_vectors_ratls as ratls
from tests.attestation import test_vectors_snp as snp
from tests.attestation import test_vectors_tdx as tdx

ANY = {"insecure_any_measurement": True}
# From a file a maximum age is asked for only to have a convention without an exporter.
BY_AGE = {"freshness": {"max_age": "3650d"}}


class Called(NamedTuple):
    """How one run of the command ended."""

    status: int
    failed: frozenset[str]


def verify(
    arguments: Sequence[str | Path], policy: Mapping[str, object], folder: Path, out: object
) -> Called:
    """Runs the command with a policy."""
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(dict(policy)), encoding="utf-8")
    status = main(["verify", *map(str, arguments), "--policy", str(path), "--json"])
    assert isinstance(out, pytest.CaptureFixture)
    document = json.loads(out.readouterr().out)
    failed = {check["name"] for check in document["checks"] if check["outcome"] == "failed"}
    assert (document["verdict"] == "accepted") is (status == 0) is document["accepted"]
    assert status == 0 or document["reason"].split(":")[0] in failed
    return Called(status, frozenset(failed))


def expect(called: Called, verdict: str, reasons: set[str]) -> None:
    """Compares with what a manifest expects."""
    assert called.status == (0 if verdict == "accept" else 1)
    assert verdict == "accept" or called.failed & reasons


@pytest.mark.skipif(not nitro.ITEMS, reason="no documents of real enclaves here")
@pytest.mark.parametrize(
    ("item", "case"), nitro.CASES, ids=[f"{item['id']}: {c['name']}" for item, c in nitro.CASES]
)
def test_nitro(
    item: nitro.Item, case: nitro.Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document is accepted or refused by the very check of its manifest."""
    asked = case.get("policy") or nitro.Policy()
    name = case.get("file") or item.get("file")
    assert name
    arguments: list[str | Path] = [nitro.FOLDER / name, "--kind", "nitro", "--at", case["at"]]
    pcrs = {int(index): value for index, value in asked.get("pcrs", {}).items()}
    policy: dict[str, object] = {
        "accept": [{"nitro": {**ANY, "pcrs": pcrs} if pcrs else ANY}],
        "allow_debug": case.get("allow_debug", False),
    }
    if "tls_certificate" in asked:
        arguments += ["--certificate", nitro.FOLDER / asked["tls_certificate"]]
        policy |= {"binding": "evervault", **BY_AGE}
    for option, value in (
        ("--nonce", asked.get("nonce")),
        ("--user-data", asked.get("user_data")),
        ("--public-key", asked.get("public_key")),
    ):
        arguments += [option, value] if value else []
    called = verify(arguments, policy, tmp_path, capsys)
    reason = nitro.REASONS[case["reason"]] if "reason" in case else ""
    expect(called, case["expect"], {reason.replace("tls_certificate", "key_binding")})


@pytest.mark.skipif(not snp.ITEMS, reason="no genuine reports here")
@pytest.mark.parametrize(
    ("item", "case"), snp.VERDICTS, ids=[f"{item['id']}: {c['name']}" for item, c in snp.VERDICTS]
)
def test_sev_snp(
    item: snp.Item, case: snp.Verdict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report with its certificates in a folder is judged as its manifest says."""
    beside = tmp_path / "endorsements"
    beside.mkdir()
    for name in [item["endorsement_key"]["file"], *item["chain"]]:
        (beside / name).write_bytes((snp.FOLDER / name).read_bytes())
    report = _spoilt(snp.FOLDER / item["file"], case.get("mutate"), tmp_path)
    policy = {
        "accept": [{"sev-snp": {**ANY, **case.get("policy", {})}}],
        "allow_debug": case["allow_debug"],
    }
    arguments: list[str | Path]
    arguments = [report, "--kind", "sev-snp", "--at", case["at"], "--endorsements", beside]
    called = verify(arguments, policy, tmp_path, capsys)
    expect(called, case["expect"], snp.REASONS[case["reason"]] if "reason" in case else set())


@pytest.mark.skipif(not tdx.ITEMS, reason="no genuine quotes here")
@pytest.mark.parametrize(
    ("item", "case"), tdx.VERDICTS, ids=[f"{item['id']}: {c['name']}" for item, c in tdx.VERDICTS]
)
def test_tdx(
    item: tdx.Item, case: tdx.Verdict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quote, with its collateral where there is some, is judged as its manifest says."""
    if tdx.WITHOUT_LIBRARY and "collateral" in case:
        pytest.skip("the extra tdx is not installed: collateral is not judged")
    quote = _spoilt(tdx.FOLDER / item["file"], case.get("mutate"), tmp_path)
    beside = tmp_path / "endorsements"
    beside.mkdir()
    if "collateral" in case:
        stored = (tdx.FOLDER / case["collateral"]).read_bytes()
        (beside / "collateral.json").write_bytes(stored)
    allowed = {
        "allow_sept_ve_enabled": case.get("allow_sept_ve_enabled", False),
        "allow_unknown_tcb": "collateral" not in case,
    }
    policy = {
        "accept": [{"tdx": {**ANY, **allowed}}],
        "allow_debug": case.get("allow_debug", False),
    }
    arguments: list[str | Path]
    arguments = [quote, "--kind", "tdx", "--at", case["at"], "--endorsements", beside]
    called = verify(arguments, policy, tmp_path, capsys)
    expect(called, case["expect"], {tdx.REASONS[case["reason"]][0]} if "reason" in case else set())


@pytest.mark.skipif(not (ratls.VECTORS / "ratls").is_dir(), reason="no genuine certificates here")
@pytest.mark.parametrize("name", ["gramine-cert.der", "rats-tls-cert.der"])
def test_sgx(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quote of SGX, which we do not verify, is no quote of TDX, whatever is asked of it."""
    stored = (ratls.VECTORS / "ratls" / name).read_bytes()
    evidence = read_certificate(stored, Binding.CLAIMS_BUFFER).evidence
    assert evidence is not None
    quote = tmp_path / "quote.bin"
    quote.write_bytes(evidence.document)
    policy = {"accept": [{"tdx": ANY}]}
    called = verify([quote, "--kind", "tdx"], policy, tmp_path, capsys)
    expect(called, "reject", {"form"})


@pytest.mark.skipif(not nitro.ITEMS, reason="no documents of real enclaves here")
def test_every_check_of_the_manifests_is_made() -> None:
    """88 of Nitro, 39 of SEV-SNP, 44 of TDX; the six of SGX certificates are on two quotes."""
    assert [len(cases) for cases in (nitro.CASES, snp.VERDICTS, tdx.VERDICTS)] == [88, 39, 44]


def _spoilt(path: Path, mutation: Mapping[str, int] | None, folder: Path) -> Path:
    """The file itself, or a copy with the byte changed that a manifest names."""
    if not mutation:
        return path
    document = bytearray(path.read_bytes())
    document[mutation["xor_byte_at"]] ^= mutation["with"]
    spoilt = folder / "spoilt.bin"
    spoilt.write_bytes(document)
    return spoilt
