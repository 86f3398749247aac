"""What goes from clients to the application, counted as it passes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

# A client of HTTP/1 that is not pipelining begins each request with a record of TLS of its own.
_REQUEST = re.compile(rb"[A-Z]{3,16} [^ \r\n]{1,8192} HTTP/1\.[01]\r\n")


class Traffic:
    """Open connections, and requests since the start; it has no lock, for one loop counts."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sessions = 0
        self.requests = 0

    @contextmanager
    def session(self) -> Iterator[None]:
        """Count a connection while the block runs."""
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1

    def heard(self, data: bytes) -> None:
        """Count what a client has sent, if a request over HTTP/1 begins with it."""
        if _REQUEST.match(data):
            self.requests += 1
