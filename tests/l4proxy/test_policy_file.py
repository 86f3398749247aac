"""Policies as files: read whole, and mistakes by line and column."""

from pathlib import Path

import pytest

from attestation import AttestationError, EvidenceKind, built_in_kinds, register
from l4proxy.config import ConfigError
from l4proxy.config.document import MAX_DOCUMENT_BYTES
from l4proxy.policy_file import MAX_NAMED_BYTES, load_policy
from tests.l4proxy.control.attesting.enclave import write_policy

KINDS = register(built_in_kinds())
DIGEST = "ab" * 48
GOOD = f"""\
accept:
  - nitro: {{pcrs: {{0: "{DIGEST}", 1: "{DIGEST}", 2: {DIGEST}}}}}
  - sev-snp: {{measurement: "{DIGEST}", minimum_tcb: {{snp: 8}}, products: [Genoa]}}
  - tdx: {{mr_td: "{DIGEST}", rtmr: {{0: "{DIGEST}"}}}}
freshness: {{mode: exporter}}
key_origin: [inside, released]
claims: {{service: app}}
"""


def mistake(folder: Path, text: str | bytes) -> str:
    """What is said of a policy that cannot be used, without its file's name."""
    path = folder / "app.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_policy(path, KINDS)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_a_policy_is_read_whole(tmp_path: Path) -> None:
    """Numbers of registers are numbers, in quotes or not; and lists are lists."""
    path = tmp_path / "app.yaml"
    path.write_text(GOOD, encoding="utf-8")
    found = load_policy(path, KINDS)
    assert [one.kind for one in found.accept] == ["nitro", "sev-snp", "tdx"]
    assert found.claims == {"service": "app"}
    path.write_text(GOOD.replace("{0:", '{"0":'), encoding="utf-8")
    assert load_policy(path, KINDS).digest == found.digest


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("allow", "allow", ":1:1: found nothing"),
        ("service: app", "service: ~", ":7:19: claims.service: found nothing"),
        ("mode: exporter", "mode: exporte", ":5:19: freshness.mode: found 'exporte'"),
        ("released", "relased", ":6:22: key_origin[1]: found 'relased'"),
        (f'0: "{DIGEST}", 1', '0: "ab", 1', ":2:23: accept[0].nitro.pcrs['0']: found 'ab'"),
        ("nitro", "nitre", ":2:5: accept[0]: found the key 'nitre'"),
        ("claims:", "claim:", ":1:1: found the key 'claim'"),
        ("claims:", "accept:", ":7:1: accept: this key stands twice"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, before: str, after: str, said: str) -> None:
    """File, line, column and path, found and expected."""
    text = GOOD.replace(before, after) if before != after else ""
    assert said in mistake(tmp_path, text)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """Missing, too long, no text, no YAML, and a certificate that it names."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_policy(tmp_path / "missing.yaml", KINDS)
    assert "over 1048576 bytes" in mistake(tmp_path, b"#" * (MAX_DOCUMENT_BYTES + 1))
    assert "cannot be read" in mistake(tmp_path, b"\xff")
    assert "not YAML" in mistake(tmp_path, "a: [")
    owner = GOOD + "ownership: {ca: ca.pem, name: app.example.com}\n"
    assert ":8:17: ownership.ca: " in mistake(tmp_path, owner)
    assert "ownership.ca: " in mistake(tmp_path, owner.replace("ca.pem", '"a\\0b"'))
    assert "the key '1111" in mistake(tmp_path, f"{GOOD}? {'1' * 5000}\n: x\n")
    (tmp_path / "ca.pem").write_bytes(b"x" * (MAX_NAMED_BYTES + 1))
    assert "over 65536 bytes" in mistake(tmp_path, owner)


def test_a_simulated_policy_is_read(tmp_path: Path) -> None:
    """As tests and the demonstration write it."""
    write_policy(tmp_path / "app.yaml")
    assert load_policy(tmp_path / "app.yaml", KINDS).allow_simulated


class Broken(dict[str, EvidenceKind]):
    """Kinds that are known, and cannot be used."""

    def __getitem__(self, name: str) -> EvidenceKind:
        """Say why."""
        raise AttestationError(f"the kind {name}: found nothing that works")


def test_a_kind_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Where the policy names it."""
    path = tmp_path / "app.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"app\.yaml:2:12: accept\[0\]\.nitro: found the kind"):
        load_policy(path, Broken(KINDS))
