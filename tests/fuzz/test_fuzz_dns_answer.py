"""The fuzz target of DNS answers holds on a small corpus and on what a fuzzer would try first."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given

from tests.fuzz.fuzz_dns_answer import QUERY, check
from tests.fuzz.mutations import mutations

NAME = "enclaves.example."


def _response(*records: tuple[str, str, str], rcode: int = 0) -> bytes:
    message = dns.message.make_response(QUERY)
    message.set_rcode(dns.rcode.Rcode(rcode))
    message.answer = [dns.rrset.from_text(name, 60, "IN", *data) for name, *data in records]
    return message.to_wire()


CORPUS = [
    b"",
    QUERY.to_wire(),
    _response(),
    _response(rcode=3),
    _response(rcode=2),
    _response((NAME, "A", "10.0.0.1"), (NAME, "A", "10.0.0.2")),
    _response((NAME, "AAAA", "2001:db8::1"), (NAME, "TXT", "text")),
    _response((NAME, "CNAME", "other.example."), ("other.example.", "A", "10.0.0.1")),
    _response((NAME, "CNAME", "other.example."), ("other.example.", "CNAME", NAME)),
    _response((NAME, "A", "10.0.0.1"))[:-2],
    _response()[:12] + b"\xc0\x0c" * 50,
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
