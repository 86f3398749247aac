"""The story that ends by itself: what a balancer and a client must do, one after the other."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from l4proxy.admin.client import AdminUnavailable
from l4proxy.client import Basis, Continuity, NotAttested
from l4proxy.demo.client import DemoClient, Visit, shortened, together
from l4proxy.demo.middle import Middle, own_credentials, standing_between
from l4proxy.demo.stage import API, APP, UNKNOWN, WRONG, Stage
from routing import Address, BackendName

VISITS = 3
"""How often each client comes back: by chance all meet the same of two enclaves 1 time in 8."""

# For counters to arrive: workers report once a second.
_COUNTED_SECONDS = 4.0

_LOOK_SECONDS = 0.1

_T = TypeVar("_T")


class Check(NamedTuple):
    """One thing that was checked.

    Attributes:
        good: Whether it was so.
        title: What, in a word or three.
        found: What happened.
        said: What the client says of it, where that is the point.

    """

    good: bool
    title: str
    found: str
    said: str = ""


@dataclass(slots=True)
class Seen:
    """What the story has seen so far.

    Attributes:
        stage: Where it plays.
        answers: Requests that clients sent and that were answered.
        refused: Connections that the balancer refused.
        homes: The enclave of each client.

    """

    stage: Stage
    answers: int = 0
    refused: int = 0
    homes: dict[DemoClient, BackendName] = field(default_factory=dict)

    async def visit(self, client: DemoClient, server_name: str = APP) -> Visit:
        """Let a client come once.

        Raises:
            OSError: It was not served.

        """
        visit = await client.visit(self.stage.door, server_name)
        self.answers += 1
        return visit

    async def all_visit(self, clients: Iterable[DemoClient], server_name: str = APP) -> list[Visit]:
        """Let clients come at the same time.

        Raises:
            OSError: One was not served.

        """
        return await together(self.visit(client, server_name) for client in clients)

    async def refusal(self, door: Address, server_name: str = APP) -> str:
        """Return what a client says that shall not be served; nothing: it was."""
        try:
            await self.stage.stranger.visit(door, server_name)
        except NotAttested as error:
            return shortened(error)
        return ""


class Found(NamedTuple):
    """What came of a step, as in the `Check` that it becomes."""

    good: bool
    found: str
    said: str = ""


Step = Callable[[Seen], Awaitable[Found]]


async def tell(stage: Stage, steps: Mapping[str, Step] | None = None) -> AsyncIterator[Check]:
    """Play the steps and yield what each found; a step that breaks is the last.

    Args:
        stage: Where.
        steps: By title; None: all.

    """
    seen = Seen(stage)
    for title, step in (STEPS if steps is None else steps).items():
        try:
            good, found, said = await step(seen)
        except (AdminUnavailable, OSError) as error:
            yield Check(False, title, f"{type(error).__name__}: {error}")
            return
        yield Check(good, title, found, said)


async def _proved(seen: Seen) -> Found:
    told = {found["name"]: found for found in await seen.stage.seen()}
    wrong = told[WRONG]
    attested = sorted(name for name in told if told[name]["trust"] == "trusted")
    proof = wrong["attestation"]
    check = (proof["reason"] if proof else None) or "nothing"
    good = wrong["trust"] == "refuted" and attested == sorted(told.keys() - {WRONG})
    proved = _listed(map(BackendName, attested))
    failed = f"{WRONG} is {wrong['trust']}: {check.partition(':')[0]}"
    return Found(good, f"{proved} proved to the balancer what they run; {failed}")


async def _routed(seen: Seen) -> Found:
    good, found = True, []
    for name in (API, APP):
        own = {each.name for each in seen.stage.enclaves if each.server_name == name} - {WRONG}
        visits = await seen.all_visit(seen.stage.clients, name)
        reached = [visit.enclave for visit in visits]
        seen.homes = dict(zip(seen.stage.clients, reached, strict=True))
        proved = all(visit.account.basis is Basis.EXPORTER for visit in visits)
        good = good and proved and set(reached) <= own
        found.append(f"{name} to {_listed(reached)}")
    return Found(good, f"{'; '.join(found)}; each connection proved itself first")


async def _loyal(seen: Seen) -> Found:
    standings, strayed = Counter[Continuity](), 0
    for _ in range(VISITS):
        for client, visit in zip(seen.homes, await seen.all_visit(seen.homes), strict=True):
            standings[visit.account.standing] += 1
            strayed += visit.enclave != seen.homes[client]
    resumed, visits = standings[Continuity.RESUMED], standings.total()
    at_home = Counter(seen.homes.values())
    spread = ", ".join(f"{name} {count}" for name, count in sorted(at_home.items()))
    found = f"{resumed} of {visits} visits resumed, {strayed} strayed; clients of {spread}"
    return Found(resumed == visits and not strayed, found)


async def _wrong(seen: Seen) -> Found:
    enclave = seen.stage.enclave(WRONG)
    said = await seen.refusal(enclave.address)
    got = enclave.application.requests
    found = f"the balancer led nobody to {WRONG}; a client went there by itself, and"
    return Found(said.startswith("refused: pcr0:") and not got, found, said)


async def _middle(seen: Seen) -> Found:
    middle = Middle(seen.stage.door, APP)
    async with standing_between(middle, own_credentials(APP)):
        said = await seen.refusal(middle.address)
    found = "he ends TLS with a key of his own, and passes the enclave's evidence on"
    return _foiled(middle, said, "key_binding", found)


async def _stolen(seen: Seen) -> Found:
    victim = seen.stage.enclave(_home(seen))
    middle = Middle(victim.address, APP)
    async with standing_between(middle, await victim.leaked()):
        said = await seen.refusal(middle.address)
    found = f"he has the TLS key of {victim.name}, too, but his connection is another"
    return _foiled(middle, said, "exporter", found)


def _foiled(middle: Middle, said: str, check: str, what: str) -> Found:
    heard = len(middle.heard)
    good = said.startswith(f"refused: {check}:") and not heard
    return Found(good, f"{what}; the client tells him {heard} bytes, and", said)


async def _unknown(seen: Seen) -> Found:
    said = await seen.refusal(seen.stage.door, UNKNOWN)
    seen.refused += 1
    return Found("unrecognized name" in said, f"a client asks for {UNKNOWN}, and", said)


async def _fail_over(seen: Seen) -> Found:
    victim = _home(seen)
    bereaved = [client for client, home in seen.homes.items() if home == victim]
    await seen.stage.enclave(victim).kill()
    visits = await seen.all_visit(bereaved)
    good = all(
        visit.account.standing is Continuity.SWITCHED
        and visit.account.basis is Basis.EXPORTER
        and visit.enclave != victim
        for visit in visits
    )
    said = " and ".join({f"{v.account.standing} ({v.account.basis})" for v in visits})
    served = _listed(visit.enclave for visit in visits)
    found = f"{victim} killed: its clients ({len(visits)}) were served by {served}, and say: {said}"
    return Found(good, found)


async def _next(seen: Seen) -> Found:
    victim = _home(seen)

    async def failures() -> int:
        told = await seen.stage.seen()
        return sum(sum(each["dial_failures"].values()) for each in told if each["name"] == victim)

    failed = await _until(failures, lambda count: count > 0)
    found = f"{failed} dials to {victim} failed, and each went on to the next enclave"
    return Found(failed > 0, found)


async def _counted(seen: Seen) -> Found:
    async def count() -> int:
        return (await seen.stage.status())["connections"]["refused"]

    refused = await _until(count, lambda count: count == seen.refused)
    answered = sum(enclave.application.requests for enclave in seen.stage.enclaves)
    found = (
        f"{seen.answers} requests answered, {answered} seen in enclaves; "
        f"{refused} of {seen.refused} connections refused that had to be"
    )
    return Found((answered, refused) == (seen.answers, seen.refused), found)


async def _ended(seen: Seen) -> Found:
    good = await seen.stage.balancer.stop()
    return Found(good, "the balancer ended when asked" if good else "the balancer did not end")


async def _until(ask: Callable[[], Awaitable[_T]], happened: Callable[[_T], bool]) -> _T:
    """Ask until the answer is as it should be, or it has taken too long; return the last one."""
    found = await ask()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_COUNTED_SECONDS):
            while not happened(found):
                await asyncio.sleep(_LOOK_SECONDS)
                found = await ask()
    return found


def _home(seen: Seen) -> BackendName:
    """Return the enclave of the first client: one that has something to lose."""
    return seen.homes[seen.stage.clients[0]]


def _listed(names: Iterable[BackendName]) -> str:
    return " and ".join(sorted(set(names))) or "nobody"


STEPS: Final[Mapping[str, Step]] = {
    "proved, or no traffic": _proved,
    "routed by name": _routed,
    "same client, same enclave": _loyal,
    "wrong enclave": _wrong,
    "man in the middle": _middle,
    "… with a stolen key": _stolen,
    "unknown name": _unknown,
    "fail-over": _fail_over,
    "dial failed, next enclave": _next,
    "all counted": _counted,
    "ended": _ended,
}
"""What is played, by title, in order: each step rests on those before it."""
