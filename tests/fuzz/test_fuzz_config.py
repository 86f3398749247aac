"""The fuzz target of the configuration holds on a small corpus and on what a fuzzer tries first."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.fuzz.fuzz_config import check
from tests.fuzz.mutations import mutations
from tests.l4proxy.config.texts import LEAST, with_pool

EXAMPLE = (Path(__file__).parents[2] / "config.example.yaml").read_bytes()
CORPUS = [
    b"",
    b"\xff\xfe",
    b"[" * 5_000,
    b"&a [*a, *a]",
    b"!!python/object:os.system x",
    b"? {a: b}\n: c",
    b"limits: {connections: " + b"9" * 5_000 + b"}",
    LEAST.encode(),
    with_pool("capacity: {connections_per_backend: 10}\ndrain: {timeout: 1h}").encode(),
    with_pool("health: {type: http, path: /, every: 5s}\nsource: [10.0.0.2]").encode(),
    LEAST.encode() + b"refusal: close\nlimits: {hello_timeout: 5s, buffers: 1MiB}\nworkers: 1\n",
]


@pytest.mark.parametrize("data", [*CORPUS, EXAMPLE])
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@settings(max_examples=15, deadline=None)
@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
