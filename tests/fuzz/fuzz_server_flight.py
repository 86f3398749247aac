"""Fuzz target: the first bytes of a backend.

    python -m tests.fuzz.fuzz_server_flight [CORPUS]        # needs Atheris

Whatever the bytes: they are read whole and byte by byte with the same answer, nothing is raised,
and what is said of the server stands in its bytes.
"""

from sni import FlightRead, ServerFlight
from sni.server_flight import MAX_KEPT_BYTES
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    whole, single, pieces = ServerFlight(), ServerFlight(), ServerFlight()
    whole.receive_data(data)
    for at in range(len(data)):
        single.receive_data(memoryview(data)[at : at + 1])
    for at in range(0, len(data), 9):
        pieces.receive_data(bytearray(data[at : at + 9]))
    event = whole.next_event()
    assert event == single.next_event() == pieces.next_event()
    if isinstance(event, FlightRead):
        # Each may be cut into records, but none of their bytes comes from elsewhere.
        for kept in (event.session_id, event.ticket):
            assert kept is None or 0 < len(kept) < min(len(data), MAX_KEPT_BYTES)
            assert kept is None or set(kept) <= set(data)


if __name__ == "__main__":
    fuzz(check)
