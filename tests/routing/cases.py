"""Small parts to decide about: one line each in a test, everything unsaid as usual."""

from collections.abc import Iterable

from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    Client,
    HostPattern,
    OpenConnections,
    Pool,
    PoolName,
    Pools,
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


def name(text: str) -> BackendName:
    """A backend's name."""
    return BackendName(text)


def hello(
    server_name: str | None = "app.example.com",
    alpn: tuple[bytes, ...] = (),
    psk: tuple[bytes, ...] = (),
    ticket: bytes | None = None,
    session_id: bytes = b"",
) -> ClientHello:
    """A hello that asks for a name and offers what is given."""
    return ClientHello(
        legacy_version=0x0303,
        supported_versions=(0x0304,),
        session_id=session_id,
        server_name=None if server_name is None else ServerName.parse(server_name),
        alpn=alpn,
        ticket=ticket,
        psk_identities=tuple(PskIdentity(identity, 1) for identity in psk),
        early_data=False,
        ech=False,
        message=b"",
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
    )


def backends(*weights: int) -> tuple[Backend, ...]:
    """Backends `b0`, `b1`, … of these weights, each with a cell of its own."""
    return tuple(backend(f"b{i}", i, weight=weight) for i, weight in enumerate(weights))


def pool(
    members: Iterable[Backend],
    *,
    balance: Balance = Balance.AFFINITY,
    capacity: Capacity | None = None,
    names: Iterable[TicketName] = (),
) -> Pool:
    """The pool `app` of these backends."""
    return Pool(APP, tuple(members), balance, capacity or Capacity(), TicketNames(names))


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


def state(
    load: OpenConnections | None = None,
    *,
    draw: float = 0.0,
    reservation: str | None = None,
    tried: tuple[str, ...] = (),
    may_hold: bool = False,
    seen: dict[bytes, str] | None = None,
) -> State:
    """The moment NOW, nothing open and nothing known unless said otherwise."""
    return State(
        NOW,
        draw,
        load or OpenConnections(),
        None if reservation is None else name(reservation),
        tuple(map(name, tried)),
        may_hold,
        {(APP, token): name(owner) for token, owner in (seen or {}).items()},
    )
