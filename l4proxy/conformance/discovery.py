"""What every way to find backends has to promise, as a test that its author runs.

    from l4proxy.conformance import check_discovery_kind

    def test_ours_keeps_its_promises() -> None:
        check_discovery_kind(Ours(), "url: http://127.0.0.1:8500")

The built-in ones pass the same test.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from l4proxy.config.addresses import MAX_PORT
from l4proxy.config.document import read_document
from l4proxy.conformance.faults import check_promises, description_faults
from l4proxy.control.directory import Discovery, DiscoveryKind, Settings
from l4proxy.control.found import Found

FOUND_SECONDS: Final = 10.0
"""Seconds within which something has to be found, or a watch has to end."""

_FIRST: Final = asyncio.FIRST_COMPLETED


@dataclass(frozen=True, slots=True)
class _Case:
    name: object
    model: type[BaseModel]
    make: Callable[[], Discovery]
    settings: str


def check_discovery_kind(kind: DiscoveryKind[Settings], settings: str) -> None:
    """Return if a way to find backends keeps every promise of `DiscoveryKind` and `Discovery`.

    It runs an event loop of its own.

    Args:
        kind: The way.
        settings: As the configuration has them below its name, in YAML; with them there is a
            backend to find.

    Raises:
        NotConforming: It breaks some; all that were found.

    """

    def make() -> Discovery:
        read = kind.settings.model_validate(read_document(settings, "settings").value)
        return kind.make(read)

    case = _Case(kind.name, kind.settings, make, settings)
    asyncio.run(check_promises((_described, _finds), case))


async def _described(case: _Case) -> AsyncIterator[str]:
    for fault in description_faults(case):
        yield fault


async def _finds(case: _Case) -> AsyncIterator[str]:
    """It finds what is there, and finds it again when it is watched anew."""
    for time in ("the first time", "again"):
        discovery = case.make()
        if discovery.statistics().age is not None:
            yield f"statistics: {time} there is an age before anything was found"
        for fault in await _watched(discovery):
            yield f"watch: {time} {fault}"


async def _watched(discovery: Discovery) -> list[str]:
    """Return what is wrong with one watch, from its begin to its end."""
    faults: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        told: asyncio.Queue[Collection[Found]] = asyncio.Queue()
        watching = tasks.create_task(discovery.watch(told.put_nowait))
        heard = tasks.create_task(told.get())
        await asyncio.wait([watching, heard], timeout=FOUND_SECONDS, return_when=_FIRST)
        if heard.done():
            faults += _unsound(heard.result(), discovery)
        else:
            faults.append("nothing is found")
        heard.cancel()
        if watching.done():
            faults.append("it ends before it is cancelled")
        watching.cancel()
        await asyncio.wait([watching], timeout=FOUND_SECONDS)
        if not watching.done():
            faults.append("it does not end when it is cancelled")
    return faults


def _unsound(found: Collection[Found], discovery: Discovery) -> list[str]:
    """Return what is wrong with a set that was told."""
    faults = [] if found else ["told an empty set, expected the backend that is there"]
    faults += [f"found {one}, expected an IP literal and a port" for one in found if _bad(one)]
    if len({one.address for one in found}) != len(found):
        faults.append("an address stands twice")
    seen = discovery.statistics()
    if seen.addresses != len(found) or seen.age is None or seen.age < 0 or seen.fault is not None:
        faults.append(
            f"statistics are {seen}, expected {len(found)} addresses, an age and no fault"
        )
    return faults


def _bad(one: Found) -> bool:
    try:
        ipaddress.ip_address(one.address.host)
    except ValueError:
        return True
    return not 0 < one.address.port <= MAX_PORT
