"""What every actuator has to promise, as a test that its author runs.

    from l4proxy.conformance import check_actuator_kind

    def test_our_actuator_keeps_its_promises() -> None:
        check_actuator_kind(Ours(), "url: http://127.0.0.1:8080", failing="url: http://127.0.0.1:1")

The built-in actuators pass the same test. It says nothing of whether the right thing is done on the
other side: only an author's own tests can say that.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel

from l4proxy.actuators.actuator import (
    Actuator,
    ActuatorError,
    ActuatorKind,
    Order,
    Settings,
    Victim,
)
from l4proxy.config.document import read_document
from l4proxy.conformance.faults import check_promises, description_faults
from l4proxy.scaling.decision import Term, TermName
from routing import Address, BackendName, PoolName

PATIENCE_SECONDS: Final = 10.0
"""Seconds that anything may take: the control loop allows no longer."""

_SETTLE_SECONDS: Final = 0.05
_POOL: Final = PoolName("app")
_VICTIM: Final = Victim(BackendName("a"), Address("192.0.2.1", 443), 3)
_ORDER: Final = Order(
    _POOL, 1, 1_800_000_000.0, 2, 3, terms=(Term(TermName.SESSIONS, 3, "280 of 100 a backend"),)
)
_ORDERS: Final = (
    _ORDER,
    _ORDER,
    replace(_ORDER, number=2, current=3, desired=3, drain=(_VICTIM,)),
    replace(_ORDER, number=3, current=3, desired=2, release=(_VICTIM,)),
    replace(_ORDER, number=4, current=2, desired=2, evict=(_VICTIM,)),
    replace(_ORDER, number=5, current=2, desired=0),
)


@dataclass(frozen=True, slots=True)
class _Case:
    name: object
    model: type[BaseModel]
    make: Callable[[str], Actuator]
    settings: str
    failing: str | None


def check_actuator_kind(
    kind: ActuatorKind[Settings], settings: str, failing: str | None = None
) -> None:
    """Return if an actuator keeps every promise of `ActuatorKind` and `Actuator`.

    Some orders are carried out in earnest, those of a pool `app`. It runs an event loop of its own.

    Args:
        kind: The kind of actuator.
        settings: As the configuration has them below its name, in YAML; they work here.
        failing: The same, with which an order fails; None: none ever can.

    Raises:
        NotConforming: It breaks some; all that were found.

    """

    def make(text: str) -> Actuator:
        read = kind.settings.model_validate(read_document(text, "settings").value)
        return kind.make(read, _POOL)

    case = _Case(kind.name, kind.settings, make, settings, failing)
    asyncio.run(check_promises(_PROMISES, case))


async def _described(case: _Case) -> AsyncIterator[str]:
    for fault in description_faults(case):
        yield fault


async def _runs(case: _Case) -> AsyncIterator[str]:
    """It serves until cancelled, or has nothing to serve; and all that again."""
    for time in ("the first time", "again"):
        actuator = case.make(case.settings)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(actuator.run())
            await asyncio.wait([running], timeout=_SETTLE_SECONDS)
            running.cancel()
            await asyncio.wait([running], timeout=PATIENCE_SECONDS)
            if not running.done():
                yield f"run: {time} it does not end when it is cancelled"


async def _applies(case: _Case) -> AsyncIterator[str]:
    async with _running(case.make(case.settings)) as actuator:
        for order in _ORDERS:
            fault = await _fault_of(actuator.apply(order))
            if fault:
                yield f"apply: order {order.number}: {fault}"


async def _can_be_cancelled(case: _Case) -> AsyncIterator[str]:
    async with _running(case.make(case.settings)) as actuator, asyncio.TaskGroup() as tasks:
        applying = tasks.create_task(_quiet(actuator.apply(_ORDER)))
        await asyncio.sleep(0)
        applying.cancel()
        await asyncio.wait([applying], timeout=PATIENCE_SECONDS)
        if not applying.done():
            yield "apply: it does not end when it is cancelled"
        fault = await _fault_of(actuator.apply(replace(_ORDER, number=2)))
        if fault:
            yield f"apply: after one that was cancelled: {fault}"


async def _fails(case: _Case) -> AsyncIterator[str]:
    """What goes wrong is an `ActuatorError`, so that the control loop can tell it from a bug."""
    if case.failing is None:
        return
    try:
        actuator = case.make(case.failing)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await actuator.apply(_ORDER)
    except ActuatorError as error:
        if not str(error).strip():
            yield "apply: fails without a word"
    except Exception as error:  # noqa: BLE001 - as above
        yield f"apply: fails with {type(error).__name__}: {error}, expected an ActuatorError"
    else:
        yield "apply: an order that cannot be carried out is taken for done"


@contextlib.asynccontextmanager
async def _running(actuator: Actuator) -> AsyncIterator[Actuator]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(actuator.run())
        await asyncio.wait([running], timeout=_SETTLE_SECONDS)
        yield actuator
        running.cancel()


async def _fault_of(applying: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await applying
    except Exception as error:  # noqa: BLE001 - as above
        return f"raised {type(error).__name__}: {error}"
    return ""


async def _quiet(applying: Awaitable[None]) -> None:
    with contextlib.suppress(ActuatorError):
        await applying


_PROMISES: Final = (_described, _runs, _applies, _can_be_cancelled, _fails)
