"""Tests of whose a name is: owners, rivals, heirs, and bounds that hostile backends meet."""

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from l4proxy.control.tickets import registry as room
from l4proxy.control.tickets.layouts import PLAIN, KeyName
from l4proxy.control.tickets.registry import (
    MAX_LIFETIME_SECONDS,
    MAX_NAMES_PER_BACKEND,
    Clash,
    NameRegistry,
    NameStatistics,
)
from routing import Address, BackendName, PoolName, TicketNames
from tests.l4proxy.control.tickets.stacks import plain

APP, API = PoolName("app"), PoolName("api")
A, B, C = (BackendName(name) for name in "abc")
HOMES = {name: Address("127.0.0.1", port) for port, name in enumerate((A, B, C), 1)}
RED, BLUE, GREEN = plain("red"), plain("blue"), plain("green")


def registry(*names: BackendName) -> NameRegistry:
    """A registry whose pool `app` has these backends."""
    made = NameRegistry()
    there(made, *names)
    return made


def there(known: NameRegistry, *names: BackendName) -> None:
    """These and no others are in the pool `app` from now on."""
    known.settle({APP: {name: HOMES[name] for name in names}})


def names(owned: Iterable[tuple[KeyName, BackendName]]) -> TicketNames:
    """Names and owners as routing reads them."""
    return TicketNames(name.of(owner) for name, owner in owned)


def owners(known: NameRegistry, name: KeyName, pool: PoolName = APP) -> frozenset[str]:
    """Who opens a ticket of this name, as far as routing knows."""
    return known.names(pool).owners(name.layout.before + name.name + bytes(100)) or frozenset()


def test_a_name_is_its_backends() -> None:
    """What a backend shows leads to it, in its own pool and in no other."""
    known = NameRegistry()
    known.settle({APP: {A: HOMES[A], B: HOMES[B]}, API: {A: HOMES[C]}})
    assert known.learn(APP, A, [RED], 0.0) == ()
    assert known.learn(APP, B, [BLUE, GREEN], 0.0) == ()
    assert known.learn(API, A, [BLUE], 0.0) == ()
    assert known.names(APP) == names([(RED, A), (BLUE, B), (GREEN, B)])
    assert known.names(API) == names([(BLUE, A)])


def test_who_holds_a_key_together_is_known() -> None:
    """As long as they show it; not with those who have left, and not for what they showed once."""
    known = registry(A, B, C)
    for name in (RED, GREEN):
        known.learn(APP, A, [name], 0.0)
        known.share(APP, B, [name], 1.0)
    known.learn(APP, C, [BLUE], 1.0)
    assert known.shared(APP, 0.0) == {frozenset({A, B})}
    assert known.shared(APP, 0.5) == frozenset()
    known.learn(APP, A, [RED], 2.0)
    assert known.shared(APP, 0.5) == {frozenset({A, B})}
    there(known, A, C)
    assert known.shared(APP, 0.0) == frozenset()
    assert known.shared(API, 0.0) == frozenset()


def test_the_value_stays_the_same_until_it_changes() -> None:
    """Learning the same again builds nothing; the version says when it is another value."""
    known = registry(A)
    assert (known.version(APP), known.names(APP)) == (0, TicketNames())
    known.learn(APP, A, [RED], 0.0)
    version, value = known.version(APP), known.names(APP)
    known.learn(APP, A, [RED], 1.0)
    assert known.version(APP) == version
    assert known.names(APP) is value
    known.learn(APP, A, [BLUE], 1.0)
    assert known.version(APP) > version
    assert known.names(APP) != value


def test_a_rotated_name_stays_while_its_tickets_live() -> None:
    """The old name leads home until the lifetime has passed, counted from when it was last seen."""
    known = registry(A)
    known.learn(APP, A, [RED], 0.0, 100.0)
    known.learn(APP, A, [RED], 50.0, 100.0)
    known.learn(APP, A, [BLUE], 60.0, 1_000.0)
    known.expire(149.9)
    assert owners(known, RED) == {A}
    version = known.version(APP)
    known.expire(150.0)
    assert known.names(APP) == names([(BLUE, A)])
    assert known.version(APP) > version


def test_a_shorter_word_does_not_shorten_what_was_said() -> None:
    """Tickets given under the longer lifetime are still about."""
    known = registry(A)
    known.learn(APP, A, [RED], 0.0, 1_000.0)
    known.learn(APP, A, [RED], 1.0, 10.0)
    known.expire(999.0)
    assert owners(known, RED) == {A}


