"""The fuzz target of answers and questions holds on a small corpus and on its mutations."""

from types import MappingProxyType

import pytest
from hypothesis import given

from attestation import Evidence
from l4proxy.evidence_wire import Answer, Question, encode_answer, frame
from l4proxy.merkle import Step
from tests.fuzz.fuzz_evidence_answer import check
from tests.fuzz.mutations import mutations

EVIDENCE = Evidence("nitro", b"document", MappingProxyType({"a": b"b"}), b"c", b"d", b"{}")
STEP = Step(left=True, other=bytes(32))
CORPUS = {
    "nothing": b"",
    "answer": encode_answer(Answer(EVIDENCE)),
    "answer with a way": encode_answer(Answer(EVIDENCE, (STEP, STEP))),
    "frame": frame(b"answer"),
    "nonce": Question(b"n" * 16).target.partition("?")[2].encode(),
    "exporter": Question(None).target.partition("?")[2].encode(),
}


@pytest.mark.parametrize("data", CORPUS.values(), ids=CORPUS.keys())
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations([*CORPUS.values()]))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
