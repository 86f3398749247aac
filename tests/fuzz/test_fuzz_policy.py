"""The fuzz target of policies holds on a small corpus and on what a fuzzer tries first."""

import pytest
from hypothesis import given

from tests.fuzz.fuzz_policy import check
from tests.fuzz.mutations import mutations

DIGITS = "ab" * 48
CORPUS = [
    b"",
    b"accept: []",
    f'accept:\n  - nitro: {{pcrs: {{0: "{DIGITS}"}}}}\n'.encode(),
    f'accept: [{{sev-snp: {{measurement: "{DIGITS}", minimum_tcb: {{snp: 8}}}}}}]'.encode(),
    f'accept: [{{tdx: {{mr_td: "{DIGITS}", rtmr: {{1: "{DIGITS}"}}}}}}]'.encode(),
    b"accept: [{simulated: {insecure_any_measurement: true}}]\nallow_simulated: true\n",
    b"accept: &a [*a]",
    b"accept: [{nitro: {pcrs: {0: 5}}}]\nfreshness: {max_age: 30m}\nbinding: spki",
    b"ownership: {ca: /dev/null, name: a.b}\nkey_origin: [imported]\nclaims: {a: ~}",
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
