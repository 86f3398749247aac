"""Who may serve this client? The routing floor: pure decisions over immutable values.

A connection is a decision followed by a copy, and this is the decision:

    decide(hello, client, pools, state) -> Forward | Hold | Refuse

The server name finds a route (`hostnames`, `table`), the route a pool (`pool`). In the pool the
backend that owns the client's session has the first word (`affinity`, `routable`, `ticket_names`,
`external_psks`, `observed`), else one is selected (`selection`, `rendezvous`, `maglev`). Whoever it
is must be eligible (`eligibility`), and each no has a reason (`reasons`) that stands in the
refusal, the log line and the metric alike.

Nothing here waits, reads a clock, draws a random number or writes a log: the moment is an argument
(`state`), and what should happen next is an answer (`decide`). The two things that change are a
count of open connections (`load`) and a table of observed tokens (`observed`); a decision only
reads them.
"""

from routing.affinity import MAX_TICKETS
from routing.backend import (
    MAX_SERVER_ID,
    VSOCK,
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    Hashing,
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
from routing.external_psks import ExternalPsks
from routing.hostnames import HostPattern
from routing.load import LoadView, OpenConnections
from routing.maglev import Maglev
from routing.observed import Observation, ObservedTokens, TokenKey, key_of
from routing.pool import NO_MARK, Mark, Pool, Pools
from routing.ranking import Ranking
from routing.reasons import HoldReason, Ineligible, RefusalReason, Why
from routing.rendezvous import SLOTS, Rendezvous
from routing.routable import ROUTABLE_NAME_BYTES, RoutableNames
from routing.state import Reservation, SeenTokens, State
from routing.table import Route, RouteTable
from routing.ticket_names import TicketLayout, TicketName, TicketNames

__all__ = [
    "HOLD_SECONDS",
    "MAX_SERVER_ID",
    "MAX_TICKETS",
    "NO_MARK",
    "ROUTABLE_NAME_BYTES",
    "SLOTS",
    "VSOCK",
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
    "ExternalPsks",
    "Forward",
    "Hashing",
    "Hold",
    "HoldReason",
    "HostPattern",
    "Ineligible",
    "LoadView",
    "Maglev",
    "Mark",
    "Observation",
    "ObservedTokens",
    "OpenConnections",
    "Pool",
    "PoolName",
    "Pools",
    "Ranking",
    "RefusalReason",
    "Refuse",
    "Rendezvous",
    "Reservation",
    "RoutableNames",
    "Route",
    "RouteTable",
    "RoutingError",
    "SeenTokens",
    "Session",
    "State",
    "TicketLayout",
    "TicketName",
    "TicketNames",
    "TokenKey",
    "UnknownPool",
    "Why",
    "decide",
    "ineligible",
    "key_of",
]
