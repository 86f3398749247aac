"""The quote of TDX: each field where Intel puts it, and lengths that add up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.tdx_quote import QUOTE_BYTES, parse_quote
from tests.attestation.tdx_builder import MR_TD, Quote

GOOD = Quote()
FIELDS = {
    "mr_seam": (0x10, 48),
    "mr_signer_seam": (0x40, 48),
    "seam_attributes": (0x70, 8),
    "xfam": (0x80, 8),
    "mr_config_id": (0xB8, 48),
    "mr_owner": (0xE8, 48),
    "mr_owner_config": (0x118, 48),
    "rtmr0": (0x148, 48),
    "rtmr1": (0x178, 48),
    "rtmr2": (0x1A8, 48),
    "rtmr3": (0x1D8, 48),
}


def test_every_field_is_read_where_it_stands() -> None:
    """Fields that are laid at Intel's offsets are found again."""
    values = {name: bytes([at & 0xFF]) * size for name, (at, size) in FIELDS.items()}
    patches = {FIELDS[name][0]: value for name, value in values.items()}
    quote = parse_quote(Quote(patches=patches).make())
    assert {name: quote.fields[name] for name in FIELDS} == values
    assert (quote.version, quote.fields["mr_td"]) == (4, MR_TD)
    assert quote.fields["report_data"] == b"\xda" * 64
    assert "mr_service_td" not in quote.fields


@pytest.mark.parametrize(("body_type", "size"), [(2, 584), (3, 648)])
def test_a_quote_of_version_5_names_its_body(body_type: int, size: int) -> None:
    """TDX 1.0 or 1.5; the name and size are signed with it."""
    quote = parse_quote(Quote(version=5, body_type=body_type).make())
    assert len(quote.signed) == 48 + 6 + size
    assert ("mr_service_td" in quote.fields) is (body_type == 3)


def test_the_parts_of_the_signature_data_are_told_apart() -> None:
    """Signature, key, QE report, its signature, its data and its certificates."""
    quote = parse_quote(GOOD.make())
    assert (len(quote.signature), len(quote.attestation_key)) == (64, 64)
    assert (len(quote.qe_report.encoded), len(quote.qe_signature)) == (384, 64)
    assert quote.qe_authentication == bytes(range(32))
    assert quote.certificates.startswith(b"-----BEGIN")
    assert (quote.qe_report.product_id, quote.qe_report.debug) == (2, False)
    assert parse_quote(replace(GOOD, qe={"flags": 2}).make()).qe_report.debug


def test_zeros_behind_a_quote_are_left_out() -> None:
    """The quote is the same with them, and anything else is refused."""
    good = GOOD.make()
    assert parse_quote(good + bytes(99)).encoded == good
    with pytest.raises(MalformedEvidence, match="3 bytes follow the quote's end"):
        parse_quote(good + b"\0\0\1")


def test_every_prefix_of_a_quote_is_refused() -> None:
    """One that is cut short is never another one."""
    good = Quote(version=5).make()
    for end in range(len(good)):
        with pytest.raises(MalformedEvidence):
            parse_quote(good[:end])


def test_size_is_checked_before_anything_else() -> None:
    """Over the limit nothing is read."""
    with pytest.raises(MalformedEvidence, match="expected at most 16384"):
        parse_quote(bytes(QUOTE_BYTES + 1))


@pytest.mark.parametrize(
    "at", [632, 636 + 64 + 64 + 2, 770 + 384 + 64, 770 + 384 + 64 + 2 + 32 + 2]
)
@pytest.mark.parametrize("change", [1, 0xFF])
def test_a_length_that_does_not_add_up_is_refused(at: int, change: int) -> None:
    """Each of the four lengths inside."""
    spoilt = bytearray(GOOD.make())
    spoilt[at] ^= change
    with pytest.raises(MalformedEvidence):
        parse_quote(bytes(spoilt))


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(rest: bytes) -> None:
    """Nothing but MalformedEvidence escapes, also behind a good header."""
    for document in (rest, GOOD.make()[:48] + rest, GOOD.make()[:632] + rest):
        try:
            parse_quote(document)
        except MalformedEvidence:
            continue
