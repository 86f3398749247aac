"""Promises of `l4proxy.agent.renewal`: a certificate is fresh before the last one ends."""

import asyncio
import logging
import time
from base64 import encodebytes
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation import AgentClaims, Expectation, read_certificate
from attestation.policy import Binding
from attestation.simulated_tee import CERTIFICATE_SECONDS
from attestation.x509 import split_pem
from l4proxy.agent import renewal
from l4proxy.agent.attesters import Simulated
from l4proxy.agent.certificates import BadCertificate, Credentials, Csr, SelfSigned, obtain_key
from l4proxy.agent.quotes import Quotes, Subject
from l4proxy.agent.renewal import (
    DAY,
    RETRY_SECONDS,
    SHORTEST_SECONDS,
    Issuer,
    delay,
    end_of,
    keep_fresh,
)
from l4proxy.evidence_wire import Answer
from tests.attestation.enclaves import Authority
from tests.l4proxy.agent.credentials import EVIDENCE, credentials
from tests.l4proxy.agent.parts import IMAGE, NAME, PATIENCE, policy, verdict
from tests.l4proxy.agent.test_certificates import given


def issuer(source: SelfSigned | Csr | None = None) -> Issuer:
    """An issuer over a simulated TEE."""
    tee = Simulated(IMAGE.encode())
    tee.seal(None)
    found = source or SelfSigned((NAME,))
    key = obtain_key(found)
    return Issuer(found, key, Quotes(tee, Subject(key.spki, AgentClaims(), None)))


async def test_a_certificate_ends_with_its_evidence() -> None:
    """The simulated TEE's signer lives three hours, and so does what it signs."""
    made = await issuer().issue()
    assert made.not_after == pytest.approx(time.time() + CERTIFICATE_SECONDS, abs=5)
    [leaf] = split_pem(made.chain, 1)
    found = read_certificate(leaf, Binding.CLAIMS_BUFFER)
    assert found.evidence is not None
    aged = policy(freshness={"max_age": "1h"}, key_origin=["inside", "unstated"])
    expected = Expectation(spki=found.spki)
    assert verdict(Answer(found.evidence), expected, time.time(), aged).accepted


def test_evidence_without_an_end_lives_a_day() -> None:
    """What nobody can date is renewed daily."""
    assert end_of(EVIDENCE, 5.0) == 5.0 + DAY


async def test_evidence_in_a_certificate_is_renewed_in_time() -> None:
    """At half of what is left, or as early as the settings say."""
    made, now = await issuer().issue(), time.time()
    assert delay(made, 600.0, now) == 600.0
    assert delay(made, 1e9, now) == pytest.approx(CERTIFICATE_SECONDS / 2, abs=5)
    assert delay(made, 600.0, now + CERTIFICATE_SECONDS) == 1.0


def test_a_certificate_without_evidence_is_renewed_at_its_half() -> None:
    """The settings' bound is one of evidence, not of certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = Authority().leaf(key)
    chain = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % encodebytes(leaf)
    assert delay(Credentials(chain, b"", 2000.0), 100.0, 1000.0) == 500.0


async def test_a_given_certificate_is_read_again(tmp_path: Path) -> None:
    """A renewed one of the same key is used; another key needs another agent."""
    paths = given(tmp_path)
    key = obtain_key(paths)
    tee = Simulated(b"image")
    here = Issuer(paths, key, Quotes(tee, Subject(key.spki, AgentClaims(), None)))
    assert await here.issue() == key.given
    paths.certificate.write_bytes(credentials().chain)
    with pytest.raises(BadCertificate, match="another key was given"):
        await here.issue()


async def test_renewal_goes_on_whatever_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault is told and tried again; what comes of it is put to use, with the same key."""
    here = issuer()
    installed: list[Credentials] = []
    done = asyncio.Event()

    async def install(renewed: Credentials) -> None:
        installed.append(renewed)
        if len(installed) == 1:
            raise OSError("no room")
        done.set()

    monkeypatch.setattr(renewal, "SHORTEST_SECONDS", 0.01)
    monkeypatch.setattr(renewal, "RETRY_SECONDS", 0.01)
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            first = await here.issue()
            keeping = tasks.create_task(keep_fresh(here, install, first, 0.01))
            await done.wait()
            await asyncio.sleep(0)
            keeping.cancel()
    assert "cannot be renewed: no room" in caplog.text
    assert "certificate: renewed" in caplog.text
    assert {made.key for made in installed} == {first.key}
    assert len({made.chain for made in (first, *installed)}) == len(installed) + 1


async def test_a_given_certificate_that_has_ended_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is read again now and then, not all the time, and put to use only when it is another."""
    paths = given(tmp_path)
    key = obtain_key(paths)
    assert key.given is not None
    here = Issuer(paths, key, Quotes(Simulated(b"image"), Subject(key.spki, AgentClaims(), None)))
    ended = replace(key.given, not_after=1.0)
    looks: list[float] = []
    used: list[Credentials] = []

    async def install(renewed: Credentials) -> None:
        used.append(renewed)

    async def look(wait: float) -> None:
        looks.append(wait)
        fresh = key.given if len(looks) == 4 else ended
        monkeypatch.setattr(renewal, "obtain_key", lambda _: replace(key, given=fresh))
        if len(looks) == 6:
            raise asyncio.CancelledError

    monkeypatch.setattr("asyncio.sleep", look)
    with pytest.raises(asyncio.CancelledError):
        await keep_fresh(here, install, ended, 3600.0)
    assert looks[:4] == [SHORTEST_SECONDS, RETRY_SECONDS, RETRY_SECONDS, RETRY_SECONDS]
    assert used[0] == key.given
    assert caplog.text.count("its time is over") == 2
    assert caplog.text.count("works again") == 1


async def test_a_renewal_that_fails_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twice the wait each time, up to its bound."""
    looks: list[float] = []

    async def look(wait: float) -> None:
        looks.append(wait)
        if len(looks) == 8:
            raise asyncio.CancelledError

    async def install(_: Credentials) -> None:
        raise OSError("no room")

    here = issuer()
    first = await here.issue()
    monkeypatch.setattr("asyncio.sleep", look)
    with pytest.raises(asyncio.CancelledError):
        await keep_fresh(here, install, first, 1.0)
    assert looks == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
