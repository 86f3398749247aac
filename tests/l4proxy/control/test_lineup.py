"""The line-up: scaling's word and the operator's, and which of them stands."""

import pytest

from l4proxy.control.lineup import SPARED_SECONDS, Drained, Lineup, Taken
from l4proxy.control.membership import Member
from l4proxy.scaling import Decision, Outlook
from routing import NO_MARK, Address, BackendName, Mark, PoolName

APP = PoolName("app")
A, B, C = (BackendName(name) for name in "abc")
MEMBERS = {name: Member(name, Address("127.0.0.1", n)) for n, name in enumerate((A, B, C), 1)}


def decision(
    *,
    drain: tuple[BackendName, ...] = (),
    cancel: tuple[BackendName, ...] = (),
    rest: tuple[BackendName, ...] = (),
    wake: tuple[BackendName, ...] = (),
    mark: Mark = NO_MARK,
) -> Decision:
    """A decision that says this and nothing else."""
    outlook = Outlook(0, 0, 0, 0, panic=False)
    return Decision(3, (), drain, cancel, rest, wake, (), (), mark, outlook, ())


def test_what_scaling_decides_is_done() -> None:
    """Who rests wakes again, who drains is called back; each change is told once."""
    lineup = Lineup()
    mark = Mark(1, (B, A))
    first = decision(drain=(A,), rest=(B,), mark=mark)
    assert lineup.take(APP, MEMBERS, first, 9.0, 1.0) == Taken((A,), (), (B,), (), mark=True)
    assert lineup.resting == {(APP, B)}
    assert lineup.marks == {APP: mark}
    assert lineup.drains.deadlines() == {(APP, A): 9.0}
    assert lineup.drains.by_scaling((APP, A))
    back = decision(cancel=(A,), wake=(B,), mark=mark)
    assert lineup.take(APP, MEMBERS, back, None, 2.0) == Taken((), (A,), (), (B,))
    assert (lineup.resting, lineup.drains.deadlines()) == (frozenset(), {})
    assert not any(lineup.take(APP, MEMBERS, back, None, 3.0))


def test_who_rests_may_drain() -> None:
    """A backend is one of the two, and a drain is the stronger."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(rest=(A,)), None, 1.0)
    lineup.take(APP, MEMBERS, decision(drain=(A,)), None, 2.0)
    assert (lineup.resting, (APP, A) in lineup.drains) == (frozenset(), True)


def test_an_operators_drain_stands() -> None:
    """It takes over a drain of scaling's, which cannot be called back then, by a worker neither."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(drain=(A,), rest=(B,), mark=Mark(1, (A, B, C))), None, 1.0)
    for name in (A, B):
        lineup.drain(APP, MEMBERS[name], 50.0)
        assert lineup.drains.by_operator((APP, name))
    assert lineup.marks[APP] == Mark(1, (C,))
    told = decision(cancel=(A,), wake=(B,), drain=(A, B), rest=(A,), mark=Mark(1, (A, B, C)))
    taken = lineup.take(APP, MEMBERS, told, None, 2.0)
    assert taken == Taken()
    assert lineup.drains.deadlines() == {(APP, A): 50.0, (APP, B): 50.0}
    assert lineup.marks[APP] == Mark(1, (C,))


def test_whom_an_operator_brings_back_is_spared() -> None:
    """For a while scaling sends it neither to rest nor to drain; others it does."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(drain=(A,), rest=(B,)), None, 1.0)
    assert lineup.undrain(APP, A, 2.0)
    assert not lineup.undrain(APP, C, 2.0)
    assert lineup.activate(APP, B, 2.0)
    again = decision(drain=(A,), rest=(B, C))
    assert lineup.take(APP, MEMBERS, again, None, 3.0) == Taken(rest=(C,))
    later = 2.0 + SPARED_SECONDS
    assert lineup.take(APP, MEMBERS, again, None, later) == Taken((A,), (), (B, C))


def test_who_is_sealed_is_so_by_scaling_alone() -> None:
    """An operator's word opens it again, and so does the end of the pool's scaling."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(drain=(A, B)), None, 1.0)
    assert lineup.seal(APP, (A, B, C))
    assert not lineup.seal(APP, (A, B))
    assert lineup.sealed == {(APP, A), (APP, B)}
    lineup.undrain(APP, A, 2.0)
    lineup.drain(APP, MEMBERS[B], None)
    assert lineup.sealed == frozenset()
    lineup.seal(APP, (C,))
    lineup.take(APP, MEMBERS, decision(drain=(C,)), None, 1000.0)
    assert lineup.sealed == {(APP, C)}
    lineup.settle({APP: MEMBERS.values()}, ())
    assert lineup.sealed == frozenset()


def test_who_is_drained_is_not_activated() -> None:
    """One who is awake already is spared all the same."""
    lineup = Lineup()
    assert not lineup.activate(APP, B, 1.0)
    lineup.drain(APP, MEMBERS[A], None)
    with pytest.raises(Drained, match="undrain it"):
        lineup.activate(APP, A, 1.0)
    assert not any(lineup.take(APP, MEMBERS, decision(rest=(B,)), None, 2.0)[:4])


def test_what_was_said_goes_with_the_member() -> None:
    """At another address a backend of the same name is another one."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(drain=(A,), rest=(B, C)), None, 1.0)
    moved = Member(B, Address("127.0.0.1", 99))
    lineup.settle({APP: [MEMBERS[A], moved, MEMBERS[C]]}, {APP})
    assert lineup.resting == {(APP, C)}
    assert (APP, A) in lineup.drains
    lineup.settle({APP: [moved]}, {APP})
    assert (lineup.resting, (APP, A) in lineup.drains) == (frozenset(), False)


def test_a_pool_that_is_not_scaled_any_more_is_left_alone() -> None:
    """Nobody rests or drains for it; what an operator drained stays drained."""
    lineup = Lineup()
    lineup.take(APP, MEMBERS, decision(drain=(A,), rest=(B,), mark=Mark(1, (B,))), None, 1.0)
    lineup.drain(APP, MEMBERS[C], None)
    lineup.settle({APP: MEMBERS.values()}, ())
    assert (lineup.resting, lineup.marks) == (frozenset(), {})
    assert lineup.drains.deadlines() == {(APP, C): None}
