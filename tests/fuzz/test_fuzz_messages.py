"""The fuzz target of the channel holds on a small corpus and on what a fuzzer would try first."""

import cbor2
import pytest
from hypothesis import given

from l4proxy.messages import encode
from tests.fuzz.fuzz_messages import check
from tests.fuzz.mutations import mutations
from tests.l4proxy.test_messages import EXAMPLES

CORPUS = [
    b"",
    b"\x81" * 5_000,
    b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd8\x1c\x81\xd8\x1d\x00",
    cbor2.dumps(["ready", 1 << 64]),
    cbor2.dumps(["log", 1]),
    cbor2.dumps(["report", [["accepted", "", -1]]]),
    cbor2.dumps({"ready": 1}),
    *map(encode, EXAMPLES),
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
