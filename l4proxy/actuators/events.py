"""What a hook is told: one JSON document an event, by a versioned schema.

The schema ships beside this file as `hook.schema.json`. Within a version, documents only gain keys:
who reads them ignores the keys that it does not know.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from l4proxy.actuators.actuator import Order, Refusal, Victim

VERSION: Final = 1
"""Of the schema: a document of another version may lack what this one has."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON schema that is written."""

_MILLISECONDS: Final = 1_000


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BackendDocument(_Document):
    """A backend of the pool."""

    name: str
    """Unique in its pool."""

    address: str
    """Where it is dialled: host:port, [v6]:port, unix:/path or vsock:CID:PORT."""


class VictimDocument(BackendDocument):
    """A backend that is to go."""

    sessions: int = Field(ge=0)
    """Open on it, by the balancer's own count."""


class TermDocument(_Document):
    """A part of the sum that `desired` is."""

    name: str
    """What it is for, such as sessions, free, forecast or standby."""

    backends: int
    """How many it adds; below 0 where it takes away."""

    reason: str
    """A sentence with the numbers behind it."""


class _Event(_Document):
    version: Literal[1] = VERSION
    """Of the schema."""

    id: str
    """The same when a document is sent again: what has been done already is not to be repeated."""

    pool: str
    """Whose backends."""

    at: float = Field(ge=0)
    """When it was decided or found, seconds since the epoch, UTC."""


class _OrderEvent(_Event):
    number: int = Field(ge=0)
    """Of the order. A document of a lower number than one already seen is out of date."""


class ScaleEvent(_OrderEvent):
    """The pool is to have so many backends."""

    event: Literal["scale"] = "scale"

    current: int = Field(ge=0)
    """Backends that there are, those included that drain."""

    desired: int = Field(ge=0)
    """Backends that there are to be, those included that drain."""

    release: tuple[VictimDocument, ...]
    """Those to remove if there are too many, first ones first; no other carries fewer sessions."""

    terms: tuple[TermDocument, ...]
    """The sum that `desired` is."""


class DrainEvent(_OrderEvent):
    """These backends get no new sessions and empty; they are not to be removed yet."""

    event: Literal["drain"] = "drain"

    backends: tuple[VictimDocument, ...]
    """First victims first."""


class EvictEvent(_OrderEvent):
    """These backends failed: they serve nobody, and are to be replaced."""

    event: Literal["evict"] = "evict"

    backends: tuple[VictimDocument, ...]
    """In no order."""


class AttestationRefusedEvent(_Event):
    """The evidence of a backend was refused."""

    event: Literal["attestation_refused"] = "attestation_refused"

    backend: BackendDocument
    """Whose."""

    check: str
    """The check that failed, as it stands in the log and in metrics."""

    reason: str
    """What was found, what was expected."""


Event = ScaleEvent | DrainEvent | EvictEvent | AttestationRefusedEvent
"""What a hook may be told."""


def events_of(order: Order) -> Iterator[ScaleEvent | DrainEvent | EvictEvent]:
    """Yield what an order says: always how many backends, and who drains and failed, if any."""
    yield ScaleEvent(
        id=_order_id(order, "scale"),
        pool=order.pool,
        at=order.at,
        number=order.number,
        current=order.current,
        desired=order.desired,
        release=_victims(order.release),
        terms=tuple(
            TermDocument(name=term.name, backends=term.backends, reason=term.reason)
            for term in order.terms
        ),
    )
    if order.drain:
        yield DrainEvent(
            id=_order_id(order, "drain"),
            pool=order.pool,
            at=order.at,
            number=order.number,
            backends=_victims(order.drain),
        )
    if order.evict:
        yield EvictEvent(
            id=_order_id(order, "evict"),
            pool=order.pool,
            at=order.at,
            number=order.number,
            backends=_victims(order.evict),
        )


def event_of(refusal: Refusal) -> AttestationRefusedEvent:
    """Return what is told of refused evidence."""
    moment = int(refusal.at * _MILLISECONDS)
    return AttestationRefusedEvent(
        id=f"{refusal.pool}:{refusal.backend}:{moment}:attestation_refused",
        pool=refusal.pool,
        at=refusal.at,
        backend=BackendDocument(name=refusal.backend, address=str(refusal.address)),
        check=refusal.check,
        reason=refusal.reason,
    )


def encoded(event: Event) -> bytes:
    """Return the document as it is sent: JSON on one line, in ASCII."""
    return json.dumps(event.model_dump(mode="json"), separators=(",", ":")).encode("ascii")


def hook_schema() -> dict[str, object]:
    """Return the JSON schema (draft 2020-12) of the documents of this version."""
    adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
    schema = adapter.json_schema(mode="serialization")
    for section in schema["$defs"].values():
        # A version gains keys, so a reader's validator must not refuse what it does not know.
        del section["additionalProperties"]
    return {"$schema": DIALECT, "title": f"l4proxy hook, version {VERSION}", **schema}


def hook_schema_text() -> str:
    """Return the text of `hook.schema.json`."""
    return json.dumps(hook_schema(), indent=2) + "\n"


def _order_id(order: Order, event: str) -> str:
    return f"{order.pool}:{order.number}:{event}"


def _victims(victims: tuple[Victim, ...]) -> tuple[VictimDocument, ...]:
    return tuple(
        VictimDocument(name=one.name, address=str(one.address), sessions=one.sessions)
        for one in victims
    )
