"""Tests of learning the names of whole pools: real servers, and scripted ones for the rest."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from l4proxy.control.membership import Member
from l4proxy.control.tickets import learner as room
from l4proxy.control.tickets import subject
from l4proxy.control.tickets.interview import Interview
from l4proxy.control.tickets.layouts import KeyName, Ticket
from l4proxy.control.tickets.learner import (
    MAX_PROOFS,
    ROUND_SECONDS,
    VISIT_SECONDS,
    Learner,
    Questions,
)
from l4proxy.control.tickets.registry import NameRegistry
from l4proxy.control.tickets.subject import TicketRules
from l4proxy.control.tickets.visit import Approach, TicketFault, Visit
from routing import Address, BackendName, PoolName, TicketNames
from sni import ServerName
from tests.e2e.backends import Backend
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate
from tests.l4proxy.control.tickets.stacks import Rotating, Stack, plain, python_server
from tests.l4proxy.control.tickets.test_visit import context_of

APP, API = PoolName("app"), PoolName("api")
A, B, C = (BackendName(name) for name in "abc")
RULES = TicketRules(ServerName("app.example.com"))
RED, BLUE, GREEN = plain("red"), plain("blue"), plain("green")


@dataclass
class Play:
    """Backends by port, each with the names that its worker processes show in turn."""

    names: dict[int, list[KeyName]] = field(default_factory=dict)
    faults: dict[int, TicketFault] = field(default_factory=dict)
    held: dict[int, set[KeyName]] = field(default_factory=dict)
    interviews: Counter[int] = field(default_factory=Counter)
    visits: Counter[int] = field(default_factory=Counter)
    proofs: list[tuple[int, int, KeyName]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def questions(self) -> Questions:
        """How to ask them."""
        return Questions(self.interview, self.visit, self.share_a_key)

    async def interview(self, approach: Approach) -> Interview:
        """Show each name twice."""
        port = approach.address.port
        await self._busy()
        self.interviews[port] += 1
        if port in self.faults:
            return Interview(fault=self.faults[port])
        names = self.names.get(port, [])
        return Interview(tuple(ticket(name) for name in names * 2), "TLSv1.3", 300.0)

    async def visit(self, approach: Approach) -> Visit:
        """Show the first name."""
        port = approach.address.port
        await self._busy()
        self.visits[port] += 1
        if port in self.faults:
            return Visit(self.faults[port])
        return Visit(None, ticket(self.names[port][0]), "TLSv1.3", 300.0)

    async def share_a_key(self, owner: Approach, claimant: Approach, name: KeyName) -> bool:
        """Say what is held."""
        await asyncio.sleep(0)
        self.proofs.append((owner.address.port, claimant.address.port, name))
        return name in self.held.get(claimant.address.port, ())

    async def _busy(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1


def ticket(name: KeyName) -> Ticket:
    """A new ticket of this name."""
    return Stack(name.name).ticket(random.Random())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """First interviews do not wait."""
    monkeypatch.setattr(room, "FIRST_SECONDS", 0.0)


def pools(**ports: int) -> dict[PoolName, tuple[Member, ...]]:
    """The pool `app`, whose backends have these ports."""
    return pool(APP, ports)


def pool(name: PoolName, ports: Mapping[str, int]) -> dict[PoolName, tuple[Member, ...]]:
    """One pool whose backends have these ports."""
    members = (
        Member(BackendName(text), Address("127.0.0.1", port)) for text, port in ports.items()
    )
    return {name: tuple(members)}


@asynccontextmanager
async def learning(
    play: Play | None, watched: Mapping[PoolName, tuple[Member, ...]], rules: TicketRules = RULES
) -> AsyncIterator[tuple[Learner, list[PoolName]]]:
    """A learner at work, and the pools of which it told."""
    told: list[PoolName] = []
    learner = Learner(NameRegistry(), told.append, play.questions() if play else None)
    learner.watch(watched, dict.fromkeys(watched, rules))
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(learner.run())
        yield learner, told
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; the learner's own end is bounded."""
    while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
        await asyncio.sleep(0.002)


def names(owned: Mapping[KeyName, BackendName]) -> TicketNames:
    """Names and owners as routing reads them."""
    return TicketNames(name.of(owner) for name, owner in owned.items())


# --- real servers ---------------------------------------------------------------------------------