@pytest.mark.parametrize("lifetime", [None, 10 * MAX_LIFETIME_SECONDS])
def test_no_name_lives_longer_than_tickets_may(lifetime: float | None) -> None:
    """Whatever a server says of its tickets, after seven days they are dead."""
    known = registry(A)
    known.learn(APP, A, [RED], 0.0, lifetime)
    known.expire(MAX_LIFETIME_SECONDS - 1)
    assert owners(known, RED) == {A}
    known.expire(MAX_LIFETIME_SECONDS)
    assert owners(known, RED) == frozenset()


# --- rivals ---------------------------------------------------------------------------------------


def test_a_name_cannot_be_taken_from_a_backend_that_is_there() -> None:
    """Who shows another's name does not get it, keeps its own, and is counted."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0)
    assert known.learn(APP, B, [RED, BLUE], 1.0) == (Clash(RED, frozenset({A})),)
    assert known.names(APP) == names([(RED, A), (BLUE, B)])
    assert known.statistics(APP) == {A: NameStatistics(1), B: NameStatistics(1, clashes=1)}


def test_who_holds_the_key_as_well_shares_the_name() -> None:
    """A proven key belongs to both; shown again by either there is no clash."""
    known = registry(A, B, C)
    known.learn(APP, A, [RED], 0.0, 100.0)
    known.share(APP, B, [RED], 1.0, 100.0)
    assert owners(known, RED) == {A, B}
    assert known.learn(APP, A, [RED], 2.0, 10.0) == known.learn(APP, B, [RED], 2.0, 10.0) == ()
    assert known.learn(APP, C, [RED], 3.0) == (Clash(RED, frozenset({A, B})),)


def test_a_thief_gets_nothing_by_waiting_for_less_than_the_owners_end() -> None:
    """While the owner is there its name is safe, also when it was rotated away."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0, 100.0)
    known.learn(APP, A, [BLUE], 50.0, 100.0)
    assert known.learn(APP, B, [RED], 99.0)
    known.expire(100.0)
    assert known.learn(APP, B, [RED], 100.0) == ()


# --- who has gone ---------------------------------------------------------------------------------


def test_a_backend_that_has_gone_leaves_a_tombstone() -> None:
    """Its names stay known, so that nobody waits for them; in time they are forgotten."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0, 100.0)
    version = known.version(APP)
    there(known, B)
    assert owners(known, RED) == {A}
    assert known.version(APP) == version
    assert known.statistics(APP) == {B: NameStatistics()}
    assert known.tombstones(APP) == 1
    known.expire(100.0)
    assert (known.tombstones(APP), known.names(APP)) == (0, TicketNames())


def test_a_backend_that_comes_back_has_its_names_again() -> None:
    """A hiccup of discovery costs nobody a session."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0)
    there(known, B)
    there(known, A, B)
    assert known.learn(APP, B, [RED], 1.0) == (Clash(RED, frozenset({A})),)
    assert owners(known, RED) == {A}
    assert known.tombstones(APP) == 0


def test_a_successor_inherits_what_it_shows() -> None:
    """An enclave that replaces another and has its key gets the name; it leads to it alone."""
    known = registry(A)
    known.learn(APP, A, [RED, BLUE], 0.0)
    there(known, B)
    assert known.learn(APP, B, [RED], 1.0) == ()
    assert known.names(APP) == names([(RED, B), (BLUE, A)])


