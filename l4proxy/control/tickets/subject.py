"""A backend that is interviewed: how it is asked, how it stands, and when it is asked again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from l4proxy.control.prober import Watched
from l4proxy.control.tickets.interview import Interview
from l4proxy.control.tickets.layouts import KeyName, Reading
from l4proxy.control.tickets.visit import LASTING, Approach, TicketFault
from routing import BackendName, PoolName, TicketLayout
from sni import ServerName

EVERY_SECONDS = 1_800.0
"""From one interview of a backend to the next: half of the shortest rotation by default (JSSE and
wolfSSL, an hour), so that no key is used for long before its name is known."""

RETRY_SECONDS = 60.0
"""After an interview that failed for a cause which may pass; at most the usual time."""

LASTING_SECONDS = 6 * 3_600.0
"""After two that failed for how the backend was set up: that changes with a new version of it."""


@dataclass(frozen=True, slots=True)
class TicketRules:
    """How the backends of one pool are interviewed.

    Attributes:
        server_name: Said in the hello; None: none is.
        every: Seconds from one interview of a backend to the next.
        timeout: Seconds for each connection.
        preambles: Backends that are sent something first, such as a PROXY header.
        request: Sent after each handshake, for servers that send tickets only with an answer.

    Raises:
        ValueError: A time is not above 0.

    """

    server_name: ServerName | None = None
    every: float = EVERY_SECONDS
    timeout: float = 3.0
    preambles: Mapping[BackendName, bytes] = field(default_factory=dict)
    request: bytes = b""

    def __post_init__(self) -> None:
        if self.every <= 0 or self.timeout <= 0:
            raise ValueError(
                f"every {self.every:g} s, timeout {self.timeout:g} s: expected above 0"
            )

    def approach(self, backend: Watched) -> Approach:
        """Return how one backend is visited."""
        preamble = self.preambles.get(backend.name, b"")
        return Approach(backend.address, self.server_name, preamble, self.request, self.timeout)


@dataclass(frozen=True, slots=True)
class TicketStanding:
    """How it stands with the tickets of a backend; for status and metrics.

    Attributes:
        fault: Why its names are not known; None: they are, or it was not asked yet.
        asked_at: When the last interview ended, in seconds of the loop's clock; None: none has.
        version: Of TLS, as the last interview had it.
        resumed: Whether it took up its own session; None: that was not tried.

    """

    fault: TicketFault | None = None
    asked_at: float | None = None
    version: str = ""
    resumed: bool | None = None


@dataclass(slots=True, eq=False)
class Subject:
    """A backend that is interviewed, and what is known of it.

    Attributes:
        pool: Its pool.
        name: Unique within its pool.
        approach: How it is visited.
        every: Seconds from one interview to the next.
        standing: What the last interview came to.
        layouts: Where it writes names, as the last interview has proven.
        disproved: Names that it shows and of which it was just proven not to hold the key.
        wake: Set when it is to be asked before its time.

    """

    pool: PoolName
    name: BackendName
    approach: Approach
    every: float
    standing: TicketStanding = field(default_factory=TicketStanding)
    layouts: frozenset[TicketLayout] = frozenset()
    disproved: frozenset[KeyName] = frozenset()
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _times: int = 0  # that the fault was found in a row

    def is_asked_like(self, other: "Subject") -> bool:
        """Return whether it is asked in the same manner as another one."""
        return (self.approach, self.every) == (other.approach, other.every)

    def take(self, came: Interview, reading: Reading, now: float) -> None:
        """Take what an interview has shown; a failed one leaves what was proven before."""
        fault = None if reading.names else came.fault or TicketFault.NAMELESS
        self._times = 1 + (self._times if fault is self.standing.fault else 0)
        self.standing = TicketStanding(fault, now, came.version, came.resumed)
        if fault is None or fault in LASTING:
            self.layouts = reading.layouts

    def forgive(self) -> None:
        """Have it asked at once if nothing is known of it, and as if for the first time."""
        if self.standing.fault is not None:
            self._times = 0
            self.wake.set()

    def pause(self) -> float:
        """Return the seconds to its next interview."""
        if self.standing.fault is None:
            return self.every
        if self.standing.fault in LASTING and self._times > 1:
            return max(LASTING_SECONDS, self.every)
        return min(RETRY_SECONDS, self.every)

    def kept(self, lifetime: float | None) -> float | None:
        """Return for how long a name that it shows now may be on tickets.

        They may be given until the next interview at least, and last as long as the server says.
        """
        return None if lifetime is None else lifetime + 2 * self.every
