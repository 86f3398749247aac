"""Drains: who gets no new session, until when, and whom an operator means by a name."""

import pytest

from l4proxy.config import parse_config
from l4proxy.control.drains import Ambiguous, Drains, find_member
from l4proxy.control.membership import Member, MembershipError, Unknown
from l4proxy.control.roll import Roll
from routing import Address, BackendName, PoolName

APP, API = PoolName("app"), PoolName("api")
A, B = BackendName("a"), BackendName("b")
HERE, THERE = Address("127.0.0.1", 1), Address("127.0.0.1", 2)

TEXT = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app, api.example.com: api}
pools:
  app: [{address: "127.0.0.1:1", name: a}, {address: "127.0.0.1:2", name: b}]
  api: [{address: "127.0.0.1:1", name: a}]
"""


def roll() -> Roll:
    """Two pools that both have a backend `a`."""
    return Roll(parse_config(TEXT, "drains"))


def test_a_drain_has_a_deadline_or_none() -> None:
    """Draining again gives it another one; of other backends nothing is said."""
    drains = Drains()
    assert drains.deadlines() == {}
    drains.begin(APP, Member(A, HERE), 10.0)
    drains.begin(APP, Member(B, THERE), None)
    drains.begin(APP, Member(A, HERE), 20.0)
    assert drains.deadlines() == {(APP, A): 20.0, (APP, B): None}
    assert (APP, A) in drains
    assert (API, A) not in drains


def test_a_drain_is_taken_back_once() -> None:
    """Whether there was one is told."""
    drains = Drains()
    drains.begin(APP, Member(A, HERE), 10.0)
    assert [drains.end(APP, A), drains.end(APP, A)] == [True, False]
    assert drains.deadlines() == {}


def test_a_drain_stays_as_long_as_its_member() -> None:
    """It outlives a change of weight, and goes with the member; a new address is another member."""
    drains = Drains()
    for name in (A, B):
        drains.begin(APP, Member(name, HERE), None)
    drains.settle({APP: [Member(A, HERE, 5), Member(B, HERE)]})
    assert drains.deadlines().keys() == {(APP, A), (APP, B)}
    drains.settle({APP: [Member(A, THERE), Member(B, HERE)], API: [Member(A, HERE)]})
    assert drains.deadlines().keys() == {(APP, B)}
    drains.settle({})
    assert drains.deadlines() == {}


def test_a_member_is_found_by_its_name() -> None:
    """Alone where it is clear, behind its pool always."""
    assert find_member(roll(), "b") == (APP, Member(B, THERE))
    assert find_member(roll(), "app/b") == (APP, Member(B, THERE))
    assert find_member(roll(), "api/a") == (API, Member(A, HERE))


@pytest.mark.parametrize(
    ("called", "error", "said"),
    [
        ("c", Unknown, "found no backend 'c'"),
        ("api/b", Unknown, "found no backend 'api/b'"),
        ("a", Ambiguous, "in the pools app, api: expected POOL/NAME"),
    ],
)
def test_what_is_not_clear_is_told(called: str, error: type[MembershipError], said: str) -> None:
    """Nobody is drained by a guess."""
    with pytest.raises(error, match=said):
        find_member(roll(), called)


def test_a_drain_has_an_owner() -> None:
    """Scaling's may be taken back by scaling; an operator's word takes it over."""
    drains = Drains()
    drains.begin(APP, Member(A, HERE), None, by_scaling=True)
    assert (drains.by_scaling((APP, A)), drains.by_operator((APP, A))) == (True, False)
    drains.begin(APP, Member(A, HERE), 9.0)
    assert (drains.by_scaling((APP, A)), drains.by_operator((APP, A))) == (False, True)
    assert (drains.by_scaling((APP, B)), drains.by_operator((APP, B))) == (False, False)
