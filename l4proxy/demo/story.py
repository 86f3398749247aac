"""The story that ends by itself: what a balancer must do, done and checked one after the other."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from l4proxy.admin.client import AdminUnavailable
from l4proxy.demo.client import DemoClient, Refused
from l4proxy.demo.stage import API, APP, STRANGER, WRONG, Stage
from routing import BackendName

VISITS = 4
"""How often each client comes: by chance it meets the same of two servers once in eight times."""

# For counters to arrive: workers report once a second.
_COUNTED_SECONDS = 4.0

_LOOK_SECONDS = 0.1

_BETA = BackendName("beta")

_Found = tuple[bool, str]


class Check(NamedTuple):
    """One thing that was checked.

    Attributes:
        good: Whether it was so.
        title: What, in a word or three.
        found: What happened.

    """

    good: bool
    title: str
    found: str


class Story:
    """The steps, in their order, and what they have seen so far."""

    def __init__(self, stage: Stage) -> None:
        """Take the stage; `tell` plays."""
        self._stage = stage
        self._served = 0
        self._refused = 0
        self._homes: dict[DemoClient, BackendName] = {}

    async def tell(self) -> AsyncIterator[Check]:
        """Play the steps and yield what each found; a step that breaks is the last."""
        for title, step in (
            ("proved, or no traffic", self._proved),
            ("routed by name", self._routed),
            ("same client, same server", self._loyal),
            ("unknown name refused", self._refusal),
            ("dial failed, next server", self._retried),
            ("back at home", self._returned),
            ("all counted", self._counted),
            ("ended", self._ended),
        ):
            try:
                good, found = await step()
            except (Refused, AdminUnavailable, OSError) as error:
                yield Check(False, title, f"{type(error).__name__}: {error}")
                return
            yield Check(good, title, found)

    async def _visit(self, client: DemoClient) -> BackendName:
        backend = await client.visit(self._stage.door)
        self._served += 1
        return backend

    async def _proved(self) -> _Found:
        told = {found["name"]: found for found in await self._stage.seen()}
        wrong = told[WRONG]
        attested = sorted(name for name in told if told[name]["trust"] == "trusted")
        proof = wrong["attestation"]
        check = (proof["reason"] if proof else None) or "nothing"
        good = wrong["trust"] == "refuted" and attested == sorted(told.keys() - {WRONG})
        proved = _listed(map(BackendName, attested))
        failed = f"{WRONG} is {wrong['trust']}: {check.partition(':')[0]}"
        return good, f"{proved} proved what they run (simulated); {failed}"

    async def _routed(self) -> _Found:
        good, found = True, []
        for name in (APP, API):
            own = {
                backend.name
                for backend in self._stage.backends
                if backend.server_name == name and backend.name != WRONG
            }
            reached = {
                await self._visit(DemoClient(client.source, name)) for client in self._stage.clients
            }
            good = good and reached <= own
            found.append(f"{name} to {_listed(reached)}")
        return good, f"{'; '.join(found)}; each with its own certificate, verified"

    async def _loyal(self) -> _Found:
        strayed = 0
        for client in self._stage.clients:
            met = [await self._visit(client) for _ in range(VISITS)]
            self._homes[client] = met[0]
            strayed += len(set(met)) > 1
        at_home = Counter(self._homes.values())
        spread = ", ".join(f"{name} {count}" for name, count in sorted(at_home.items()))
        return not strayed, f"{VISITS} visits each, {strayed} strayed; clients of {spread}"

    async def _refusal(self) -> _Found:
        asked = STRANGER.server_name
        try:
            backend = await STRANGER.visit(self._stage.door)
        except Refused as alert:
            self._refused += 1
            return "UNRECOGNIZED_NAME" in str(alert), f"{asked}: the client hears {alert}"
        return False, f"{asked} reached {backend}"

    async def _retried(self) -> _Found:
        await self._stage.backend(_BETA).stop()
        reached = [await self._visit(client) for client in self._of_beta()]
        found = f"{_BETA} stopped: its clients ({len(reached)}) were served by {_listed(reached)}"
        return _BETA not in reached, found

    async def _returned(self) -> _Found:
        await self._stage.backend(_BETA).start()
        reached = [await self._visit(client) for client in self._of_beta()]
        back = reached.count(_BETA)
        return back == len(reached), f"{_BETA} started again: {back} of {len(reached)} are back"

    def _of_beta(self) -> list[DemoClient]:
        return [client for client, home in self._homes.items() if home == _BETA]

    async def _counted(self) -> _Found:
        expected = (self._served, self._refused, len(self._of_beta()))
        counts = await self._counts()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COUNTED_SECONDS):
                while counts != expected:
                    await asyncio.sleep(_LOOK_SECONDS)
                    counts = await self._counts()
        served, refused, failed = counts
        found = f"forwarded {served}, refused {refused}, failed dials {failed}"
        if counts == expected:
            return True, f"{found}, as the clients saw it"
        return False, f"{found}; the clients saw {expected}"

    async def _counts(self) -> tuple[int, int, int]:
        connections = (await self._stage.status())["connections"]
        failed = sum(sum(found["dial_failures"].values()) for found in await self._stage.seen())
        return connections["forwarded"], connections["refused"], failed

    async def _ended(self) -> _Found:
        good = await self._stage.balancer.stop()
        return good, "the balancer ended when asked" if good else "the balancer did not end"


def _listed(names: Iterable[BackendName]) -> str:
    return " and ".join(sorted(set(names))) or "nobody"
