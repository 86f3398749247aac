"""The conformance test of ways to find backends: a built-in one passes, every broken one fails."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

import pytest
from pydantic import ConfigDict

from l4proxy.config.section import Section
from l4proxy.conformance import NotConforming, check_discovery_kind, discovery
from l4proxy.control.directory import Changed, DiscoveryKind
from l4proxy.control.discovery.sources import Dns
from l4proxy.control.found import Found
from routing import Address

ONE = Found(Address("192.0.2.1", 443))


def test_a_built_in_one_conforms() -> None:
    """DNS, by the name that each machine has."""
    check_discovery_kind(Dns(), "name: localhost\nport: 443\nallow_loopback: true")


class Empty(Section):
    """No settings."""


class Loose(Empty):
    """Settings that take any key."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """Every key."""
        return ("no-such-key",)


@dataclass
class Seen:
    """Statistics."""

    addresses: int = 0
    age: float | None = None
    fault: StrEnum | None = None


class Toy:
    """Finds what a test says; its statistics are right."""

    def __init__(self, found: Collection[Found] = (ONE,)) -> None:
        self.found = found
        self.seen = Seen()

    def statistics(self) -> Seen:
        """Return what it has seen."""
        return self.seen

    async def watch(self, changed: Changed) -> None:
        """Tell it, once."""
        self.seen = Seen(len(self.found), 0.0)
        changed(self.found)
        await asyncio.Event().wait()


class _Ending(Toy):
    async def watch(self, changed: Changed) -> None:
        self.seen = Seen(1, 0.0)
        changed(self.found)


class _Silent(Toy):
    async def watch(self, changed: Changed) -> None:
        await asyncio.Event().wait()


class _Stubborn(Toy):
    async def watch(self, changed: Changed) -> None:
        try:
            await super().watch(changed)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)


class _Unsure(Toy):
    def statistics(self) -> Seen:
        return Seen(3, 0.0)


class _Raising(Toy):
    def statistics(self) -> Seen:
        raise KeyError


@dataclass(frozen=True)
class Kind:
    """A kind that a test has made."""

    make_toy: Callable[[], Toy] = Toy
    name: str = "toy"
    settings: type[Empty] = Empty

    def make(self, settings: Empty) -> Toy:
        """Make one."""
        return self.make_toy()


def test_a_sound_one_conforms() -> None:
    """Which finds one, and waits."""
    check_discovery_kind(Kind(), "{}")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind(name="No Name"), "name: 'No Name', expected a-z, 0-9 and -"),
        (Kind(settings=Loose), "an unknown key is taken"),
        (Kind(lambda: Toy(())), "told an empty set"),
        (Kind(lambda: Toy([ONE, ONE])), "an address stands twice"),
        (Kind(lambda: Toy([Found(Address("a.example", 443))])), "expected an IP literal"),
        (Kind(lambda: Toy([Found(Address("192.0.2.1", 0))])), "expected an IP literal and a port"),
        (Kind(_Unsure), "expected 1 addresses, an age and no fault"),
        (Kind(_Unsure), "there is an age before anything was found"),
        (Kind(_Raising), "finds: raised KeyError"),
        (Kind(_Ending), "it ends before it is cancelled"),
        (Kind(_Silent), "nothing is found"),
        (Kind(_Stubborn), "does not end when it is cancelled"),
    ],
)
def test_a_broken_one_is_found(
    kind: DiscoveryKind[Empty], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each promise that is broken is told in words that name it."""
    monkeypatch.setattr(discovery, "FOUND_SECONDS", 0.05)
    with pytest.raises(NotConforming) as caught:
        check_discovery_kind(kind, "{}")
    assert any(said in fault for fault in caught.value.faults), caught.value.faults
