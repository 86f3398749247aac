"""The fuzz target of metrics pages holds on a small corpus and on what a fuzzer does to it."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_metrics_page import check
from tests.fuzz.mutations import mutations

CORPUS = [
    b"",
    b"\xff",
    b"cpu 0.5\n",
    b'# TYPE requests counter\nrequests_total{a="b",c="d"} 12 # {trace="x"} 1\n# EOF\n',
    b'requests_total{a="b"} 1e3 1700000000\nrequests_total{a="c"} NaN\n',
    b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ncpu 0.5\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ncpu \r\n4\r\n0.5\n\r\n0\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
