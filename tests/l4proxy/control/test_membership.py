"""Who exists: nobody twice, never too many, and the last good answer stays."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from l4proxy.control.found import Found, Phase
from l4proxy.control.membership import (
    AlreadyThere,
    Feed,
    Member,
    Membership,
    MembershipError,
    Places,
    Source,
    SourceName,
    TooMany,
    Unknown,
)
from l4proxy.limits import MAX_BACKENDS
from routing import Address, BackendName, BadBackend

FIRST: Final = SourceName("first")
SECOND: Final = SourceName("second")


def at(last: int, port: int = 443) -> Address:
    """Return an address of the network of all tests."""
    return Address(f"10.0.0.{last}", port)


def seen(*addresses: Address) -> list[Found]:
    """Return what a source tells that knows addresses alone."""
    return [Found(address) for address in addresses]


def named(name: str, last: int, weight: int = 1) -> Member:
    """Return a member."""
    return Member(BackendName(name), at(last), weight)


def names(membership: Membership) -> list[str]:
    """Return the members' names in order."""
    return [member.name for member in membership.members()]


# --- the order, and who wins ----------------------------------------------------------------------


def test_the_order_is_that_of_the_sources() -> None:
    """First the API's by name, then the configuration's as written, then DNS by address."""
    pool = Membership([named("z", 1), named("y", 2)], {FIRST: Feed(), SECOND: Feed()})
    pool.discovered(SECOND, seen(at(7)))
    pool.discovered(FIRST, seen(at(10), at(9), Address("2001:db8::1", 443), at(9)))
    pool.put(named("b", 4))
    pool.put(named("a", 5))
    assert [(member.name, member.source) for member in pool.members()] == [
        ("a", Source.API),
        ("b", Source.API),
        ("z", Source.STATIC),
        ("y", Source.STATIC),
        ("10.0.0.9:443", Source.DNS),
        ("10.0.0.10:443", Source.DNS),
        ("[2001:db8::1]:443", Source.DNS),
        ("10.0.0.7:443", Source.DNS),
    ]


def test_of_two_at_one_address_the_earlier_source_wins() -> None:
    """The configuration hides what DNS finds, the API hides both; none is there twice."""
    pool = Membership([named("a", 1)], {FIRST: Feed(), SECOND: Feed()})
    pool.discovered(FIRST, seen(at(1), at(2), at(3)))
    pool.discovered(SECOND, seen(at(3)))
    pool.put(named("mine", 1, weight=3))
    pool.put(named("found", 2))
    assert names(pool) == ["found", "mine", "10.0.0.3:443"]
    assert pool.members()[1].weight == 3


def test_of_two_of_one_name_the_earlier_source_wins() -> None:
    """A backend that is called like another's address hides what DNS finds there."""
    pool = Membership([named("10.0.0.2:443", 1)], {FIRST: Feed()})
    pool.discovered(FIRST, seen(at(2)))
    assert [member.address for member in pool.members()] == [at(1)]


# --- discovery ------------------------------------------------------------------------------------


def test_a_source_may_say_that_there_is_none() -> None:
    """Then there is none: a source that does not know says nothing."""
    pool = Membership([], {FIRST: Feed()})
    pool.discovered(FIRST, seen(at(1)))
    version = pool.version
    pool.discovered(FIRST, seen())
    assert (names(pool), pool.version) == ([], version + 1)


def test_what_is_found_may_have_a_name_and_a_phase() -> None:
    """They are the member's, and a change of the phase alone is one of the members."""
    pool = Membership([], {FIRST: Feed(2, Source.KUBERNETES)})
    pod = Found(at(1), BackendName("pod-a"), Phase.WAITING)
    pool.discovered(FIRST, [pod, Found(at(1), BackendName("second"))])
    member = Member(BackendName("pod-a"), at(1), 2, Source.KUBERNETES, phase=Phase.WAITING)
    assert pool.members() == (member,)
    version = pool.version
    pool.discovered(FIRST, [pod._replace(phase=Phase.ELIGIBLE)])
    assert pool.members() == (replace(member, phase=Phase.ELIGIBLE),)
    assert pool.version == version + 1


def test_a_new_answer_replaces_the_old_one() -> None:
    """What is no longer found is gone; what the API put stays."""
    pool = Membership([], {FIRST: Feed()})
    pool.put(named("a", 1))
    pool.discovered(FIRST, seen(at(2)))
    pool.discovered(FIRST, seen(at(3)))
    assert names(pool) == ["a", "10.0.0.3:443"]


