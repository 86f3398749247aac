"""The fuzz target of Nitro holds on a small corpus and on what a fuzzer tries first."""

import cbor2
import pytest
from hypothesis import given

from tests.attestation.nitro_documents import GOOD, H, indefinite
from tests.fuzz.fuzz_nitro import check
from tests.fuzz.mutations import mutations

PEM = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
CORPUS = {
    "nothing": b"",
    "document": GOOD,
    "tagged document": b"\xd2" + GOOD,
    "payload": cbor2.dumps(H.fields()),
    "indefinite payload": indefinite(H.fields()),
    "root": H.chain[0].der,
    "leaf": H.chain[-1].der,
    "PEM": PEM * 2,
}


@pytest.mark.parametrize("data", CORPUS.values(), ids=CORPUS.keys())
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations([*CORPUS.values()]))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
