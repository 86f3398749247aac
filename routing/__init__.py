"""Who may serve this client? The routing floor: pure decisions over immutable values.

A connection is a decision followed by a copy, and this is the decision:

    decide(hello, client, pools, state) -> Forward | Hold | Refuse

The server name finds a route (`hostnames`, `table`), the route a pool (`pool`). In the pool the
backend that owns the client's session has the first word (`affinity`, `ticket_names`), else one is
selected (`selection`, `rendezvous`). Whoever it is must be eligible (`eligibility`), and each no
has a reason (`reasons`) that stands in the refusal, the log line and the metric alike.

Nothing here waits, reads a clock, draws a random number or writes a log: the moment is an argument
(`state`), and what should happen next is an answer (`decide`). The one thing that changes is a
count of open connections (`load`).
"""

from routing.affinity import MAX_TICKETS
from routing.backend import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    PoolName,
)
from routing.client import Client
from routing.decide import HOLD_SECONDS, Effect, Forward, Hold, Refuse, decide
from routing.eligibility import Session, ineligible
from routing.errors import (
    AmbiguousRoute,
    BadBackend,
    BadHostPattern,
    BadTicketName,
    RoutingError,
    UnknownPool,
)
from routing.hostnames import HostPattern
from routing.load import LoadView, OpenConnections
from routing.pool import Pool, Pools
from routing.reasons import HoldReason, Ineligible, RefusalReason, Why
from routing.rendezvous import SLOTS, Ranking
from routing.state import SeenTokens, State
from routing.table import Route, RouteTable
from routing.ticket_names import TicketLayout, TicketName, TicketNames

__all__ = [
    "HOLD_SECONDS",
    "MAX_TICKETS",
    "SLOTS",
    "Address",
    "AmbiguousRoute",
    "Backend",
    "BackendIndex",
    "BackendName",
    "BadBackend",
    "BadHostPattern",
    "BadTicketName",
    "Balance",
    "Capacity",
    "Client",
    "Effect",
    "Forward",
    "Hold",
    "HoldReason",
    "HostPattern",
    "Ineligible",
    "LoadView",
    "OpenConnections",
    "Pool",
    "PoolName",
    "Pools",
    "Ranking",
    "RefusalReason",
    "Refuse",
    "Route",
    "RouteTable",
    "RoutingError",
    "SeenTokens",
    "Session",
    "State",
    "TicketLayout",
    "TicketName",
    "TicketNames",
    "UnknownPool",
    "Why",
    "decide",
    "ineligible",
]
