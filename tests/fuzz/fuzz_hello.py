"""Fuzz target: the first bytes of a connection.

    python -m tests.fuzz.fuzz_hello [CORPUS]        # needs Atheris

Whatever the bytes: they are read whole and byte by byte with the same answer, and no exception but
the documented ones leaves the parsers.
"""

from sni import HelloPeeker, HelloReceived, HelloRejected, MalformedHello, ja4, offered_tickets
from sni.client_hello import parse_client_hello
from sni.errors import AmbiguousHello, BadServerName, UnexpectedMessage
from sni.server_name import ServerName
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    whole, single = HelloPeeker(), HelloPeeker()
    whole.receive_data(data)
    for at in range(len(data)):
        single.receive_data(data[at : at + 1])
    first, second = whole.next_event(), single.next_event()
    if isinstance(first, HelloRejected) and isinstance(second, HelloRejected):
        assert first.error.reason is second.error.reason
    else:
        assert first == second
    if isinstance(first, HelloReceived):
        assert whole.received == single.received == data
        assert all(offered_tickets(first.hello))
        name = first.hello.server_name
        assert name is None or ServerName.parse(name) == name
        _fingerprint(data[5:])
    _fingerprint(data)


def _fingerprint(message: bytes) -> None:
    try:
        ja4(parse_client_hello(message))
    except (AmbiguousHello, BadServerName, MalformedHello, UnexpectedMessage):
        return


if __name__ == "__main__":
    fuzz(check)
