"""The conformance test of actuators: every broken one fails. The built-in ones pass elsewhere."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from pydantic import ConfigDict

from l4proxy.actuators import ActuatorError, ActuatorKind, Order
from l4proxy.config.section import Section
from l4proxy.conformance import NotConforming, actuators, check_actuator_kind
from routing import PoolName


class Empty(Section):
    """No settings."""

    fails: bool = False
    """Whether orders fail."""


class Loose(Empty):
    """Settings that take any key."""

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """Every key."""
        return ("fails", "no-such-key")

    model_config = ConfigDict(extra="allow")


class Toy:
    """An actuator that keeps its promises."""

    fails = False

    async def run(self) -> None:
        """Serve nothing."""
        await asyncio.Event().wait()

    async def apply(self, order: Order) -> None:
        """Take it, or not."""
        if self.fails:
            raise ActuatorError("the toy: found nobody")


class _Stubborn(Toy):
    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)


class _Once(Toy):
    def __init__(self) -> None:
        self.seen: set[int] = set()

    async def apply(self, order: Order) -> None:
        if order.number in self.seen:
            raise ActuatorError("again?")
        self.seen.add(order.number)


class _Holding(Toy):
    async def apply(self, order: Order) -> None:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)


class _Locked(Toy):
    def __init__(self) -> None:
        self.busy = False

    async def apply(self, order: Order) -> None:
        if self.busy:
            raise ActuatorError("busy")
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False


class _Wordless(Toy):
    async def apply(self, order: Order) -> None:
        if self.fails:
            raise ActuatorError


class _Strange(Toy):
    async def apply(self, order: Order) -> None:
        if self.fails:
            raise KeyError(order.pool)


class _Careless(Toy):
    async def apply(self, order: Order) -> None: ...


@dataclass(frozen=True)
class Kind:
    """A kind that a test has made."""

    make_toy: Callable[[], Toy] = Toy
    name: str = "toy"
    settings: type[Empty] = Empty

    def make(self, settings: Empty, pool: PoolName) -> Toy:
        """Make one."""
        made = self.make_toy()
        made.fails = settings.fails
        return made


def test_a_sound_one_conforms() -> None:
    """Which takes every order, and fails as it should."""
    check_actuator_kind(Kind(), "{}", failing="fails: true")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind(name="No Name"), "name: 'No Name', expected a-z, 0-9 and -"),
        (Kind(settings=Loose), "an unknown key is taken"),
        (Kind(_Stubborn), "run: the first time it does not end when it is cancelled"),
        (Kind(_Once), "apply: order 1: raised ActuatorError: again?"),
        (Kind(_Holding), "apply: it does not end when it is cancelled"),
        (Kind(_Locked), "after one that was cancelled: raised ActuatorError: busy"),
        (Kind(_Wordless), "fails without a word"),
        (Kind(_Strange), "fails with KeyError: 'app', expected an ActuatorError"),
        (Kind(_Careless), "an order that cannot be carried out is taken for done"),
    ],
)
def test_a_broken_one_is_found(
    kind: ActuatorKind[Empty], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each promise that is broken is told in words that name it."""
    monkeypatch.setattr(actuators, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(actuators, "_SETTLE_SECONDS", 0.005)
    with pytest.raises(NotConforming) as caught:
        check_actuator_kind(kind, "{}", failing="fails: true")
    assert any(said in fault for fault in caught.value.faults), caught.value.faults