def test_a_backend_that_moves_is_another_one() -> None:
    """Old names lead nowhere, though the name of the backend is the same; not even after a gap."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0)
    known.learn(APP, B, [BLUE], 0.0)
    known.settle({APP: {A: HOMES[C], B: HOMES[B]}})
    assert owners(known, RED).isdisjoint({A, B})
    assert known.tombstones(APP) == 1
    there(known)
    known.settle({APP: {B: HOMES[A]}})
    assert owners(known, BLUE).isdisjoint({A, B})
    assert known.learn(APP, B, [RED, BLUE], 1.0) == ()
    assert known.names(APP) == names([(RED, B), (BLUE, B)])


def test_what_is_said_of_strangers_is_passed_over() -> None:
    """An answer that comes when its backend or pool has gone changes nothing."""
    known = registry(A)
    for pool, name in ((APP, B), (API, A)):
        assert known.learn(pool, name, [RED], 0.0) == ()
        known.share(pool, name, [RED], 0.0)
        assert (known.names(pool), known.version(pool)) == (TicketNames(), 0)
    assert known.statistics(API) == {}
    assert known.tombstones(API) == 0


def test_a_pool_that_has_gone_is_forgotten() -> None:
    """Its names with it: a pool of that name is another one."""
    known = registry(A)
    known.learn(APP, A, [RED], 0.0)
    known.settle({})
    there(known, A)
    assert known.names(APP) == TicketNames()


# --- bounds ---------------------------------------------------------------------------------------


def test_a_backend_can_flood_only_itself() -> None:
    """Names without end push out the flooder's own oldest ones, and nobody else's."""
    known = registry(A, B)
    known.learn(APP, A, [RED], 0.0)
    for number in range(5_000):
        known.learn(APP, B, [plain(f"n{number}")], float(number))
    assert owners(known, RED) == {A}
    last = range(5_000 - MAX_NAMES_PER_BACKEND, 5_000)
    assert known.names(APP) == names([(RED, A), *((plain(f"n{each}"), B) for each in last)])


def test_a_name_that_is_shown_stays() -> None:
    """Over the bound goes what was not shown for longest."""
    known = registry(A)
    for number in range(MAX_NAMES_PER_BACKEND):
        known.learn(APP, A, [plain(f"n{number}")], float(number))
    known.learn(APP, A, [plain("n0")], 1_000.0)
    known.learn(APP, A, [RED], 1_001.0)
    assert owners(known, plain("n0")) == {A}
    assert owners(known, plain("n1")) == frozenset()


def test_all_backends_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is met new names are left out and counted; known ones are kept and refreshed."""
    monkeypatch.setattr(room, "MAX_NAMES", 3)
    known = registry(A, B)
    known.learn(APP, A, [RED, BLUE, GREEN], 0.0, 10.0)
    known.learn(APP, B, [plain("late")], 1.0)
    known.learn(APP, A, [RED], 5.0, 10.0)
    assert known.statistics(APP) == {A: NameStatistics(3), B: NameStatistics(left_out=1)}
    known.expire(10.0)
    known.learn(APP, B, [plain("late")], 11.0)
    assert known.names(APP) == names([(RED, A), (plain("late"), B)])


def test_tombstones_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, over all pools; who is there loses nothing."""
    monkeypatch.setattr(room, "MAX_TOMBSTONES", 2)
    known = NameRegistry()
    known.settle({APP: {A: HOMES[A], B: HOMES[B]}, API: {A: HOMES[C]}})
    known.learn(APP, A, [RED], 1.0)
    known.learn(API, A, [GREEN], 2.0)
    known.learn(APP, A, [BLUE], 3.0)
    known.learn(APP, B, [plain("here")], 0.0)
    known.settle({APP: {B: HOMES[B]}, API: {}})
    assert known.names(APP) == names([(BLUE, A), (plain("here"), B)])
    assert known.names(API) == names([(GREEN, A)])


NAMES = [plain(f"n{number}") for number in range(6)]


class Play(RuleBasedStateMachine):
    """Backends come, go, move and claim; what must never be is looked for after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.known = NameRegistry()
        self.now = 0.0
        self.there: dict[BackendName, Address] = {}
        self.proven = set[tuple[KeyName, BackendName]]()
        self.seen = dict[int, TicketNames]()

    @rule(ports=st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 2)))
    def settle(self, ports: dict[BackendName, int]) -> None:
        """Others are there."""
        self.there = {name: Address("127.0.0.1", port) for name, port in ports.items()}
        self.known.settle({APP: self.there})

    @rule(
        name=st.sampled_from([A, B, C]),
        shown=st.lists(st.sampled_from(NAMES)),
        lifetime=st.none() | st.floats(0.1, 1e6),
    )
    def learn(self, name: BackendName, shown: list[KeyName], lifetime: float | None) -> None:
        """A backend shows names: each is its own from now on, or another's who is there."""
        before = {each: owners(self.known, each) & self.there.keys() for each in shown}
        clashes = {each.name for each in self.known.learn(APP, name, shown, self.now, lifetime)}
        if name in self.there:
            for each in shown:
                rivals = before[each] and name not in before[each]
                assert (each in clashes) is bool(rivals)
                assert (name in owners(self.known, each)) is not bool(rivals)

    @rule(name=st.sampled_from([A, B, C]), shown=st.sampled_from(NAMES))
    def share(self, name: BackendName, shown: KeyName) -> None:
        """A backend has proven that it holds a key."""
        self.proven.add((shown, name))
        self.known.share(APP, name, [shown], self.now)

    @rule(seconds=st.floats(0.0, 2 * MAX_LIFETIME_SECONDS))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.known.expire(self.now)

    @invariant()
    def sharing_is_proven(self) -> None:
        """A name has two owners that are there only if all but one have proven it."""
        for name in NAMES:
            both = owners(self.known, name) & self.there.keys()
            unproven = [each for each in both if (name, each) not in self.proven]
            assert len(unproven) <= 1

    @invariant()
    def versions_tell(self) -> None:
        """One version is one value."""
        value = self.known.names(APP)
        assert self.seen.setdefault(self.known.version(APP), value) == value
        assert all(each.layout == PLAIN for each in value.names)


TestPlay = Play.TestCase
TestPlay.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
