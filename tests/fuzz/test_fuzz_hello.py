"""The fuzz target of the hello holds on a small corpus and on what a fuzzer would try first."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_hello import check
from tests.fuzz.mutations import mutations
from tests.sni import hellos
from tests.sni.hellos import Hello, record, records

CORPUS = [
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    Hello().wire(),
    Hello().message(),
    hellos.resuming().wire(),
    hellos.resuming().message(),
    records(hellos.resuming().message(), [1] * 400),
    hellos.resuming().wire() + record(b"0-RTT", 0x17),
    hellos.python_hello(),
    hellos.hello(hellos.server_name(b"a b")).wire(),
    hellos.hello((hellos.SIGNATURE_ALGORITHMS, b"\0")).wire(),
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
