"""Verdicts in words: only a policy accepts, and a failing check is the reason."""

import pytest

from attestation import AttestationResult, Expectation
from l4proxy.cli.command import Exit
from l4proxy.cli.verdicts import Verdict, examine, no_evidence, tell, unusable, verdict_of
from tests.attestation.enclaves import FILE, KINDS, NOW, on_connection, policy, verdict

KIND = KINDS["simulated"]

ACCEPTED = verdict(on_connection(), policy())
REFUSED = verdict(on_connection(), policy(), now=NOW + 86_400)
GENUINE = examine(on_connection(), KIND, FILE, NOW)
NOT_GENUINE = examine(on_connection(), KIND, FILE, NOW + 86_400)
UNEXPECTED = examine(on_connection(), KIND, Expectation(nonce=b"n", live=False), NOW)


@pytest.mark.parametrize(
    ("result", "said", "status"),
    [
        (ACCEPTED, Verdict.ACCEPTED, Exit.FINE),
        (REFUSED, Verdict.REFUSED, Exit.FAILED),
        (GENUINE, Verdict.GENUINE, Exit.FINE),
        (NOT_GENUINE, Verdict.NOT_GENUINE, Exit.FAILED),
        (UNEXPECTED, Verdict.NOT_GENUINE, Exit.FAILED),
    ],
)
def test_each_result_has_its_word_and_its_status(
    result: AttestationResult, said: Verdict, status: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words and status never disagree, in either form."""
    assert verdict_of(result) is said
    assert tell(result, {}, as_json=True) is tell(result, {}, as_json=False) is status
    assert f'"verdict": "{said}"' in capsys.readouterr().out


def test_without_a_policy_nothing_is_accepted() -> None:
    """Whatever is found, and the measurements are shown for an eye to compare."""
    for result in (GENUINE, NOT_GENUINE, UNEXPECTED):
        assert not result.accepted
        assert result.trust_until is None
        assert not result.resumption
    assert UNEXPECTED.reason is not None
    assert str(UNEXPECTED.reason) == "nonce: found nothing, expected 1 bytes 6e"


def test_measurements_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What it says that it runs stands there, without the registers that nobody has set."""
    tell(GENUINE, {}, as_json=False)
    told = capsys.readouterr().out
    assert GENUINE.claims is not None
    assert f"pcr0: {GENUINE.claims.measurements['pcr0'].hex()}" in told
    assert "pcr9" not in told


def test_no_verdict_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line with whom it is from; what nobody showed is a refusal for scripts."""
    assert unusable(ValueError("one\ntwo")) is Exit.UNUSABLE
    assert capsys.readouterr() == ("", "l4proxy: one\nl4proxy: two\n")
    assert no_evidence(ValueError("nothing"), as_json=False) is Exit.FAILED
    assert capsys.readouterr() == ("", "l4proxy: nothing\n")
    assert no_evidence(ValueError("nothing"), as_json=True) is Exit.FAILED
    assert '"verdict": "refused"' in capsys.readouterr().out
