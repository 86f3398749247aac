"""Evidence as files: what is read is bounded, and each thing has its name."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.cmw import MAX_CMW, MAX_ENDORSEMENTS
from attestation.verdict import MAX_ENDORSEMENT_BYTES
from l4proxy.cli.evidence_file import Unusable, read_evidence, read_file, read_shown
from tests.attestation.enclaves import Authority, on_question, spki_of
from tests.l4proxy.cli.evidence import wrapper


def test_endorsements_have_the_names_of_their_files(tmp_path: Path) -> None:
    """Without the suffix; folders are passed over."""
    beside = tmp_path / "beside"
    (beside / "folder").mkdir(parents=True)
    (beside / "vcek.der").write_bytes(b"a key's certificate")
    (beside / "crl").write_bytes(b"a list")
    document = tmp_path / "report.bin"
    document.write_bytes(b"report")
    evidence = read_evidence(document, "sev-snp", beside)
    assert (evidence.kind, evidence.document) == ("sev-snp", b"report")
    assert evidence.endorsements == {"crl": b"a list", "vcek": b"a key's certificate"}


def test_a_wrapper_is_opened(tmp_path: Path) -> None:
    """It names its kind, and what lies beside it in files is added."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "crl.der").write_bytes(b"a list")
    evidence = read_evidence(wrapper(tmp_path), "cmw", beside)
    sent = on_question()
    assert (evidence.kind, evidence.agent_claims) == ("simulated", sent.agent_claims)
    assert evidence.manifest == sent.manifest
    assert dict(evidence.endorsements) == {"crl": b"a list"}


def test_too_much_is_not_read(tmp_path: Path) -> None:
    """The bound itself is, one byte more is not; nor are more files than evidence may have."""
    file = tmp_path / "file"
    file.write_bytes(bytes(MAX_CMW))
    assert len(read_file(file, MAX_CMW)) == MAX_CMW
    with pytest.raises(Unusable, match="more than 10 bytes"):
        read_file(file, 10)
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "long").write_bytes(bytes(MAX_ENDORSEMENT_BYTES + 1))
    with pytest.raises(Unusable, match="more than"):
        read_evidence(file, "nitro", beside)
    (beside / "long").unlink()
    for number in range(MAX_ENDORSEMENTS + 1):
        (beside / str(number)).touch()
    with pytest.raises(Unusable, match="found 17 files"):
        read_evidence(file, "nitro", beside)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Neither is taken for the other."""
    (tmp_path / "vcek.der").touch()
    (tmp_path / "vcek.pem").touch()
    with pytest.raises(Unusable, match="found another vcek"):
        read_evidence(tmp_path / "vcek.der", "nitro", tmp_path)


def test_a_certificate_is_shown_with_its_chain(tmp_path: Path) -> None:
    """DER is one; PEM may have those that came with it behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority()
    leaf = authority.leaf(key)
    file = tmp_path / "certificate"
    file.write_bytes(leaf)
    shown = read_shown(file)
    assert (shown.certificate, shown.chain, shown.spki) == (leaf, (), spki_of(key))
    file.write_bytes(authority.pem * 2)
    assert len(read_shown(file).chain) == 1
    file.write_bytes(b"no certificate")
    with pytest.raises(Unusable, match=str(file)):
        read_shown(file)