def test_a_source_that_nobody_named_is_an_error() -> None:
    """Only the configuration's sources may name members, even none."""
    with pytest.raises(KeyError):
        Membership([], {FIRST: Feed()}).discovered(SECOND, seen())


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    """The places of all pools are shared; the lowest addresses get those that are left."""
    places = Places(limit=4)
    pool, other = (
        Membership([named("a", 1)], {FIRST: Feed()}, places),
        Membership([], {SECOND: Feed()}, places),
    )
    other.discovered(SECOND, seen(at(1), at(2)))
    pool.discovered(FIRST, seen(at(9), at(8), at(7)))
    assert (names(pool), pool.left_out, places.free) == (["a", "10.0.0.7:443"], 2, 0)
    other.discovered(SECOND, seen(at(1)))
    pool.discovered(FIRST, seen(at(9), at(8), at(7)))
    assert (pool.left_out, places.free) == (1, 0)


# --- the API --------------------------------------------------------------------------------------


def test_a_put_is_there_and_of_the_api() -> None:
    """Whatever it says of its source, a member that is put is the API's."""
    pool = Membership()
    assert pool.put(named("a", 1)).source is Source.API
    assert (names(pool), pool.version) == (["a"], 1)


def test_the_same_put_again_changes_nothing() -> None:
    """A put may be repeated: nobody is told of a change that is none."""
    pool = Membership()
    pool.put(named("a", 1))
    pool.put(named("a", 1))
    assert pool.version == 1
    pool.put(named("a", 1, weight=2))
    assert (pool.version, pool.members()[0].weight) == (2, 2)


@pytest.mark.parametrize(
    "member", [named("static", 9), named("mine", 9), named("10.0.0.3:443", 9), named("other", 2)]
)
def test_what_is_taken_cannot_be_put(member: Member) -> None:
    """A name has one address, and an address of the API one name; nothing changes."""
    pool = Membership([named("static", 1)], {FIRST: Feed()})
    pool.put(named("mine", 2))
    pool.discovered(FIRST, seen(at(3)))
    before = (pool.members(), pool.version)
    with pytest.raises(AlreadyThere, match="delete it first"):
        pool.put(member)
    assert (pool.members(), pool.version) == before


def test_a_put_beyond_all_places_is_refused() -> None:
    """Nobody is pushed out for a newcomer, but one that is there may be taken over."""
    pool = Membership([], {FIRST: Feed()}, Places(limit=2))
    pool.discovered(FIRST, seen(at(1), at(2)))
    with pytest.raises(TooMany, match="all 2 places"):
        pool.put(named("a", 3))
    pool.put(named("a", 2))
    assert names(pool) == ["a", "10.0.0.1:443"]


def test_a_deletion_is_told_whom_it_removed() -> None:
    """What is deleted is gone, and deleting it again finds nobody."""
    pool = Membership([named("a", 1), named("b", 2)])
    assert pool.delete(BackendName("a")) == named("a", 1)
    assert names(pool) == ["b"]
    with pytest.raises(Unknown, match="'a'"):
        pool.delete(BackendName("a"))


def test_a_deletion_removes_what_was_hidden_too() -> None:
    """Who deletes a backend does not meet it again under another name."""
    pool = Membership([named("a", 1)], {FIRST: Feed()})
    pool.discovered(FIRST, seen(at(1), at(2)))
    pool.put(named("mine", 1))
    pool.delete(BackendName("mine"))
    assert names(pool) == ["10.0.0.2:443"]


def test_a_deletion_of_what_dns_found_holds_while_it_is_found() -> None:
    """An address that left the answer and came back is another enclave's."""
    pool = Membership([], {FIRST: Feed()})
    pool.discovered(FIRST, seen(at(1), at(2)))
    pool.delete(BackendName("10.0.0.1:443"))
    pool.discovered(FIRST, seen(at(1), at(2), at(3)))
    assert names(pool) == ["10.0.0.2:443", "10.0.0.3:443"]
    pool.discovered(FIRST, seen(at(3)))
    pool.discovered(FIRST, seen(at(1), at(3)))
    assert names(pool) == ["10.0.0.1:443", "10.0.0.3:443"]


def test_what_was_deleted_may_be_put() -> None:
    """A deletion is no ban."""
    pool = Membership([named("a", 1)])
    pool.delete(BackendName("a"))
    pool.put(named("a", 1))
    assert names(pool) == ["a"]


# --- reload ---------------------------------------------------------------------------------------


def test_a_reload_keeps_what_the_configuration_does_not_say() -> None:
    """Puts and answers of sources that remain stay; deletions and other sources end."""
    old = Membership([named("a", 1)], {FIRST: Feed(), SECOND: Feed()})
    old.put(named("mine", 5))
    old.discovered(FIRST, seen(at(6)))
    old.discovered(SECOND, seen(at(7)))
    old.delete(BackendName("a"))
    new = Membership([named("a", 1), named("b", 2)], {FIRST: Feed()})
    new.inherit(old)
    assert names(new) == ["mine", "a", "b", "10.0.0.6:443"]
    assert new.version == old.version + 1


