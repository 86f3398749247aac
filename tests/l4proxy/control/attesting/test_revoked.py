"""What is refuted whatever it proves."""

import pytest

from l4proxy.control.attesting.revoked import MAX_REVOCATIONS, Revocations, TooManyRevocations
from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.revocation import Revocation, Revoked
from tests.l4proxy.control.attesting.enclave import TEE
from tests.l4proxy.control.attesting.verdicts import KEY, NOW, verdict

TRUSTED = Trust().judged(verdict(), KEY, NOW)
CHIP = (verdict().claims or pytest.fail("no claims")).chip_id


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation(Revoked.KEY, KEY),
        Revocation(Revoked.MEASUREMENT, TEE.registers()[0]),
        Revocation(Revoked.MEASUREMENT, TEE.registers()[2]),
    ],
    ids=str,
)
def test_whoever_it_names_is_refuted(revocation: Revocation) -> None:
    """By its key, or by what it measures; what was proved does not matter."""
    found = Revocations([revocation]).refuted(TRUSTED, NOW)
    assert found.state is TrustState.REFUTED
    assert found.reason.startswith(f"revoked: found {revocation}")
    assert not Revocations([revocation]).refuted(Trust(), NOW).admits


def test_a_chip_is_revoked_by_its_id() -> None:
    """Where evidence names one."""
    if CHIP is None:
        pytest.skip("simulated evidence names no chip")
    revocation = Revocation(Revoked.CHIP, CHIP)
    assert Revocations([revocation]).refuted(TRUSTED, NOW).state is TrustState.REFUTED


def test_nobody_else_is() -> None:
    """A measurement is no key, and another value is another value."""
    others = [
        Revocation(Revoked.KEY, b"x" * 32),
        Revocation(Revoked.MEASUREMENT, KEY),
        Revocation(Revoked.CHIP, TEE.registers()[0]),
    ]
    assert Revocations(others).refuted(TRUSTED, NOW) is TRUSTED
    assert Revocations().refuted(TRUSTED, NOW) is TRUSTED


def test_they_are_bounded() -> None:
    """One more than the bound is refused, and changes nothing."""
    many = [Revocation(Revoked.CHIP, n.to_bytes(4)) for n in range(1, MAX_REVOCATIONS + 1)]
    full = Revocations(many)
    assert list(full) == sorted(many)
    assert full.with_these(many[:1]) is not full
    with pytest.raises(TooManyRevocations, match="at most 4096"):
        full.with_these([Revocation(Revoked.CHIP, b"xxxx")])
    assert len(full) == MAX_REVOCATIONS
    assert many[0] in full
