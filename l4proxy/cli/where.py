"""Where would this client go? The decision of a worker, made without one."""

from dataclasses import dataclass
from ipaddress import ip_address

from l4proxy.refusal import RefusalStyle, refusal_of
from l4proxy.snapshot import Snapshot
from routing import Client, Forward, Hold, OpenConnections, RefusalReason, Route, State, Why, decide
from sni import AlertDescription, ClientHello, ServerName


@dataclass(frozen=True, slots=True)
class Question:
    """A client that might come.

    Attributes:
        name: The server name that it would ask for; None: it names none.
        alpn: The protocols that it would offer.
        source: Its IP address.

    """

    name: ServerName | None
    alpn: tuple[bytes, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Destination:
    """What would become of it.

    Attributes:
        route: The pattern of its route, `default` for the default route; None: it has none.
        pool: Where the route leads.
        backend: Who would be dialled; None: it would be refused.
        address: Where that backend is dialled.
        why: What leads to the backend.
        refusal: Why it would be refused; None: it would be served.
        hears: What a refused client hears.

    """

    route: str | None
    pool: str | None = None
    backend: str | None = None
    address: str | None = None
    why: Why | None = None
    refusal: RefusalReason | None = None
    hears: str | None = None


def where(question: Question, snapshot: Snapshot) -> Destination:
    """Answer for a balancer that has just started: no connection is open, no session is held."""
    hello = ClientHello(question.name, question.alpn)
    client = Client(ip_address(question.source).packed)
    route = _route(snapshot.pools.table.match(question.name, question.alpn))
    outcome = decide(hello, client, snapshot.pools, State(0.0, 0.0, OpenConnections()))
    if isinstance(outcome, Forward):
        return Destination(
            route=route,
            pool=outcome.pool,
            backend=outcome.backend.name,
            address=str(outcome.backend.address),
            why=outcome.why,
        )
    if isinstance(outcome, Hold):
        raise TypeError("a hello without tickets was held")
    reason = outcome.reason
    return Destination(
        route=route, pool=outcome.pool, refusal=reason, hears=_hears(reason, snapshot)
    )


def _route(found: Route | RefusalReason) -> str | None:
    if isinstance(found, RefusalReason):
        return None
    return "default" if found.pattern is None else str(found.pattern)


def _hears(reason: RefusalReason, snapshot: Snapshot) -> str:
    style = snapshot.settings.refusal
    alert = refusal_of(reason).alert
    if style is RefusalStyle.RESET:
        return "a reset"
    if style is RefusalStyle.CLOSE or alert is None:
        return "the end of the connection"
    return alert_text(alert)


def alert_text(alert: AlertDescription) -> str:
    """Return an alert by its number and registered name."""
    return f"TLS alert {alert.value} ({alert.name.lower()})"
