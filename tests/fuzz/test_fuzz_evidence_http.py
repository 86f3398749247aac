"""The fuzz target of evidence endpoints holds on a small corpus and on what a fuzzer does to it."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_evidence_http import check
from tests.fuzz.mutations import mutations

CORPUS = [
    b"",
    b"\xff",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200\r\ncontent-length:5\r\nA: b\r\n\r\nhello",
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
