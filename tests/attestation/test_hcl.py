"""Azure's envelope: told from a report, read to its end, bound to its text."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.hcl import open_envelope
from tests.attestation.snp_builder import Recipe, envelope

REPORT = Recipe().report()
TEXT = b'{"keys":[]}'


def test_an_envelope_holds_a_report_and_a_text() -> None:
    """Both come out as they went in, and zeros behind the text are no matter."""
    for padding in (b"", bytes(100)):
        opened = open_envelope(envelope(REPORT, TEXT) + padding)
        assert opened
        assert (opened.report, opened.runtime_data) == (REPORT, TEXT)


def test_a_bare_report_is_no_envelope() -> None:
    """What does not begin as one is read as a report."""
    assert open_envelope(REPORT) is None


def test_every_prefix_of_an_envelope_is_refused() -> None:
    """One that is cut short is never one with less in it."""
    whole = envelope(REPORT, TEXT)
    for end in range(len(b"HCLA"), len(whole)):
        with pytest.raises(MalformedEvidence, match="HCL"):
            open_envelope(whole[:end])


def test_the_text_is_bound_by_its_digest_and_zeros() -> None:
    """A second half that is not zero binds something else beside it."""
    opened = open_envelope(envelope(REPORT, TEXT))
    assert opened
    digest = hashlib.sha256(TEXT).digest()
    assert opened.is_bound_by(digest + bytes(32))
    assert not opened.is_bound_by(digest + b"\1" + bytes(31))
    assert not opened.is_bound_by(digest)


@given(st.binary(max_size=1400))
def test_any_bytes_are_opened_or_refused(rest: bytes) -> None:
    """Nothing but MalformedEvidence escapes."""
    try:
        open_envelope(b"HCLA" + rest)
    except MalformedEvidence:
        return