async def test_real_servers_are_learned_and_followed(certificate: Certificate) -> None:
    """Each server's name leads to it; when one rotates its key, one question brings the new one."""
    keys = {name: Rotating(context_of(certificate)) for name in "abc"}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Backend(held)) for name, held in keys.items()}
        ports = {name: server.port for name, server in servers.items()}
        async with learning(None, pools(**ports)) as (learner, told):
            known = learner.registry
            await until(lambda: len(known.names(APP).names) == 3)
            assert {each.owner for each in known.names(APP).names} == {A, B, C}
            assert {each.fault for each in learner.standings(APP).values()} == {None}
            before, times = known.names(APP), len(told)
            keys["b"].context = context_of(certificate)
            assert learner.ask(APP)
            await until(lambda: len(known.names(APP).names) == 4)
            (new,) = known.names(APP).names - before.names
            assert new.owner == B
            assert len(told) > times
            assert set(told) == {APP}


async def test_real_servers_share_a_key_and_prove_it(certificate: Certificate) -> None:
    """Two servers of one key: its name leads to both of them."""
    shared, own = context_of(certificate), context_of(certificate)
    with python_server(shared) as one, python_server(shared) as two, python_server(own) as three:
        ports = {"a": one.port, "b": two.port, "c": three.port}
        async with learning(None, pools(**ports)) as (learner, _):
            known = learner.registry
            await until(lambda: len(known.names(APP).names) == 3)
            owners = Counter(each.name for each in known.names(APP).names)
            assert sorted(owners.values()) == [1, 2]


# --- coming and going -----------------------------------------------------------------------------


async def test_backends_come_go_and_move() -> None:
    """New ones are asked, gone ones leave tombstones, and who moves is asked anew."""
    play = Play({1: [RED], 2: [BLUE], 3: [GREEN]})
    async with learning(play, pools(a=1, b=2)) as (learner, told):
        known = learner.registry
        await until(lambda: known.names(APP) == names({RED: A, BLUE: B}))
        learner.watch(pools(b=2, c=3), {APP: RULES})
        await until(lambda: known.names(APP) == names({RED: A, BLUE: B, GREEN: C}))
        assert known.tombstones(APP) == 1
        assert play.interviews == {1: 1, 2: 1, 3: 1}
        learner.watch(pools(c=1), {APP: RULES})
        await until(lambda: known.names(APP).owners(RED.name + bytes(50)) == frozenset({C}))
        assert told.count(APP) > 2
        learner.watch({}, {})
        assert known.names(APP) == TicketNames()
        assert learner.standings(APP) == {}


async def test_a_pool_without_rules_is_not_asked() -> None:
    """Where tickets are switched off nobody is interviewed."""
    play = Play({1: [RED], 2: [BLUE]})
    async with learning(play, pools(a=1)) as (learner, _):
        learner.watch({**pools(a=1), **pool(API, {"b": 2})}, {API: RULES})
        await until(lambda: play.interviews[2])
        assert learner.registry.names(APP) == TicketNames()
        assert not learner.ask(APP)


async def test_other_rules_ask_anew() -> None:
    """Another name in the hello may be another server behind the address."""
    play = Play({1: [RED]})
    async with learning(play, pools(a=1)) as (learner, _):
        await until(lambda: play.interviews[1] == 1)
        learner.watch(pools(a=1), {APP: TicketRules(ServerName("other.example.com"))})
        await until(lambda: play.interviews[1] == 2)


async def test_interviews_are_repeated() -> None:
    """A key that was rotated is found at the next interview, and the old name stays."""
    play = Play({1: [RED]})
    quick = TicketRules(every=0.02)
    async with learning(play, pools(a=1), quick) as (learner, _):
        await until(lambda: play.interviews[1] > 1)
        play.names[1] = [BLUE]
        await until(lambda: learner.registry.names(APP) == names({RED: A, BLUE: A}))


async def test_names_expire_while_nobody_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passing of time alone clears tombstones, and who reads the names is told."""
    monkeypatch.setattr(room, "EXPIRE_SECONDS", 0.01)
    play = Play({1: [RED]})
    async with learning(play, pools(a=1)) as (learner, told):
        await until(lambda: learner.registry.names(APP))
        learner.watch({APP: ()}, {APP: RULES})
        times = len(told)
        monkeypatch.setattr(room, "_now", lambda: asyncio.get_running_loop().time() + 1e6)
        await until(lambda: learner.registry.names(APP) == TicketNames())
        assert told[times:] == [APP]


async def test_interviews_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many backends appear at once, no more than the bound are asked at a time."""
    monkeypatch.setattr(room, "MAX_INTERVIEWS", 3)
    play = Play()
    ports = {f"b{port}": port for port in range(1, 51)}
    async with learning(play, pools(**ports)):
        await until(lambda: len(play.interviews) == 50)
    assert 1 <= play.most_at_once <= 3


# --- faults ---------------------------------------------------------------------------------------