def test_a_reload_without_a_change_is_no_new_version() -> None:
    """The version grows only with the members."""
    old = Membership([named("a", 1)], {FIRST: Feed()})
    old.discovered(FIRST, seen(at(6)))
    new = Membership([named("a", 1)], {FIRST: Feed()})
    new.inherit(old)
    assert (new.members(), new.version) == (old.members(), old.version)


def test_a_reload_that_has_no_place_changes_nothing() -> None:
    """What was put is not dropped silently for what was written, nor the reverse."""
    old = Membership([], places=Places(limit=2))
    old.put(named("x", 1))
    new = Membership([named("a", 2), named("b", 3)], places=Places(limit=2))
    with pytest.raises(TooMany, match="found 3 backends for 2 places"):
        new.inherit(old)
    assert (names(new), names(old)) == (["a", "b"], ["x"])


def test_a_deletion_takes_all_of_a_name() -> None:
    """After a reload a name may be the API's and the configuration's: both go."""
    old = Membership()
    old.put(named("a", 1))
    new = Membership([named("a", 2)])
    new.inherit(old)
    assert [member.address for member in new.members()] == [at(1)]
    new.delete(BackendName("a"))
    assert new.members() == ()


def test_a_deletion_takes_what_was_hidden_at_another_members_address() -> None:
    """An entry of the deleted name goes although its address is another member's, who stays."""
    pool = Membership([named("a", 2), named("a", 1), named("b", 1)])
    pool.delete(BackendName("a"))
    assert pool.members() == (named("b", 1),)


def test_a_deletion_after_a_reload_leaves_what_dns_finds_at_the_hidden_address() -> None:
    """Neither the API's backend nor the configuration's of that name stays; what DNS found does."""
    old = Membership([], {FIRST: Feed()})
    old.put(named("n", 9))
    old.discovered(FIRST, seen(at(1)))
    new = Membership([named("n", 1)], {FIRST: Feed()})
    new.inherit(old)
    assert names(new) == ["n", "10.0.0.1:443"]
    new.delete(BackendName("n"))
    assert [(each.name, each.source) for each in new.members()] == [("10.0.0.1:443", Source.DNS)]


def test_a_deletion_holds_for_what_is_found_later() -> None:
    """DNS does not bring back at once what the configuration named and somebody deleted."""
    pool = Membership([named("a", 1)], {FIRST: Feed()})
    pool.delete(BackendName("a"))
    pool.discovered(FIRST, seen(at(1), at(2)))
    assert names(pool) == ["10.0.0.2:443"]


def test_a_deletion_of_what_only_the_api_named_leaves_no_trace() -> None:
    """What DNS finds later at the address of a backend that is gone is another one."""
    pool = Membership([], {FIRST: Feed()})
    pool.put(named("a", 1))
    pool.delete(BackendName("a"))
    pool.discovered(FIRST, seen(at(1)))
    assert names(pool) == ["10.0.0.1:443"]


# --- bounds ---------------------------------------------------------------------------------------


def test_a_configuration_beyond_all_places_is_refused() -> None:
    """What is written is there whole, or not at all."""
    places = Places(limit=1)
    with pytest.raises(TooMany):
        Membership([named("a", 1), named("b", 2)], places=places)
    assert places.taken == 0


def test_there_are_as_many_places_as_the_load_table_has_cells() -> None:
    """Every member can be counted."""
    assert Places().free == MAX_BACKENDS


@pytest.mark.parametrize(("name", "weight"), [("", 1), ("a", 0), ("a", -1)])
def test_a_member_without_name_or_weight_is_refused(name: str, weight: int) -> None:
    """What could not take part is found where it is described."""
    with pytest.raises(BadBackend):
        named(name, 1, weight)


# --- whatever happens -----------------------------------------------------------------------------

NAMES: Final = ["a", "b", "c", "10.0.0.1:443"]
MEMBERS: Final = st.builds(
    named, st.sampled_from(NAMES), st.integers(1, 5), weight=st.integers(1, 2)
)
STATIC: Final = st.lists(
    MEMBERS,
    max_size=3,
    unique_by=(lambda member: member.name, lambda member: member.address),
)
"""What a configuration may hold: it refuses a name or an address that is there twice."""
ADDRESSES: Final = st.lists(st.integers(1, 7).map(at), max_size=6)
POOLS: Final = st.integers(0, 1)
LIMIT: Final = 6


