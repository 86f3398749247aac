"""Orders for pods, which are named by their numbers."""

from collections.abc import Sequence

from l4proxy.actuators import Order, Victim
from routing import Address, BackendName, PoolName

APP = PoolName("app")


def order(
    desired: int,
    drain: Sequence[int | str] = (),
    release: Sequence[int | str] = (),
    evict: Sequence[int] = (),
) -> Order:
    """An order that names pods by their numbers, or backends by their addresses."""
    going, gone, failed = (tuple(map(victim, group)) for group in (drain, release, evict))
    return Order(APP, 1, 0.0, 5, desired, going, gone, failed)


def victim(called: int | str) -> Victim:
    """A pod by its number, or a backend by its address."""
    if isinstance(called, str):
        return Victim(BackendName(f"{called}:443"), Address(called, 443), 0)
    return Victim(BackendName(f"enclaves-{called}"), Address("10.9.9.9", 443), 0)