async def test_who_gives_no_names_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Fault, count and one line in the log; the others are known all the same."""
    demands = TicketFault.CLIENT_CERTIFICATE
    play = Play({1: [RED], 3: []}, {2: demands})
    async with learning(play, pools(a=1, b=2, c=3)) as (learner, _):
        await until(lambda: play.interviews.total() == 3 and learner.standings(APP)[C].fault)
        faults = {name: each.fault for name, each in learner.standings(APP).items()}
        assert faults == {A: None, B: demands, C: TicketFault.NAMELESS}
        counts = {(APP, ""): 1, (APP, str(demands)): 1, (APP, str(TicketFault.NAMELESS)): 1}
        assert learner.outcomes == counts
        assert learner.registry.names(APP) == names({RED: A})
    assert sorted(line.levelno for line in caplog.records) == [logging.WARNING] * 2


async def test_who_lastingly_gives_none_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked twice and then no more, not in rounds either, until it returns to health."""
    monkeypatch.setattr(subject, "RETRY_SECONDS", 0.01)
    play = Play({1: [RED]}, {2: TicketFault.NO_TICKETS})
    async with learning(play, pools(a=1, b=2)) as (learner, _):
        await until(lambda: play.interviews[2] == 2)
        assert learner.ask(APP)
        await until(lambda: play.visits[1])
        await asyncio.sleep(0.1)
        assert play.interviews[2] == 2
        assert not play.visits[2]
        play.names[2] = [BLUE]
        del play.faults[2]
        learner.returned(APP, B)
        learner.returned(APP, A)
        learner.returned(APP, C)
        await until(lambda: learner.registry.names(APP) == names({RED: A, BLUE: B}))
        assert play.interviews[1] == 1


async def test_a_bug_ends_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that finds a bug of ours is logged, and the others are asked on."""
    play = Play({1: [RED], 2: [BLUE]})

    async def share_a_key(*_: object) -> bool:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(play, "share_a_key", share_a_key)
    async with learning(play, pools(a=1, b=2)) as (learner, _):
        await until(lambda: len(learner.registry.names(APP).names) == 2)
        play.names = {1: [], 2: [GREEN], 3: [BLUE]}
        assert learner.ask(APP)
        await until(lambda: "list index out of range" in caplog.text and play.visits[2])
        learner.watch(pools(a=1, b=2, c=3), {APP: RULES})
        await until(lambda: learner.outcomes[APP, "local"])
        assert learner.standings(APP)[C].fault is TicketFault.LOCAL
        assert learner.registry.names(APP) == names({RED: A, BLUE: B, GREEN: B})
    assert "nobody foresaw this" in caplog.text


# --- rounds ---------------------------------------------------------------------------------------


async def test_a_question_brings_a_new_name_and_then_the_rest() -> None:
    """One visit each shows the new name; that it is new has the backend's other workers asked."""
    play = Play({1: [RED], 2: [BLUE]})
    async with learning(play, pools(a=1, b=2)) as (learner, _):
        known = learner.registry
        await until(lambda: len(known.names(APP).names) == 2)
        play.names[1] = [GREEN, plain("other worker")]
        assert learner.ask(APP)
        await until(lambda: len(known.names(APP).names) == 4)
        assert play.visits == {1: 1, 2: 1}
        assert play.interviews == {1: 2, 2: 1}


async def test_there_is_one_round_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown names without end cause a round per pool each few seconds, and no other."""
    now = 1_000.0
    monkeypatch.setattr(room, "_now", lambda: now)
    play = Play({1: [RED], 2: [BLUE]})
    watched = {**pools(a=1), **pool(API, {"b": 2})}
    async with learning(play, watched) as (learner, _):
        await until(lambda: learner.registry.names(APP) and learner.registry.names(API))
        assert [learner.ask(APP) for _ in range(1_000)].count(True) == 1
        assert learner.ask(API)
        now += ROUND_SECONDS - 0.1
        assert not learner.ask(APP)
        now += 0.2
        assert learner.ask(APP)
        await until(lambda: play.visits == {1: 2, 2: 1})
        assert learner.rounds == {APP: 2, API: 1}


async def test_a_large_pool_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Visits a second are bounded, whatever the size of the pool; so are visits at once."""
    now = 1_000.0
    monkeypatch.setattr(room, "_now", lambda: now)
    monkeypatch.setattr(room, "MAX_QUICK_VISITS", 3)
    play = Play({port: [plain(f"n{port}")] for port in range(1, 201)})
    async with learning(play, pools(**{f"b{port}": port for port in play.names})) as (learner, _):
        await until(lambda: len(learner.registry.names(APP).names) == 200)
        play.most_at_once = 0
        assert learner.ask(APP)
        now += 200 * VISIT_SECONDS - 0.1
        assert not learner.ask(APP)
        now += 0.2
        await until(lambda: play.visits.total() == 200)
        assert play.most_at_once <= 3
        assert learner.ask(APP)