def test_what_is_found_has_the_weight_of_its_source() -> None:
    """Of two sources that found an address the first counts, and says so."""
    pool = Membership([], {FIRST: Feed(3), SECOND: Feed(2)})
    pool.discovered(SECOND, seen(at(1), at(2)))
    pool.discovered(FIRST, seen(at(2)))
    assert {member.address: member.weight for member in pool.members()} == {at(2): 3, at(1): 2}
    assert [pool.found_by(at(number)) for number in (1, 2, 3)] == [SECOND, FIRST, None]


class Lives(RuleBasedStateMachine):
    """Two pools that share their places, and everything that can happen to them."""

    @initialize(static=STATIC)
    def begin(self, static: list[Member]) -> None:
        """Start with a configuration."""
        self.places = Places(LIMIT)
        self.pools = [
            Membership(static, {FIRST: Feed(), SECOND: Feed()}, self.places),
            Membership([], {FIRST: Feed(), SECOND: Feed()}, self.places),
        ]
        self.good: list[dict[SourceName, set[Address]]] = [{}, {}]
        self.deletions = False

    @rule(pool=POOLS, source=st.sampled_from([FIRST, SECOND]), addresses=ADDRESSES)
    def discover(self, pool: int, source: SourceName, addresses: list[Address]) -> None:
        """A source finds something, or says that there is nothing."""
        self.pools[pool].discovered(source, seen(*addresses))
        self.good[pool][source] = set(addresses)

    @rule(pool=POOLS, member=MEMBERS)
    def put(self, pool: int, member: Member) -> None:
        """The API puts: it is there, or nothing has changed."""
        membership = self.pools[pool]
        before = (membership.members(), membership.version)
        try:
            assert membership.put(member) in membership.members()
        except MembershipError:
            assert (membership.members(), membership.version) == before

    @rule(pool=POOLS, data=st.data())
    def delete(self, pool: int, data: st.DataObject) -> None:
        """The API deletes: this one is gone, and nobody else; a free place may be taken."""
        membership = self.pools[pool]
        before = membership.members()
        name = BackendName(data.draw(st.sampled_from([*NAMES, *names(membership)])))
        waiting = membership.left_out
        self.deletions = True
        try:
            gone = membership.delete(name)
        except Unknown:
            assert membership.members() == before
            return
        assert gone.name not in names(membership)
        assert gone.address not in {member.address for member in membership.members()}
        left = [member for member in before if member != gone]
        assert [member for member in membership.members() if member in left] == left
        assert waiting or membership.members() == tuple(left)

    @rule(static=STATIC)
    def reload(self, static: list[Member]) -> None:
        """A new configuration takes over, or fails and leaves the old one."""
        places = Places(LIMIT)
        sources = {FIRST: Feed(), SECOND: Feed()}
        made = [Membership(static, sources, places), Membership([], sources, places)]
        before = [pool.members() for pool in self.pools]
        try:
            for new, old in zip(made, self.pools, strict=True):
                new.inherit(old)
        except TooMany:
            assert [pool.members() for pool in self.pools] == before
        else:
            self.places, self.pools, self.deletions = places, made, False

    @invariant()
    def the_last_good_answers_hold(self) -> None:
        """All that was found last is there or hidden, if there is room, and nothing else."""
        for pool, good in zip(self.pools, self.good, strict=True):
            members = pool.members()
            expected = set[Address]().union(*good.values())
            found = {member.address for member in members if member.source is Source.DNS}
            assert found <= expected
            if not self.deletions and not pool.left_out:
                taken = {member.address for member in members}
                hidden = {each for each in expected if str(each) in names(pool)}
                assert expected <= taken | hidden

    @invariant()
    def nobody_is_there_twice(self) -> None:
        """Names and addresses are unique within a pool."""
        for pool in self.pools:
            members = pool.members()
            assert len({member.name for member in members}) == len(members)
            assert len({member.address for member in members}) == len(members)

    @invariant()
    def never_too_many(self) -> None:
        """All pools together keep to the places, and every place is accounted for."""
        assert self.places.taken == sum(len(pool.members()) for pool in self.pools) <= LIMIT

    @invariant()
    def the_order_is_of_the_facts(self) -> None:
        """API, configuration, DNS; DNS called by its address; the API's by name."""
        for pool in self.pools:
            ranks = [list(Source).index(member.source) for member in pool.members()]
            assert ranks == sorted(ranks)
            put = [member.name for member in pool.members() if member.source is Source.API]
            assert put == sorted(put)
            found = [member for member in pool.members() if member.source is Source.DNS]
            assert all(member.name == str(member.address) for member in found)

    @invariant()
    def who_comes_later_reads_the_same(self) -> None:
        """The same facts told to a new pool in one go make the same members."""
        for pool in self.pools:
            again = Membership([replace(each, weight=1) for each in pool.members()])
            assert names(again) == names(pool)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=25, stateful_step_count=15)
