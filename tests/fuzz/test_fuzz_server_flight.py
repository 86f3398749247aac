"""The fuzz target of a backend's first bytes holds on a small corpus and on what comes first."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_server_flight import check
from tests.fuzz.mutations import mutations
from tests.sni import answers
from tests.sni.answers import ACCEPTED, CHANGE_CIPHER_SPEC, KEY_SHARE, TLS_1_3, server_hello
from tests.sni.hellos import record, records

RESUMED = server_hello(session_id=bytes(32)) + answers.new_session_ticket(b"ticket" * 10)
CORPUS = [
    b"",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    record(b"\x02\x28", 0x15),
    record(b"\x01\x70", 0x15) + record(server_hello(TLS_1_3)),
    record(server_hello(TLS_1_3, KEY_SHARE, ACCEPTED)) + CHANGE_CIPHER_SPEC + record(b"x", 0x17),
    record(server_hello(TLS_1_3, random=answers.RETRY))
    + CHANGE_CIPHER_SPEC
    + record(server_hello(TLS_1_3, ACCEPTED)),
    record(RESUMED) + CHANGE_CIPHER_SPEC,
    records(RESUMED, [1] * len(RESUMED)) + CHANGE_CIPHER_SPEC,
    record(answers.full_1_2(b"own")[:400] + answers.message(14)) + CHANGE_CIPHER_SPEC,
    record(server_hello(session_id=b"own") + answers.message(14)) + CHANGE_CIPHER_SPEC,
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
