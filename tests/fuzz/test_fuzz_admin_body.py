"""The fuzz target of the admin API holds on a small corpus and on what a fuzzer tries first."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_admin_body import check
from tests.fuzz.mutations import mutations

CORPUS = [
    b"",
    b"\xff",
    b"[" * 4_096,
    b'{"address": ' + b"9" * 4_000 + b"}",
    b'{"address": "10.0.0.3:8443", "weight": 1}',
    b'{"address": "[2001:db8::1]:443"}',
    b'{"address": "unix:/run/enclave.sock", "weight": 256}',
    b'{"address": "10.0.0.3:8443", "weight": NaN}',
    b'{"address": "10.0.0.3:8443", "weight": 1e999}',
    b'{"address": "10.0.0.3:8443", "\\ud800": 1}',
    b'{"address": "10.0.0.3:8443\\u0000"}',
    b'{"address": {"a": ["b"]}, "weight": []}',
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
