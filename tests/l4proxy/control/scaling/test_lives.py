"""What is remembered of backends: the lead time comes from orders, and from nothing else."""

from l4proxy.control.membership import Member
from l4proxy.control.scaling.lives import MAX_ORDER_SECONDS, Lives
from routing import Address
from tests.l4proxy.control.scaling.stand import A, B, C

HERE, THERE = Address("127.0.0.1", 1), Address("127.0.0.1", 2)


def test_who_was_there_first_says_nothing_of_the_lead_time() -> None:
    """Nobody knows when it was ordered: it served from the moment that it was seen."""
    lives = Lives()
    lives.settle([Member(A, HERE)], 10.0)
    assert lives[A].lead == (10.0, None)
    lives[A].serves(15.0)
    assert lives[A].lead == (10.0, 10.0)


def test_who_appears_fulfils_the_oldest_order() -> None:
    """From that order on its boot took its time; one that nobody ordered says nothing."""
    lives = Lives()
    lives.settle([], 0.0)
    lives.expect(1, 10.0)
    lives.expect(2, 40.0)
    lives.settle([Member(A, HERE)], 100.0)
    lives.expect(1, 100.0)
    assert lives[A].lead == (100.0, None)
    lives[A].serves(110.0)
    assert lives[A].lead == (10.0, 110.0)
    lives.expect(0, 110.0)
    lives.settle([Member(A, HERE), Member(B, THERE)], 120.0)
    assert [lives[A].unasked, lives[B].unasked] == [False, True]
    lives[B].serves(125.0)
    assert lives[B].lead == (120.0, 120.0)


def test_an_order_that_is_taken_back_or_stale_brings_nobody() -> None:
    """The newest is taken back first; one that is an hour old has brought nobody."""
    lives = Lives()
    lives.settle([], 0.0)
    lives.expect(1, 10.0)
    lives.expect(2, 20.0)
    lives.expect(1, 30.0)
    lives.expect(-3, 40.0)
    lives.expect(1, 50.0)
    lives.settle([Member(A, HERE)], 51.0 + MAX_ORDER_SECONDS)
    assert lives[A].ordered_at is None


def test_a_backend_at_another_address_is_another_one() -> None:
    """It has to become ready anew; one that stays keeps what is known, one that goes does not."""
    lives = Lives()
    lives.settle([Member(A, HERE), Member(C, HERE)], 0.0)
    lives[A].serves(1.0)
    lives.settle([Member(A, HERE, 7)], 2.0)
    assert lives[A].ready_at == 1.0
    lives.settle([Member(A, THERE), Member(C, HERE)], 3.0)
    assert (lives[A].ready_at, lives[C].seen_at) == (None, 3.0)


def test_a_loss_is_noted_once() -> None:
    """Since when, until it serves again; who never served has nothing to lose."""
    lives = Lives()
    lives.settle([Member(A, HERE)], 0.0)
    lives[A].fails(1.0)
    assert lives[A].lost_at is None
    lives[A].serves(2.0)
    lives[A].fails(3.0)
    lives[A].fails(4.0)
    assert lives[A].lost_at == 3.0
    lives[A].serves(5.0)
    assert (lives[A].ready_at, lives[A].lost_at) == (2.0, None)
