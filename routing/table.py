"""The route table: which pool a server name leads to."""

from collections.abc import Iterable
from dataclasses import dataclass

from routing.backend import PoolName
from routing.errors import AmbiguousRoute, BadHostPattern
from routing.hostnames import HostPattern
from routing.reasons import RefusalReason
from sni import ServerName


@dataclass(frozen=True, slots=True)
class Route:
    """Names, and where they lead.

    Attributes:
        pattern: The names; None for the default route: no name, or one that no pattern means.
        pool: Where they lead.
        alpn: Protocols, one of which the client must offer; None asks for none.
        instance_name: Whether what a wildcard stands for may name a backend of the pool.

    """

    pattern: HostPattern | None
    pool: PoolName
    alpn: frozenset[bytes] | None = None
    instance_name: bool = False


class RouteTable:
    """All routes of a listener, immutable. One look-up costs at most one dict access per label.

    Several routes may share a pattern and differ in `alpn`: they are asked in the order given, the
    one that asks for no protocol last, wherever it stands.
    """

    __slots__ = ("_below", "_default", "_exact", "routes")

    def __init__(self, routes: Iterable[Route], default: PoolName | None = None) -> None:
        """Index the routes.

        Args:
            routes: Each with a pattern.
            default: The pool for a hello whose server name no pattern means, or that has none;
                None refuses them.

        Raises:
            AmbiguousRoute: Two routes have one pattern and ask for the same protocols.
            BadHostPattern: A route has no pattern.

        """
        self.routes = tuple(routes)
        self._default = None if default is None else Route(None, default)
        self._exact: dict[str, tuple[Route, ...]] = {}
        self._below: dict[str, tuple[Route, ...]] = {}
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if route.pattern is None:
            raise BadHostPattern(
                f"a route to pool {route.pool!r} has no pattern; the default route is given apart"
            )
        index = self._below if route.pattern.wildcard else self._exact
        rules = index.get(route.pattern.name, ())
        twins = [rule.pool for rule in (*rules, route) if rule.alpn == route.alpn]
        if len(twins) > 1:
            raise AmbiguousRoute(
                f"two routes for {route.pattern} and the same protocols lead to {twins}, "
                "expected one"
            )
        # Stable, so rules with protocols stay as given and the catch-all comes last.
        index[route.pattern.name] = tuple(
            sorted((*rules, route), key=lambda rule: rule.alpn is None)
        )

    @property
    def default(self) -> PoolName | None:
        """The pool of the default route; None where there is none."""
        return None if self._default is None else self._default.pool

    @property
    def pools(self) -> frozenset[PoolName]:
        """Every pool that some route leads to."""
        default = () if self._default is None else (self._default,)
        return frozenset(route.pool for route in (*self.routes, *default))

    def match(self, name: ServerName | None, alpn: tuple[bytes, ...]) -> Route | RefusalReason:
        """Return the route of a hello, or why it has none.

        The most specific pattern that means the name decides alone: when none of its routes wants
        a protocol that is offered, the hello is refused, never sent to a shorter name or to the
        default, which would be another service.

        Args:
            name: None when the client named no host.
            alpn: The protocols that the client offers; empty without the extension.

        """
        if name is None:
            return self._default or RefusalReason.NO_SERVER_NAME
        rules = self._exact.get(name) or self._wildcard(name)
        if rules is None:
            return self._default or RefusalReason.UNKNOWN_SERVER_NAME
        for route in rules:
            if route.alpn is None or not route.alpn.isdisjoint(alpn):
                return route
        return RefusalReason.NO_ALPN_MATCH

    def _wildcard(self, name: ServerName) -> tuple[Route, ...] | None:
        """Return the routes of the longest suffix, labels taken off from the left."""
        dot = name.find(".")
        while dot >= 0:
            rules = self._below.get(name[dot + 1 :])
            if rules is not None:
                return rules
            dot = name.find(".", dot + 1)
        return None
