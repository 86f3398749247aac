"""Fuzz target: what a DNS server answers.

    python -m tests.fuzz.fuzz_dns_answer [CORPUS]        # needs Atheris

Whatever the bytes: they are an answer to our question, or an error that is named for what it is.
"""

from ipaddress import IPv4Address, IPv6Address

import dns.exception
import dns.message
import dns.rdatatype

from l4proxy.control.discovery.resolvers import LookupFailed, _parse, _read_wire
from tests.fuzz.targets import fuzz

QUERY = dns.message.make_query("enclaves.example", dns.rdatatype.A, use_edns=0, id=7)


def check(data: bytes) -> None:
    """Hold the promises of the module for one input, as a datagram and as a stream brings it."""
    _parse(data)
    try:
        answer = _read_wire(QUERY, data)
    except (LookupFailed, dns.exception.DNSException):
        return
    assert all(isinstance(found, IPv4Address | IPv6Address) for found in answer.addresses)
    assert answer.ttl is None or 0 <= answer.ttl < 1 << 32


if __name__ == "__main__":
    fuzz(check)
