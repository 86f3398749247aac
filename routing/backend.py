"""The nouns: an enclave at an address, and what it may carry. All frozen, all plain values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from routing.errors import BadBackend

PoolName = NewType("PoolName", str)
BackendName = NewType("BackendName", str)

BackendIndex = NewType("BackendIndex", int)
"""The cell of a backend in the table of open sessions (`routing.LoadView`)."""


class Balance(StrEnum):
    """How a pool selects for a client that no backend owns yet."""

    AFFINITY = "affinity"
    """The same network comes back to the same backend, none of which runs over its bound."""

    LEAST_SESSIONS = "least_sessions"
    """The fewest sessions for its weight."""

    RANDOM_TWO = "random_two"
    """Of two drawn by weight, the one with fewer sessions for its weight."""

    ROUND_ROBIN = "round_robin"
    """Each in turn, as often as its weight says."""

    LOAD = "load"
    """Of two drawn by weight, the one whose telemetry claims less load."""


class Hashing(StrEnum):
    """How a network, or another key, is hashed to a backend."""

    RENDEZVOUS = "rendezvous"
    """Each key ranks the backends: a change moves the keys of the backend that changed alone."""

    MAGLEV = "maglev"
    """All keys share one table: the shares are even, and a change moves a few keys of others."""


VSOCK = "vsock:"
"""What stands before the context id of a vsock address."""

MAX_SERVER_ID = 2**32 - 1
"""The largest server id: a routable name has four bytes for it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is dialled: an IP literal and a port, a unix socket, or vsock.

    Attributes:
        host: An IPv4 or IPv6 literal, without brackets; an absolute path; or `vsock:` and the
            context id of a machine (vsock(7)).
        port: 1 to 65535; 0 with a path; with vsock 1 to 2**32 - 2.

    """

    host: str
    port: int

    @property
    def is_path(self) -> bool:
        """Whether it is a unix socket."""
        return self.host.startswith("/")

    @property
    def is_vsock(self) -> bool:
        """Whether it is a socket of another virtual machine on this host, or of the host."""
        return self.host.startswith(VSOCK)

    @property
    def is_ip(self) -> bool:
        """Whether it is an IP address."""
        return not self.is_path and not self.is_vsock

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an IPv6 address."""
        return self.is_ip and ":" in self.host

    @property
    def cid(self) -> int:
        """Whose vsock it is: the context id.

        Raises:
            ValueError: It is no vsock.

        """
        return int(self.host.removeprefix(VSOCK))

    def __str__(self) -> str:
        if self.is_path:
            return f"unix:{self.host}"
        host = f"[{self.host}]" if self.is_ipv6 else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What each backend of a pool may carry at once. None is no bound.

    Attributes:
        sessions: Sessions at which a backend gets no new one.
        connections: Connections at which a backend gets none at all.

    """

    sessions: int | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One enclave instance, as the control plane last saw it.

    Attributes:
        name: Unique within its pool; also what an instance name in a server name says.
        index: Its cell in the load view.
        address: Where it is dialled.
        weight: Its share of new sessions beside the others', at least 1.
        healthy: It answers.
        trusted: It has proved what it runs, or its pool asks for no proof.
        active: It takes part; False for an enclave on standby.
        draining: It keeps its sessions and gets no new ones.
        drain_deadline: When a drain lets go of its sessions too, in seconds of `State.now`;
            None while it waits for them without end.
        server_id: What its routable names say, 0 to 2**32 - 1, unique within its pool; None: it
            has none.
        refuted: What it was trusted for has been found untrue: what runs is to be closed as well.
        load: The share of what it can do that its telemetry claims it does, 0 to 1; None: nothing
            is known, or not any more.
        returned_at: When it last came back, in seconds of `State.now`, from which its slow start
            counts; None: it is at its full weight.

    Raises:
        BadBackend: The weight is below 1, or the server id does not fit its four bytes.

    """

    name: BackendName
    index: BackendIndex
    address: Address
    weight: int = 1
    healthy: bool = True
    trusted: bool = True
    active: bool = True
    draining: bool = False
    drain_deadline: float | None = None
    server_id: int | None = None
    returned_at: float | None = None
    refuted: bool = False
    load: float | None = None

    def __post_init__(self) -> None:
        if self.weight < 1:
            raise BadBackend(f"backend {self.name!r}: weight {self.weight}, expected at least 1")
        if self.server_id is not None and not 0 <= self.server_id <= MAX_SERVER_ID:
            raise BadBackend(
                f"backend {self.name!r}: server id {self.server_id}, expected 0 to {MAX_SERVER_ID}"
            )
