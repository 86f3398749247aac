"""The backends as a JSON document: who is there, how each is, and what it holds and has proved.

The keys are stable, as those of `l4proxy.admin.view` are.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple, TypedDict

from l4proxy.admin.trust import AttestationDocument, attestation_document
from l4proxy.control.membership import Member
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.tally import Served, Tally, tally
from routing import Backend, BackendName, Pool, PoolName, Session, State, ineligible
from routing.health import HealthReason

NO_PROOF_ASKED = "not required"
"""The trust of a backend whose pool asks for no attestation."""


class HealthDocument(TypedDict):
    """What is held of one backend."""

    healthy: bool
    reason: str
    fault: str | None
    ejected: bool
    seconds: float
    held: float | None


class TicketsDocument(TypedDict):
    """What is known of one backend's tickets."""

    names: int
    fault: str | None
    asked: float | None
    tls: str | None
    resumed: bool | None
    clashes: int
    left_out: int


class ReadingDocument(TypedDict):
    """The last value of a metric that was believed, and its age in seconds."""

    value: float
    age: float


class TelemetryDocument(TypedDict):
    """What one backend tells of its load."""

    age: float | None
    fault: str | None
    readings: dict[str, ReadingDocument]
    refused: dict[str, str]


class BackendDocument(TypedDict):
    """One backend; what nobody watches, asks for or has to prove is null."""

    pool: str
    name: str
    address: str
    weight: int
    source: str
    phase: str
    server_id: int | None
    health: HealthDocument | None
    tickets: TicketsDocument | None
    draining: bool
    deadline: float | None
    eligible: bool
    reason: str | None
    trust: str
    attestation: AttestationDocument | None
    telemetry: TelemetryDocument | None
    sessions_open: int
    connections_open: int
    forwarded: int
    dial_failures: dict[str, int]
    bytes_to_backend: int
    bytes_to_client: int


class BackendsDocument(TypedDict):
    """All backends, in the configuration's order."""

    backends: list[BackendDocument]


def backends_document(balancer: Balancer, now: float) -> BackendsDocument:
    """Return the backends of all pools; `now` is in monotonic seconds."""
    counted = tally(balancer.totals, balancer.snapshot.pools)
    state = State(now, 0.0, balancer.load)
    return {
        "backends": [
            document
            for pool in balancer.snapshot.pools.pools.values()
            for document in _backends(pool, balancer, counted, state)
        ]
    }


class _Known(NamedTuple):
    """What the supervisor knows of one backend."""

    member: Member
    health: HealthDocument | None
    tickets: TicketsDocument | None
    attestation: AttestationDocument | None
    telemetry: TelemetryDocument | None
    served: Served


def _backends(
    pool: Pool, balancer: Balancer, counted: Tally, state: State
) -> Iterator[BackendDocument]:
    members = {each.name: each for each in balancer.roster.members(pool.name)}
    health = _health(balancer, pool.name, state.now)
    tickets = _tickets(balancer, pool.name, state.now)
    proofs = _attestations(balancer, pool.name)
    told = _telemetry(balancer, pool.name, state.now)
    for backend in pool.backends:
        name = backend.name
        # One that has just been removed is in this snapshot still.
        if name in members:
            served = counted.backends[pool.name, name]
            known = _Known(
                *(members[name], health.get(name), tickets.get(name), proofs.get(name)),
                *(told.get(name), served),
            )
            yield _backend(backend, pool, known, state)


def _health(balancer: Balancer, pool: PoolName, now: float) -> dict[BackendName, HealthDocument]:
    return {
        name: {
            "healthy": verdict.healthy,
            "reason": verdict.reason.value,
            "fault": verdict.fault,
            "ejected": verdict.reason is HealthReason.DIALS_FAILED,
            "seconds": _seconds(now - balancer.roster.since(pool, name)),
            "held": None if verdict.until is None else _seconds(verdict.until - now),
        }
        for name, verdict in balancer.roster.verdicts(pool).items()
    }


def _tickets(balancer: Balancer, pool: PoolName, now: float) -> dict[BackendName, TicketsDocument]:
    counts = balancer.roster.name_statistics(pool)
    return {
        name: {
            "names": counts[name].names,
            "fault": None if standing.fault is None else standing.fault.value,
            "asked": None if standing.asked_at is None else _seconds(now - standing.asked_at),
            "tls": standing.version or None,
            "resumed": standing.resumed,
            "clashes": counts[name].clashes,
            "left_out": counts[name].left_out,
        }
        for name, standing in balancer.roster.ticket_standings(pool).items()
    }


def _attestations(balancer: Balancer, pool: PoolName) -> dict[BackendName, AttestationDocument]:
    rules, utc = balancer.roster.attestor.rules(pool), time.time()
    if rules is None:
        return {}
    trusts = balancer.roster.attestor.trusts(pool)
    return {name: attestation_document(trust, rules, utc) for name, trust in trusts.items()}


def _telemetry(
    balancer: Balancer, pool: PoolName, now: float
) -> dict[BackendName, TelemetryDocument]:
    return {
        row.name: {
            "age": None if row.age is None else _seconds(row.age),
            "fault": None if row.fault is None else row.fault.value,
            "readings": {
                name: {"value": reading.value, "age": _seconds(reading.age)}
                for name, reading in row.readings.items()
            },
            "refused": {name: why.value for name, why in row.refused.items()},
        }
        for row in balancer.roster.telemetry.rows(now)
        if row.pool == pool
    }


def _backend(backend: Backend, pool: Pool, known: _Known, state: State) -> BackendDocument:
    reason = ineligible(backend, Session.NEW, pool.capacity, state)
    deadline = backend.drain_deadline
    return {
        "pool": pool.name,
        "name": backend.name,
        "address": str(backend.address),
        "weight": backend.weight,
        "source": known.member.source.value,
        "phase": known.member.phase.value,
        "server_id": backend.server_id,
        "health": known.health,
        "tickets": known.tickets,
        "draining": backend.draining,
        "deadline": None if deadline is None else _seconds(deadline - state.now),
        "eligible": reason is None,
        "reason": None if reason is None else reason.value,
        "trust": known.attestation["state"] if known.attestation else NO_PROOF_ASKED,
        "attestation": known.attestation,
        "telemetry": known.telemetry,
        "sessions_open": state.load.sessions(backend.index),
        "connections_open": state.load.connections(backend.index),
        "forwarded": known.served.forwarded,
        "dial_failures": dict(known.served.dial_failures),
        "bytes_to_backend": known.served.to_backend,
        "bytes_to_client": known.served.to_client,
    }


def _seconds(left: float) -> float:
    return round(max(0.0, left), 1)
