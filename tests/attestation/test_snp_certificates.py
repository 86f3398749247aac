"""The certificates that come with a report: found in any form, chosen by what they say."""

import base64
import tracemalloc
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.snp_certificates import (
    certified_tcb,
    chain_of,
    csp_id,
    is_of_chip,
    load_certificates,
    product_of,
)
from attestation.snp_report import parse_report
from attestation.x509 import Certificate, load_certificate
from tests.attestation.snp_builder import CHIP, TCB, Recipe, ark, ask_template, statements

GOOD = Recipe()
REPORT = parse_report(GOOD.report())
VCEK, ASK, ARK = GOOD.certificates().values()
CHAIN = tuple(map(load_certificate, (ARK, ASK, VCEK)))
GUIDS = (
    "63da758d-e664-4564-adc5-f4b93be8accd",
    "4ab7b379-bbac-4fe4-a02f-05aef327c782",
    "c0b406a4-a803-4952-9743-3fb6014cd0ae",
    "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",
)


def _pem(*certificates: bytes) -> bytes:
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n"
        + base64.encodebytes(certificate)
        + b"-----END CERTIFICATE-----\n"
        for certificate in certificates
    )


def _table(*values: bytes) -> bytes:
    """A table as Linux hands it to a guest; the fourth entry is a revocation list."""
    at = 24 * (len(values) + 1)
    entries, body = b"", b""
    for guid, value in zip(GUIDS, values, strict=False):
        start = (at + len(body)).to_bytes(4, "little")
        entries += UUID(guid).bytes_le + start + len(value).to_bytes(4, "little")
        body += value
    return entries + bytes(24) + body


def _leaf(chip: bytes = CHIP, *, csp: str = "") -> Certificate:
    template = replace(GOOD.leaf_template(), extensions=statements(TCB, chip, csp))
    return load_certificate(template.make())


@pytest.mark.parametrize(
    "endorsements",
    [
        {"vcek": VCEK, "ask": ASK, "ark": ARK},
        {"z": ARK, "y": VCEK, "x": ASK},
        {"vcek": _pem(VCEK), "cert_chain": _pem(ASK, ARK)},
        {"auxblob": _table(VCEK, ASK, ARK, b"a list")},
        {"vcek": VCEK, "ask": ASK, "ark": ARK, "crl": b"no certificate"},
    ],
    ids=["DER", "any order", "PEM", "table", "with a list"],
)
def test_a_chain_is_found_in_any_form(endorsements: dict[str, bytes]) -> None:
    """DER, the PEM of AMD's service, or the table that a guest gets from its host."""
    assert chain_of(REPORT, load_certificates(endorsements)) == CHAIN


def test_the_key_of_the_chip_is_chosen() -> None:
    """Where several VCEKs came, the one of the report's chip is asked; else the first."""
    other = _leaf(bytes(reversed(CHIP)))
    assert chain_of(REPORT, (other, *CHAIN))[-1] == CHAIN[-1]
    assert chain_of(REPORT, (other, *CHAIN[:2]))[-1] == other


def test_what_comes_is_bounded() -> None:
    """Neither size nor number grows with what a peer sends."""
    with pytest.raises(MalformedEvidence, match="of 32769 bytes, expected at most 32768"):
        load_certificates({"crl": bytes(32_769)})
    with pytest.raises(MalformedEvidence, match="9 certificates, expected at most 8"):
        load_certificates({str(i): ARK for i in range(9)})
    # A table that names all of itself, again and again, is not copied as often.
    size = 32 * 1024
    guid = UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes_le
    entry = guid + bytes(4) + size.to_bytes(4, "little")
    table = (entry * (size // len(entry))).ljust(size, b"\0")
    tracemalloc.start()
    with pytest.raises(MalformedEvidence, match="9 certificates, expected at most 8"):
        load_certificates({"auxblob": table})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 * size


@pytest.mark.parametrize("end", [1, 23, 24, 30, 96])
def test_a_table_that_is_cut_short_is_refused(end: int) -> None:
    """Its entries must end with one of zeros, and point into it."""
    with pytest.raises(MalformedEvidence, match="certificate table"):
        load_certificates({"auxblob": _table(VCEK, ASK, ARK)[:end]})


@given(st.binary(max_size=200))
def test_any_table_is_read_or_refused(table: bytes) -> None:
    """Nothing but MalformedEvidence escapes."""
    try:
        load_certificates({"auxblob": table})
    except MalformedEvidence:
        return


def test_the_cas_name_the_product() -> None:
    """Root and CA must name the same one, and a VLEK has a CA of its own."""
    assert product_of(CHAIN) == "Milan"
    vlek = Recipe(kind="VLEK")
    asvk = load_certificate(ask_template(kind="VLEK").make())
    leaf = load_certificate(vlek.leaf_template().make())
    assert product_of((CHAIN[0], asvk, leaf)) == "Milan"
    assert not product_of((CHAIN[0], CHAIN[1], leaf))
    assert not product_of((load_certificate(ark("Genoa")), *CHAIN[1:]))


def test_a_key_states_its_version() -> None:
    """Each part is a number of its own extension; one that is missing is no zero."""
    assert certified_tcb(CHAIN[-1], tuple(TCB)) == TCB
    with pytest.raises(MalformedEvidence, match="states no version of fmc"):
        certified_tcb(CHAIN[-1], ("fmc",))


@pytest.mark.parametrize(
    ("stated", "chip", "expected"),
    [
        (CHIP, CHIP, True),
        (b"\x04\x40" + CHIP, CHIP, True),
        (CHIP[:8], CHIP[:8] + bytes(56), True),
        (b"\x04\x08" + CHIP[:8], CHIP[:8] + bytes(56), True),
        (b"\x04\x3e" + CHIP[2:], b"\x04\x3e" + CHIP[2:], True),
        (CHIP[:8], CHIP, False),
        (CHIP[:-1] + b"\0", CHIP, False),
        (CHIP[:32], CHIP[:32] + bytes(32), False),
        (b"", bytes(64), False),
    ],
)
def test_a_key_is_that_of_its_chip(stated: bytes, chip: bytes, expected: bool) -> None:
    """All of the chip's id, raw or in an OCTET STRING; Turin's has 8 bytes and zeros behind."""
    assert is_of_chip(_leaf(stated), chip) is expected


def test_a_key_without_a_chip_is_of_none() -> None:
    """A VLEK names no chip."""
    assert not is_of_chip(load_certificate(Recipe(kind="VLEK").leaf_template().make()), bytes(64))


def test_a_vlek_names_its_cloud() -> None:
    """The text of its extension; nothing where it has none."""
    assert csp_id(_leaf(csp="CN=cloud.example")) == "CN=cloud.example"
    assert not csp_id(_leaf())
