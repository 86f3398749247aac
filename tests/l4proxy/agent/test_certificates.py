"""Promises of `l4proxy.agent.certificates`: the key, and what is signed with it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from attestation import CMW_EXTENSION, KeyOrigin, read_certificate
from attestation.policy import Binding
from attestation.x509 import load_certificate, split_pem
from l4proxy.agent.certificates import (
    MAX_CHAIN_BYTES,
    BadCertificate,
    Imported,
    SelfSigned,
    obtain_key,
    read_chain,
)
from l4proxy.secret_file import BadSecretFile
from tests.l4proxy.agent.credentials import EVIDENCE, credentials, made_key
from tests.l4proxy.agent.parts import NAME


def given(folder: Path) -> Imported:
    """A certificate and a key that somebody made outside."""
    outside = credentials()
    paths = Imported(folder / "chain.pem", folder / "key.pem")
    paths.certificate.write_bytes(outside.chain)
    paths.key.touch(mode=0o600)
    paths.key.write_bytes(outside.key)
    return paths


def test_a_key_is_made_on_p_256() -> None:
    """Each agent makes its own, and says that it is from inside."""
    key, other = made_key(), made_key()
    assert key.origin is KeyOrigin.INSIDE
    assert key.own is not None
    assert isinstance(key.own.curve, ec.SECP256R1)
    assert key.spki != other.spki


def test_a_self_signed_certificate_carries_the_evidence() -> None:
    """It is for the key, for its names and for its time, and evidence is found where it should."""
    key = made_key()
    made = key.self_signed((NAME, "b.example.com"), EVIDENCE, (1_800_000_000.0, 1_800_003_600.0))
    [leaf] = split_pem(made.chain, 1)
    found = read_certificate(leaf, Binding.CLAIMS_BUFFER)
    assert (found.spki, found.evidence) == (key.spki, EVIDENCE)
    certificate = load_certificate(leaf)
    assert (certificate.not_before, certificate.not_after) == (1_799_999_700.0, 1_800_003_600.0)
    assert not certificate.extensions[CMW_EXTENSION].critical
    loaded = x509.load_der_x509_certificate(leaf)
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME, "b.example.com"]
    loaded.verify_directly_issued_by(loaded)
    assert load_pem_private_key(made.key, None).public_key() == loaded.public_key()


def test_a_long_name_is_no_obstacle() -> None:
    """A DNS name may be longer than a common name."""
    long = f"{'a' * 63}.{'b' * 63}.example.com"
    assert made_key().self_signed((long,), EVIDENCE, (0.0, 1e9)).chain


def test_a_request_carries_the_evidence() -> None:
    """An authority finds names and evidence in what it is asked to sign."""
    request = x509.load_pem_x509_csr(made_key().request((NAME,), EVIDENCE))
    assert request.is_signature_valid
    oid = x509.ObjectIdentifier(CMW_EXTENSION)
    assert request.extensions.get_extension_for_oid(oid) is not None


def test_a_chain_of_another_key_is_refused() -> None:
    """What an authority gives must be for the key that it was asked for."""
    key = made_key()
    own = credentials(key)
    assert key.with_chain(own.chain).chain == own.chain
    with pytest.raises(BadCertificate, match="for another key"):
        key.with_chain(credentials().chain)
    with pytest.raises(BadCertificate, match="chain: "):
        key.with_chain(b"no chain")


def test_a_given_key_says_that_it_was_given(tmp_path: Path) -> None:
    """Whoever gave it has it too, so evidence must say so."""
    key = obtain_key(given(tmp_path))
    assert key.origin is KeyOrigin.IMPORTED
    assert key.given is not None
    assert key.spki == load_certificate(split_pem(key.given.chain, 1)[0]).spki
    with pytest.raises(BadCertificate, match="signs nothing"):
        key.request((NAME,), EVIDENCE)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A private key is for its owner alone."""
    paths = given(tmp_path)
    paths.key.chmod(0o644)
    with pytest.raises(BadSecretFile):
        obtain_key(paths)


def test_files_that_hold_no_chain_are_refused(tmp_path: Path) -> None:
    """Too long, empty, a pipe or not there: each is told, and nothing waits."""
    paths = given(tmp_path)
    for content in (bytes(MAX_CHAIN_BYTES + 1), b""):
        paths.certificate.write_bytes(content)
        with pytest.raises(BadCertificate):
            obtain_key(paths)
    paths.certificate.unlink()
    with pytest.raises(FileNotFoundError):
        obtain_key(paths)
    os.mkfifo(paths.certificate)
    assert read_chain(paths.certificate) == b""


def test_secrets_are_not_shown() -> None:
    """Neither a key nor what holds it is printed."""
    made = credentials()
    assert "PRIVATE" not in repr(made)
    assert repr(replace(made, not_after=1.0)) == "Credentials(not_after=1.0)"


def test_the_way_decides_whose_key_it_is() -> None:
    """A self-signed certificate is for a key that was made here."""
    assert obtain_key(SelfSigned((NAME,))).given is None
