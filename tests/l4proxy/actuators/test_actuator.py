"""What an actuator is: its shape, and that of an order."""

from l4proxy.actuators import Notified
from l4proxy.actuators.hook import Hook
from l4proxy.actuators.recommend_only import RecommendOnly
from tests.l4proxy.actuators.orders import ORDER, order


def test_an_order_may_say_only_how_many() -> None:
    """Nobody drains, is released or evicted by it; orders of the same words are equal."""
    told = order(3)
    assert (told.drain, told.release, told.evict, told.terms) == ((), (), (), ())
    assert told == order(3)
    assert told != ORDER


def test_who_wants_to_hear_of_refused_evidence_is_known_by_its_shape() -> None:
    """Only hooks do."""

    async def deliver(_: object) -> None: ...

    assert isinstance(Hook(deliver), Notified)
    assert not isinstance(RecommendOnly(), Notified)
