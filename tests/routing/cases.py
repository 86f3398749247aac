"""Small parts to decide about: one line each in a test, everything unsaid as usual."""

from collections.abc import Iterable

from routing import (
    NO_MARK,
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    Client,
    ExternalPsks,
    Hashing,
    HostPattern,
    Mark,
    OpenConnections,
    Pool,
    PoolName,
    Pools,
    RoutableNames,
    Route,
    RouteTable,
    State,
    TicketLayout,
    TicketName,
    TicketNames,
)
from sni import ClientHello, PskIdentity, ServerName

APP = PoolName("app")
NOW = 1000.0
CLIENT = Client(bytes([192, 0, 2, 7]))
OPENSSL = TicketLayout(0, 16)
S2N = TicketLayout(1, 16)
JSSE = TicketLayout(0, 4)


class Seen:
    """What backends of `app` were seen to issue."""

    def __init__(self, owners: dict[bytes, str]) -> None:
        self._owners = owners

    def owner(self, pool: PoolName, token: bytes, _now: float, /) -> BackendName | None:
        """Whose token it is."""
        owner = self._owners.get(token) if pool == APP else None
        return None if owner is None else BackendName(owner)


class Keys:
    """Routing keys, played: a name is `R` fifteen times and the server id in the last byte."""

    def server_id(self, name: bytes, /) -> int | None:
        """What the name says."""
        assert len(name) == 16
        return name[15] if name[:15] == b"R" * 15 else None


def routable(server_id: int) -> bytes:
    """A routable name that `Keys` reads."""
    return b"R" * 15 + bytes([server_id])


def name(text: str) -> BackendName:
    """A backend's name."""
    return BackendName(text)


def hello(
    server_name: str | None = "app.example.com",
    alpn: tuple[bytes, ...] = (),
    psk: tuple[bytes, ...] = (),
    age: int = 1,
    ticket: bytes | None = None,
    session_id: bytes = b"",
) -> ClientHello:
    """A hello that asks for a name and offers what is given."""
    return ClientHello(
        session_id=session_id,
        server_name=None if server_name is None else ServerName.parse(server_name),
        alpn=alpn,
        ticket=ticket,
        psk_identities=tuple(PskIdentity(identity, age) for identity in psk),
    )


def backend(
    text: str,
    index: int = 0,
    *,
    weight: int = 1,
    healthy: bool = True,
    trusted: bool = True,
    active: bool = True,
    draining: bool = False,
    drain_deadline: float | None = None,
    server_id: int | None = None,
    returned_at: float | None = None,
    load: float | None = None,
) -> Backend:
    """A backend that may have all traffic, unless said otherwise."""
    return Backend(
        name=name(text),
        index=BackendIndex(index),
        address=Address("10.0.0.1", 8443),
        weight=weight,
        healthy=healthy,
        trusted=trusted,
        active=active,
        draining=draining,
        drain_deadline=drain_deadline,
        server_id=server_id,
        returned_at=returned_at,
        load=load,
    )


def backends(*weights: int) -> tuple[Backend, ...]:
    """Backends `b0`, `b1`, … of these weights, each with a cell of its own."""
    return tuple(backend(f"b{i}", i, weight=weight) for i, weight in enumerate(weights))


def pool(
    members: Iterable[Backend],
    *,
    balance: Balance = Balance.AFFINITY,
    capacity: Capacity | None = None,
    hashing: Hashing = Hashing.RENDEZVOUS,
    names: Iterable[TicketName] = (),
    routable: RoutableNames | None = None,
    psks: ExternalPsks | None = None,
    slow_start: float = 0.0,
    mark: Mark = NO_MARK,
    park: float = 0.0,
) -> Pool:
    """The pool `app` of these backends."""
    return Pool(
        APP,
        tuple(members),
        balance,
        capacity or Capacity(),
        TicketNames(names),
        hashing=hashing,
        routable=routable,
        external_psks=psks or ExternalPsks(),
        slow_start=slow_start,
        mark=mark,
        park=park,
    )


def pools(*members: Pool, routes: Iterable[Route] = ()) -> Pools:
    """The pools, `app.example.com` and the instances below it leading to `app`."""
    usual = (
        Route(HostPattern.parse("app.example.com"), APP),
        Route(HostPattern.parse("*.app.example.com"), APP, instance_name=True),
    )
    return Pools(RouteTable((*usual, *routes)), {member.name: member for member in members})


def owned(owner: str, ticket_name: bytes, layout: TicketLayout = OPENSSL) -> TicketName:
    """A ticket name and its owner."""
    return TicketName(layout, ticket_name, name(owner))


def busy(**sessions: int) -> OpenConnections:
    """A load view: `b0=3` opens three connections to the backend in cell 0."""
    load = OpenConnections()
    for cell, count in sessions.items():
        for _ in range(count):
            load.opened(BackendIndex(int(cell.removeprefix("b"))))
    return load


class Reserved:
    """A backend is reserved for the client, in the pool `app`; counts how often it is asked."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.asked = 0

    def reserved(self, pool: PoolName, /) -> BackendName | None:
        """The backend, in that pool."""
        self.asked += 1
        return name(self._owner) if pool == APP else None


def state(
    load: OpenConnections | None = None,
    *,
    draw: float = 0.0,
    reservation: str | None = None,
    tried: tuple[str, ...] = (),
    may_hold: bool = False,
    seen: dict[bytes, str] | None = None,
    turn: int = 0,
    may_park: bool = False,
    now: float = NOW,
) -> State:
    """The moment NOW, nothing open and nothing known unless said otherwise."""
    return State(
        now,
        draw,
        load or OpenConnections(),
        None if reservation is None else Reserved(reservation),
        tuple(map(name, tried)),
        may_hold,
        None if seen is None else Seen(seen),
        turn,
        may_park,
    )
