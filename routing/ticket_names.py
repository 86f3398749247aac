"""Ticket names: whose session ticket is this?

Most TLS stacks begin each ticket with the name of the key that sealed it, and a client sends the
ticket back in the clear. Where the name stands, and how long it is, differs by stack: a layout.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from routing.backend import BackendName
from routing.errors import BadTicketName

# What Mbed TLS and JSSE write, the shortest name of any stack; a shorter one would match by chance.
MIN_NAME_BYTES = 4

# s2n writes this format version before the name; a name elsewhere than at the start needs it.
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class TicketLayout:
    """Where a TLS stack writes the name into its tickets.

    Attributes:
        offset: 0, or 1 behind the version byte of s2n.
        length: Bytes of the name, at least `MIN_NAME_BYTES`.

    Raises:
        BadTicketName: No stack writes names so.

    """

    offset: int
    length: int

    def __post_init__(self) -> None:
        if self.offset not in {0, len(_VERSION)} or self.length < MIN_NAME_BYTES:
            raise BadTicketName(
                f"ticket layout of {self.length} bytes at offset {self.offset}, expected at least "
                f"{MIN_NAME_BYTES} bytes at offset 0 or {len(_VERSION)}"
            )

    @property
    def before(self) -> bytes:
        """What a ticket of this layout begins with, before the name."""
        return _VERSION[: self.offset]

    @property
    def end(self) -> int:
        """Bytes of a ticket up to the end of the name."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class TicketName:
    """One name and the backend that opens tickets of this name.

    Raises:
        BadTicketName: The name has another length than its layout says.

    """

    layout: TicketLayout
    name: bytes
    owner: BackendName

    def __post_init__(self) -> None:
        if len(self.name) != self.layout.length:
            raise BadTicketName(
                f"ticket name of {len(self.name)} bytes for {self.owner!r}, "
                f"expected {self.layout.length}"
            )


class TicketNames:
    """All names that a pool knows, immutable.

    Backends that share a key share its name: then any of them opens the ticket. A name whose owner
    has left the pool stays as a tombstone: it is known, and leads nowhere.
    """

    __slots__ = ("_layouts", "_owners", "names")

    def __init__(self, names: Iterable[TicketName] = ()) -> None:
        """Index the names by what a ticket begins with."""
        self.names = frozenset(names)
        self._layouts = frozenset(name.layout for name in self.names)
        owners: dict[int, dict[bytes, frozenset[BackendName]]] = defaultdict(dict)
        for entry in self.names:
            known = owners[entry.layout.end]
            start = entry.layout.before + entry.name
            known[start] = known.get(start, frozenset()) | {entry.owner}
        # The longest first: the more bytes agree, the less it was chance.
        self._owners = tuple(sorted(owners.items(), reverse=True))

    def __bool__(self) -> bool:
        return bool(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TicketNames) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def owners(self, ticket: bytes) -> frozenset[BackendName] | None:
        """Return the backends that open a ticket; None when its name, if it has one, is unknown."""
        for end, known in self._owners:
            owners = known.get(ticket[:end])
            if owners is not None:
                return owners
        return None

    def could_name(self, ticket: bytes) -> bool:
        """Return whether a ticket has a place for a name in one of the layouts of this pool.

        An external key's label, or the ticket of a stack that writes no names, may be too short.
        """
        return any(
            len(ticket) >= layout.end and ticket.startswith(layout.before)
            for layout in self._layouts
        )
