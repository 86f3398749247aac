"""What can be wrong with the parts that a decision is made from. Each is the operator's to mend.

    RoutingError            a ValueError
    ├── BadHostPattern      a route's left side is no host name and no `*.` before one
    ├── AmbiguousRoute      two routes claim the same names and protocols
    ├── UnknownPool         a route leads to a pool that is not there
    ├── BadBackend          a backend that cannot take part, or a name given twice in a pool
    └── BadTicketName       a ticket name that no layout could hold

A decision itself raises none of them: what it finds wrong is a refusal (`routing.RefusalReason`).
"""


class RoutingError(ValueError):
    """The root: what was found and what was expected, for the operator to read."""


class BadHostPattern(RoutingError):
    """The left side of a route is neither a host name nor `*.` before one."""


class AmbiguousRoute(RoutingError):
    """Two routes claim the same names and protocols, so that their order would matter."""


class UnknownPool(RoutingError):
    """A route leads to a pool that is not there."""


class BadBackend(RoutingError):
    """A backend cannot take part as it is described, or shares its name with another."""


class BadTicketName(RoutingError):
    """A ticket name does not have the shape that its layout says."""
