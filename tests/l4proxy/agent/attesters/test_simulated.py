"""Promises of `l4proxy.agent.attesters.simulated`: a TEE in all but proof."""

import time

import pytest

from attestation import QUOTE_SECONDS, AgentClaims, in_user_data
from attestation.manifest import digest, register_value
from attestation.nitro import MANIFEST_PCR
from l4proxy.agent.attesters import Simulated, TeeError
from tests.attestation.enclaves import KINDS, MANIFEST

REQUEST = in_user_data(b"0Ykey", AgentClaims(), b"n" * 32)


def test_a_quote_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 ms, as with a real TEE."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    tee = Simulated(b"image")
    tee.seal(None)
    assert tee.quote(REQUEST).kind == "simulated"
    assert slept == [QUOTE_SECONDS]


def test_the_manifest_is_in_the_register_and_locked() -> None:
    """What was sealed once stays; sealing the same again changes nothing."""
    tee, manifest = Simulated(b"image"), MANIFEST.encode()
    tee.seal(manifest)
    tee.seal(manifest)
    with pytest.raises(TeeError, match="locked"):
        tee.seal(b"other")
    evidence = tee.quote(REQUEST)
    claims = KINDS["simulated"].verify(evidence, time.time()).claims
    assert claims is not None
    assert claims.manifest_register == register_value(digest(manifest), 48)
    assert claims.measurements[f"pcr{MANIFEST_PCR}"] == claims.manifest_register


def test_nothing_is_quoted_before_the_seal() -> None:
    """Evidence without a seal would let code that comes later claim any manifest."""
    with pytest.raises(TeeError, match="found no seal"):
        Simulated(b"image").quote(REQUEST)
