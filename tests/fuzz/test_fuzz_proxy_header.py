"""The fuzz target of the PROXY header holds on a small corpus and on what a fuzzer tries first."""

import pytest
from hypothesis import given

from l4proxy.proxy_protocol import ProxyHeader, encode_v2
from tests.fuzz.fuzz_proxy_header import check
from tests.fuzz.mutations import mutations
from tests.l4proxy.proxy_protocol import headers
from tests.l4proxy.proxy_protocol.headers import tlv, v2, wired
from tests.sni.hellos import Hello

HELLO = Hello().wire()
CORPUS = [
    b"",
    HELLO,
    headers.LINE_4 + HELLO,
    headers.LINE_6 + HELLO,
    b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.9 56324 443\r\n" + HELLO,
    b"PROXY UNKNOWN whatever\r\n" + HELLO,
    v2() + HELLO,
    v2(headers.BLOCK_6, headers.TCP6) + HELLO,
    v2(headers.BLOCK_UNIX + wired(headers.EXTRAS), headers.UNIX) + HELLO,
    v2(headers.BLOCK_4 + tlv(4, b"x") + wired(headers.EXTRAS)) + HELLO,
    v2(wired(headers.EXTRAS), headers.UNSPEC, headers.LOCAL) + HELLO,
    v2(length=65_535),
    encode_v2(ProxyHeader(headers.CLIENT, headers.SERVER, headers.EXTRAS), checksum=True) + HELLO,
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS, within=120))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
