"""What carries a decision out: an order for one pool, and who takes it."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from l4proxy.scaling.decision import Term
from routing import Address, BackendName, PoolName

Settings = TypeVar("Settings", bound=BaseModel)


class Victim(NamedTuple):
    """A backend that is to go.

    Attributes:
        name: Unique in its pool.
        address: Where it is dialled.
        sessions: Open on it, by the balancer's own count.

    """

    name: BackendName
    address: Address
    sessions: int


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of a pool; each order replaces the one before it.

    Attributes:
        pool: Whose backends.
        number: Grows from order to order of this pool; the same when an order is given again.
        at: When it was decided, seconds since the epoch, UTC.
        current: Backends that there are, those included that drain.
        desired: Backends that there are to be, those included that drain.
        drain: Those that take no new sessions and empty, first victims first.
        release: Those that the lowered number is meant to remove, first ones first.
        evict: Those that failed.
        terms: The sum that `desired` is, each part with its reason.

    """

    pool: PoolName
    number: int
    at: float
    current: int
    desired: int
    drain: tuple[Victim, ...] = ()
    release: tuple[Victim, ...] = ()
    evict: tuple[Victim, ...] = ()
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A backend whose evidence was refused.

    Attributes:
        pool: Of the backend.
        backend: Its name.
        address: Where it was asked.
        at: When, seconds since the epoch, UTC.
        check: The check that failed, as it stands in the log and in metrics.
        reason: A sentence: what was found, what was expected.

    """

    pool: PoolName
    backend: BackendName
    address: Address
    at: float
    check: str
    reason: str


class ActuatorError(Exception):
    """An order was not carried out, or not wholly: whose fault, what was found, what expected."""


class Actuator(Protocol):
    """Carries out the orders for one pool. Whoever made it runs `run` in a task of its own."""

    async def run(self) -> None:
        """Serve, or keep what `apply` needs, until cancelled; return at once if there is nothing.

        Raises:
            ActuatorError: It cannot serve, as when its address is taken. It may be run again.

        """
        ...

    async def apply(self, order: Order) -> None:
        """Carry an order out. The caller bounds it in time, and cancels it when that is over.

        Orders come one at a time. To carry out an order that is carried out already changes
        nothing. After an error the newest order comes again with the next round.

        Raises:
            ActuatorError: It was not carried out, or not wholly.

        """
        ...


@runtime_checkable
class Notified(Protocol):
    """An actuator that also wants to hear of refused evidence."""

    async def notify(self, refusal: Refusal) -> None:
        """Pass it on. The caller bounds it in time.

        Raises:
            ActuatorError: It did not arrive.

        """
        ...


class ActuatorKind(Protocol[Settings]):
    """A kind of actuator: what the configuration calls it, and what it is set by."""

    @property
    def name(self) -> str:
        """What the configuration calls it: a-z, 0-9 and `-`, at most 32, as it is registered."""
        ...

    @property
    def settings(self) -> type[Settings]:
        """The mapping below its name: a `l4proxy.config.section.Section` of its own."""
        ...

    def make(self, settings: Settings, pool: PoolName) -> Actuator:
        """Return the actuator of a pool. Nothing is opened before it runs or has an order.

        Raises:
            ActuatorError: The settings name a file that cannot be used.

        """
        ...
