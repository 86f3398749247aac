"""Tickets of separate full handshakes in, the names of the keys that sealed them out. Pure.

    stack                                   a ticket begins with
    OpenSSL, BoringSSL, GnuTLS, NSS,        16 bytes, the name
    older Go, rustls with a ticketer
    wolfSSL                                 16 bytes; the low bit of the last tells two keys apart
    s2n                                     01, then 16 bytes
    JSSE                                    4 bytes, a counter: the next key is one more
    Mbed TLS                                4 bytes
    newer Go, stateful servers              nothing that stays

What proves a layout is that a name comes back: 16 bytes in two tickets of separate handshakes, and
4 bytes in three, for two of many random tickets agree in 4 bytes once in a while (2^-32 a pair).
Once a layout is proven each ticket of that backend names a key, though it was seen only once: that
is how the names of many worker processes, and of a key that was just rotated, are known at once.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from routing import BackendName, BadTicketName, TicketLayout, TicketName

PLAIN = TicketLayout(0, 16)
"""What OpenSSL writes, and most others after RFC 5077 §4."""

VERSIONED = TicketLayout(1, 16)
"""What s2n writes, behind the version of its format."""

SHORT = TicketLayout(0, 4)
"""What JSSE and Mbed TLS write."""

MIN_HANDSHAKES = 2
"""Full handshakes of an interview at least: one ticket shows no name, for nothing comes back."""

MAX_HANDSHAKES = 64
"""Full handshakes of an interview at most: 16 workers take k ln k = 44 to be seen all."""

MAX_NAMELESS_HANDSHAKES = 24
"""Handshakes until tickets in which nothing came back count as nameless: even among 64 workers,
each with a name of its own, the chance that none was met twice is 1 in 140."""

QUIET_HANDSHAKES = 3
"""Handshakes in a row, for each name known so far, that show no new one before all count as known:
one more worker of equal share hides with a chance of 1 in 8 beside one, and 1 in 20 beside many."""

# How long JSSE uses a key before it counts on (`jdk.tls.server.statelessKeyTimeout`).
_JSSE_KEY_SECONDS = 3_600.0

# A ticket of a server that keeps its sessions is only an id: 32 bytes (OpenSSL, rustls, JSSE).
_ID_BYTES = 32

# wolfSSL: name 16, IV 16, length 2, the sealed state, MAC 32 (its `ExternalTicket`).
_WOLFSSL_LENGTH = slice(32, 34)
_WOLFSSL_FIXED_BYTES = 66

_START_BYTES = _WOLFSSL_LENGTH.stop  # no layout looks further


class Ticket(NamedTuple):
    """A ticket, as far as a name is read from it: a hostile one may have 64 KiB.

    Attributes:
        start: Its first bytes.
        length: How many it has.

    """

    start: bytes
    length: int

    @classmethod
    def of(cls, ticket: bytes) -> "Ticket":
        """Return what is kept of a ticket."""
        return cls(ticket[:_START_BYTES], len(ticket))


@dataclass(frozen=True, slots=True)
class KeyName:
    """The name of a key, whoever holds it.

    Raises:
        BadTicketName: The name has another length than its layout says.

    """

    layout: TicketLayout
    name: bytes

    def __post_init__(self) -> None:
        if len(self.name) != self.layout.length:
            raise BadTicketName(
                f"name of {len(self.name)} bytes, expected {self.layout.length} in this layout"
            )

    def of(self, owner: BackendName) -> TicketName:
        """Return the name as routing knows it."""
        return TicketName(self.layout, self.name, owner)

    def begins(self, ticket: Ticket) -> bool:
        """Return whether a ticket has this name."""
        return ticket.start.startswith(self.layout.before + self.name)


class Reading(NamedTuple):
    """What tickets have shown.

    Attributes:
        layouts: Where this backend writes its names; none proven: none.
        names: In the order in which they were seen, each once.

    """

    layouts: frozenset[TicketLayout]
    names: tuple[KeyName, ...]


def read_names(tickets: Sequence[Ticket], known: frozenset[TicketLayout] = frozenset()) -> Reading:
    """Read the names off the tickets of one backend, each from a full handshake of its own.

    Args:
        tickets: In the order in which they came.
        known: Layouts that earlier tickets of this backend have proven.

    """
    layouts = known | _proven(tickets)
    names = dict.fromkeys(name for ticket in tickets for name in _names(ticket, layouts))
    return Reading(layouts, tuple(names))


def wants_more(tickets: Sequence[Ticket]) -> bool:
    """Return whether another handshake may show something new.

    A backend has a name for each worker process that made its own key, and each handshake meets one
    of them by chance.
    """
    if len(tickets) < MIN_HANDSHAKES:
        return True
    if len(tickets) >= MAX_HANDSHAKES:
        return False
    layouts = _proven(tickets)
    if not layouts:
        ids = all(ticket.length <= _ID_BYTES for ticket in tickets)
        return not ids and len(tickets) < MAX_NAMELESS_HANDSHAKES
    first_seen = dict[KeyName | None, int]()
    for place, ticket in enumerate(tickets):
        first_seen.setdefault(next(_names(ticket, layouts), None), place)
    quiet = len(tickets) - 1 - max(first_seen.values())
    return quiet < QUIET_HANDSHAKES * len(first_seen)


def with_next(names: Collection[KeyName], seconds: float) -> tuple[KeyName, ...]:
    """Return the names and those that JSSE will count on to within so many seconds."""
    steps = range(1, 1 + -int(-seconds // _JSSE_KEY_SECONDS))
    following = (_later(name, step) for name in names if name.layout == SHORT for step in steps)
    return tuple(dict.fromkeys((*names, *following)))


def _later(name: KeyName, step: int) -> KeyName:
    value = int.from_bytes(name.name, "big") + step
    return KeyName(SHORT, (value % 2 ** (8 * SHORT.length)).to_bytes(SHORT.length, "big"))


def _proven(tickets: Sequence[Ticket]) -> frozenset[TicketLayout]:
    """Return the layouts whose names came back."""
    alike = defaultdict[bytes, list[bytes]](list)
    for ticket in tickets:
        if ticket.length >= PLAIN.end:
            alike[ticket.start[: PLAIN.end]].append(ticket.start)
    found = {VERSIONED if _versioned(group) else PLAIN for group in alike.values() if group[1:]}
    if found:
        return frozenset(found)
    short = Counter(ticket.start[: SHORT.end] for ticket in tickets if ticket.length >= SHORT.end)
    return frozenset({SHORT} if max(short.values(), default=0) > MIN_HANDSHAKES else ())


def _versioned(group: Sequence[bytes]) -> bool:
    """Return whether tickets that begin alike go on alike for as long as s2n's do.

    What others have behind a name is random, so that a name of theirs that happens to begin with
    s2n's version passes with a chance of 1 in 65,000 at most.
    """
    start = group[0][: VERSIONED.end]
    return start.startswith(VERSIONED.before) and all(each.startswith(start) for each in group)


def _names(ticket: Ticket, layouts: Collection[TicketLayout]) -> Iterator[KeyName]:
    """Yield the name of the key that sealed a ticket, and of its twin where it has one."""
    for layout in (VERSIONED, PLAIN, SHORT):
        fits = ticket.length >= layout.end and ticket.start.startswith(layout.before)
        if layout in layouts and fits:
            name = ticket.start[layout.offset : layout.end]
            yield KeyName(layout, name)
            if layout == PLAIN and _is_wolfssl(ticket):
                yield KeyName(layout, name[:-1] + bytes([name[-1] ^ 1]))
            return


def _is_wolfssl(ticket: Ticket) -> bool:
    """Return whether a ticket has wolfSSL's form; NSS has it too, for whom a twin does no harm."""
    sealed = int.from_bytes(ticket.start[_WOLFSSL_LENGTH], "big")
    return ticket.length > _WOLFSSL_FIXED_BYTES and sealed == ticket.length - _WOLFSSL_FIXED_BYTES
