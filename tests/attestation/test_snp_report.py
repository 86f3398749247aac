"""The report of SEV-SNP: each field where AMD puts it, nothing read that is not there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.snp_report import (
    REPORT_BYTES,
    SigningKey,
    parse_report,
    product_of_cpuid,
    tcb_parts,
)
from tests.attestation.snp_builder import CHIP, MEASUREMENT, TCB, Recipe, tcb_word


def test_every_field_is_read_where_it_stands() -> None:
    """Fields that are laid at AMD's offsets are found again."""
    patches = {
        0x30: b"\x02\x00\x00\x00",
        0xC0: b"h" * 32,
        0xE0: b"i" * 48,
        0x110: b"a" * 48,
        0x38: b"current!",
        0x180: b"reported",
        0x1E0: b"committs",
    }
    report = parse_report(Recipe(patches=patches).report())
    assert (report.version, report.policy, report.vmpl) == (3, 0x3001F, 2)
    assert (report.signature_algorithm, report.signing_key) == (1, SigningKey.VCEK)
    assert (report.current_tcb, report.reported_tcb) == (b"current!", b"reported")
    assert report.committed_tcb == b"committs"
    assert (report.report_data, report.measurement) == (b"\xda" * 64, MEASUREMENT)
    assert (report.host_data, report.chip_id) == (b"h" * 32, CHIP)
    assert (report.id_key_digest, report.author_key_digest) == (b"i" * 48, b"a" * 48)
    assert (report.cpuid, len(report.signed), set(report.unused)) == ((0x19, 1), 0x2A0, {0})


def test_a_report_of_version_2_names_no_processor() -> None:
    """The CPUID bytes exist from version 3 on; before, what stands there is reserved."""
    recipe = Recipe(version=2, patches={0x188: b"\x19\x01"})
    assert parse_report(recipe.report()).cpuid is None


@pytest.mark.parametrize(("byte", "debug", "migratable"), [(3, 0, 0), (0xB, 1, 0), (7, 0, 1)])
def test_the_guests_policy_is_told(byte: int, debug: bool, migratable: bool) -> None:
    """Bits 19 and 18 of the policy: DEBUG and MIGRATE_MA."""
    report = parse_report(Recipe(patches={0x0A: bytes([byte])}).report())
    assert (report.debug, report.migratable) == (debug, migratable)


@pytest.mark.parametrize("version", [0, 1, 6, 1 << 31])
def test_a_version_that_is_not_known_is_refused(version: int) -> None:
    """What a later version means nobody can say."""
    recipe = Recipe(patches={0: version.to_bytes(4, "little")})
    with pytest.raises(MalformedEvidence, match=f"report version {version}, expected 2 to 5"):
        parse_report(recipe.report())


def test_only_a_whole_report_is_read() -> None:
    """Every prefix is refused, and so is a byte more."""
    report = Recipe().report()
    for document in (*(report[:end] for end in range(REPORT_BYTES)), report + b"\0"):
        with pytest.raises(MalformedEvidence, match="bytes, expected 1184"):
            parse_report(document)


@given(st.binary(min_size=REPORT_BYTES - 4, max_size=REPORT_BYTES - 4))
def test_any_bytes_of_its_size_are_a_report(rest: bytes) -> None:
    """Reading judges nothing but the version: what is wrong is found by the checks."""
    report = parse_report(b"\x05\0\0\0" + rest)
    assert report.signed == (b"\x05\0\0\0" + rest)[:0x2A0]
    assert 0 <= report.signing_key < 8


@pytest.mark.parametrize("product", ["Milan", "Genoa", "Turin"])
def test_a_tcb_word_is_read_as_its_product_lays_it_out(product: str) -> None:
    """Turin has the version of its FMC in front, and its others elsewhere."""
    tcb = TCB if product != "Turin" else {"fmc": 9, **TCB}
    assert tcb_parts(tcb_word(product, tcb), product) == tcb


def test_the_layout_of_another_product_is_not_guessed() -> None:
    """Venice may lay out its word anew."""
    with pytest.raises(MalformedEvidence, match="product 'Venice', expected one of Milan"):
        tcb_parts(bytes(8), "Venice")


@pytest.mark.parametrize(
    ("family", "model", "product"),
    [
        (0x19, 0x01, "Milan"),
        (0x19, 0x11, "Genoa"),
        (0x19, 0xA0, "Genoa"),
        (0x1A, 0x02, "Turin"),
        (0x1A, 0x11, "Turin"),
        (0x1A, 0x50, ""),
        (0x17, 0x31, ""),
    ],
)
def test_a_cpuid_names_a_product(family: int, model: int, product: str) -> None:
    """Family 0x19 is Milan or Genoa, with Bergamo and Siena; 0x1A is Turin."""
    assert product_of_cpuid(family, model) == product


def test_numbers_of_the_signature_are_little_endian() -> None:
    """R and S stand with their lowest byte first, in 72 bytes each."""
    scars = {0x2A0: b"\x02\x01" + bytes(70), 0x2E8: b"\x03" + bytes(71)}
    report = parse_report(replace(Recipe(), scars=scars).report())
    assert (report.r, report.s) == (0x102, 3)
