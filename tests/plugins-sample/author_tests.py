"""What the plug-in's author runs: `pytest author_tests.py`, with the plug-in installed."""

from acme_tee import AcmeTee, sign

from attestation import Evidence
from l4proxy.conformance import Sample, check_evidence_kind
from l4proxy.plugins import installed_kinds

NOW = 1_800_000_000
CODE = bytes(range(32))
DOCUMENT = sign(CODE, b"", NOW - 60, NOW + 60)


def test_our_kind_keeps_its_promises() -> None:
    """Every promise of the protocol, on genuine evidence."""
    sample = Sample(
        evidence=Evidence("acme", DOCUMENT, {}),
        now=NOW,
        demands={"measurement": CODE.hex()},
        others={"measurement": "11" * 32},
    )
    check_evidence_kind(AcmeTee(), sample)


def test_our_kind_is_registered() -> None:
    """A policy finds it by its name."""
    assert type(installed_kinds()["acme"]).__name__ == "AcmeTee"