async def test_nobody_is_asked_who_could_not_answer() -> None:
    """Before the learner runs, in a pool that is not there, and where no layout is proven."""
    play = Play({1: [RED]}, {2: TicketFault.NO_TICKETS})
    learner = Learner(NameRegistry(), lambda _: None, play.questions())
    learner.watch(pools(a=1), {APP: RULES})
    assert not learner.ask(APP)
    async with learning(play, pools(b=2)) as (learner, _):
        await until(lambda: play.interviews[2])
        assert not learner.ask(APP)
        assert not learner.ask(API)
    assert not play.visits


async def test_an_answer_that_comes_too_late_is_dropped() -> None:
    """A backend that left or failed meanwhile teaches nothing."""
    play = Play({1: [RED], 2: [BLUE]})
    async with learning(play, pools(a=1, b=2)) as (learner, _):
        await until(lambda: len(learner.registry.names(APP).names) == 2)
        play.names[1], play.faults[2] = [GREEN], TicketFault.TIMEOUT
        assert learner.ask(APP)
        learner.watch(pools(b=2), {APP: RULES})
        await until(lambda: play.visits == {1: 1, 2: 1})
        assert learner.registry.names(APP) == names({RED: A, BLUE: B})


# --- rivals ---------------------------------------------------------------------------------------


async def test_a_thief_is_refused_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Who shows another's name and cannot open its tickets gets nothing; rounds do not help it."""
    play = Play({1: [RED]})
    async with learning(play, pools(a=1)) as (learner, _):
        known = learner.registry
        await until(lambda: known.names(APP))
        play.names[2] = [RED, BLUE]
        learner.watch(pools(a=1, b=2), {APP: RULES})
        await until(lambda: play.proofs)
        assert play.proofs == [(1, 2, RED)]
        await until(lambda: "does not hold the key" in caplog.text)
        assert learner.ask(APP)
        await until(lambda: play.visits[2])
        assert known.names(APP) == names({RED: A, BLUE: B})
        assert known.statistics(APP)[B].clashes == 2
        assert play.interviews[2] == 1


async def test_who_holds_the_key_gets_the_name() -> None:
    """A proof makes the name one of both; a fleet that changes to a new common key as well."""
    play = Play({1: [RED], 2: [RED]}, held={1: {RED, BLUE}, 2: {RED, BLUE}})
    both = TicketNames(name.of(owner) for name in (RED, BLUE) for owner in (A, B))
    async with learning(play, pools(a=1, b=2)) as (learner, _):
        known = learner.registry
        await until(lambda: len(known.names(APP).names) == 2)
        assert len(play.proofs) == 1
        play.names = {1: [BLUE], 2: [BLUE]}
        assert learner.ask(APP)
        await until(lambda: known.names(APP) == both)


async def test_clashes_are_looked_into_within_bounds() -> None:
    """A backend that shows many names of others causes few handshakes with them."""
    many = [plain(f"n{number}") for number in range(20)]
    play = Play({1: many})
    async with learning(play, pools(a=1)) as (learner, _):
        await until(lambda: learner.registry.names(APP))
        play.names[2] = many
        learner.watch(pools(a=1, b=2), {APP: RULES})
        await until(lambda: learner.registry.statistics(APP)[B].clashes == 20)
        await asyncio.sleep(0.05)
        assert len(play.proofs) == MAX_PROOFS


async def test_an_owner_that_leaves_meanwhile_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between clash and proof the owner may go: then there is nobody to ask."""
    play = Play({1: [RED], 2: [RED]})
    async with learning(play, pools(a=1)) as (learner, _):
        await until(lambda: learner.registry.names(APP))
        monkeypatch.setattr(random, "choice", lambda _: C)
        learner.watch(pools(a=1, b=2), {APP: RULES})
        await until(lambda: learner.registry.statistics(APP)[B].clashes)
        await asyncio.sleep(0.05)
        assert not play.proofs


# --- other sources --------------------------------------------------------------------------------


async def test_others_may_put_names_in() -> None:
    """What was learned by other means is published like the rest."""
    play = Play({}, {1: TicketFault.CLIENT_CERTIFICATE})
    async with learning(play, pools(a=1)) as (learner, told):
        learner.registry.learn(APP, A, [RED], asyncio.get_running_loop().time())
        learner.publish()
        learner.publish()
        assert told == [APP]
