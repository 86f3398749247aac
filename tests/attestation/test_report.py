"""A verdict in writing: complete for programs, loud for people."""

import json
from dataclasses import replace

from attestation.manifest import digest
from attestation.report import as_document, as_lines
from tests.attestation.enclaves import (
    CONNECTION,
    MANIFEST,
    OTHER_SPKI,
    on_connection,
    policy,
    verdict,
)

ASKED = policy(manifest={"service": "app"})
ACCEPTED = verdict(on_connection(), ASKED)
REFUSED = verdict(on_connection(), ASKED, replace(CONNECTION, spki=OTHER_SPKI))


def test_a_document_is_json_with_every_check() -> None:
    """Accepted or not, each check stands there with its outcome."""
    for result in (ACCEPTED, REFUSED):
        document = json.loads(json.dumps(as_document(result)))
        assert [check["name"] for check in document["checks"]] == [
            check.name for check in result.checks
        ]
        assert document["simulated"] is True
        assert document["policy"] == ASKED.digest.hex()
        assert document["configuration"] == "sha256:" + digest(MANIFEST.encode()).hex()
        assert document["owner"] is None
    assert as_document(ACCEPTED)["accepted"] is True
    assert as_document(ACCEPTED)["trust_until"] == "2027-01-15T11:00:00Z"


def test_a_refusal_has_its_reason_first() -> None:
    """Who reads one line knows why."""
    assert as_document(REFUSED)["accepted"] is False
    assert str(as_document(REFUSED)["reason"]).startswith("key_binding: found key")
    assert as_lines(REFUSED)[0].startswith("refused by key_binding: found key")


def test_lines_show_configuration_and_ownership_side_by_side() -> None:
    """What runs and whose it is are two questions."""
    lines = as_lines(ACCEPTED)
    assert lines[0] == "accepted until 2027-01-15T11:00:00Z"
    assert lines[1].startswith("SIMULATED")
    assert lines[2].startswith("what it runs: sha256:")
    assert lines[3] == "whose it is:  no owner was proved"
    assert len(lines) == 4 + len(ACCEPTED.checks)


def test_evidence_that_is_not_genuine_has_no_claims() -> None:
    """Nothing that a forger wrote is repeated."""
    forged = replace(on_connection(), document=b"")
    document = as_document(verdict(forged, ASKED))
    assert document["claims"] is None
    assert document["agent"] is None
    assert document["trust_until"] is None
    assert "SIMULATED" not in "".join(as_lines(verdict(forged, ASKED)))


def test_a_time_that_no_calendar_has_is_still_shown() -> None:
    """A certificate may end whenever it says."""
    assert as_document(replace(ACCEPTED, trust_until=1e20))["trust_until"] == (
        "100000000000000000000 s after 1970"
    )
