"""Fuzz target: an agent's answer, from a peer that may be anybody, and a question to an agent.

    python -m tests.fuzz.fuzz_evidence_answer [CORPUS]        # needs Atheris

Whatever the bytes: nothing is raised but what is promised, and what was read is written the same.
"""

from contextlib import suppress

from attestation import MalformedEvidence
from l4proxy.evidence_wire import (
    MAX_ANSWER,
    NONCE_SIZES,
    BadQuestion,
    encode_answer,
    frame_size,
    parse_answer,
    parse_question,
)
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the module for one input."""
    with suppress(MalformedEvidence):
        answer = parse_answer(data)
        assert parse_answer(encode_answer(answer)) == answer
        assert len(answer.signed(bytes(32))) == len(bytes(32))
    with suppress(BadQuestion):
        question = parse_question(data.decode("latin-1"))
        assert question.nonce is None or len(question.nonce) in NONCE_SIZES
    with suppress(MalformedEvidence):
        assert frame_size(data) in range(1, MAX_ANSWER + 1)


if __name__ == "__main__":
    fuzz(check)
