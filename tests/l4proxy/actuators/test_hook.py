"""A hook hears everything at least once, and what it heard not without need again."""

import pytest

from l4proxy.actuators import ActuatorError
from l4proxy.actuators.events import Event
from l4proxy.actuators.hook import Hook
from tests.l4proxy.actuators.orders import ORDER, REFUSAL, order


class Ear:
    """Hears documents, and refuses those of one kind."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuses = ""

    async def deliver(self, event: Event) -> None:
        """Takes one."""
        if event.event == self.refuses:
            raise ActuatorError(event.event)
        self.heard.append(event.id)


@pytest.fixture
def ear() -> Ear:
    """Hears everything at first."""
    return Ear()


async def test_an_order_is_told_document_by_document(ear: Ear) -> None:
    """The number first."""
    hook = Hook(ear.deliver)
    await hook.run()
    await hook.apply(ORDER)
    assert ear.heard == ["app:7:scale", "app:7:drain", "app:7:evict"]


async def test_what_arrived_is_not_sent_again_beside_what_did_not(ear: Ear) -> None:
    """A round later the rest follows."""
    hook = Hook(ear.deliver)
    ear.refuses = "drain"
    with pytest.raises(ActuatorError, match="drain"):
        await hook.apply(ORDER)
    ear.refuses = ""
    await hook.apply(ORDER)
    assert ear.heard == ["app:7:scale", "app:7:drain", "app:7:evict"]


async def test_an_order_that_is_given_again_is_told_again(ear: Ear) -> None:
    """A hook that was started anew may have forgotten it."""
    hook = Hook(ear.deliver)
    await hook.apply(order(3))
    await hook.apply(order(3))
    assert ear.heard == ["app:1:scale", "app:1:scale"]


async def test_another_order_begins_from_its_beginning(ear: Ear) -> None:
    """What of the older one did not arrive is out of date."""
    hook = Hook(ear.deliver)
    ear.refuses = "drain"
    with pytest.raises(ActuatorError):
        await hook.apply(ORDER)
    await hook.apply(order(5, number=8))
    assert ear.heard == ["app:7:scale", "app:8:scale"]


async def test_refused_evidence_is_told_at_once(ear: Ear) -> None:
    """It belongs to no order."""
    await Hook(ear.deliver).notify(REFUSAL)
    assert ear.heard == ["app:a:1800000000250:attestation_refused"]
