"""Scaled pools on the screen."""

from rich.console import Console

from l4proxy.admin.scaling import scaling_document
from l4proxy.cli.scaled import scaling_table
from l4proxy.dataplane.counters import PARKED
from l4proxy.messages import Report
from tests.l4proxy.control.scaling.stand import APP, Stand, configured
from tests.l4proxy.telemetry.fake import FakeBalancer


def drawn(stand: Stand) -> str:
    """What is shown of this pool, within eighty columns."""
    balancer = FakeBalancer()
    balancer.scaling.pools = {APP: stand.scaler}
    console = Console(width=80, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(scaling_table(scaling_document(balancer)["pools"]))
    assert all(len(line) <= 80 for line in capture.get().splitlines())
    return " ".join(capture.get().split())


async def test_before_the_first_round() -> None:
    """It is said that nothing is known, and who will hear of it."""
    told = drawn(Stand(configured()))
    assert told == "scaling app no round yet last change - actuator recommend-only"


async def test_the_number_and_what_it_rests_on() -> None:
    """Who is there in which state, the terms that add something, the forecast, the last change."""
    stand = Stand(configured("{standby: 1}"))
    stand.sessions(a=9, b=9, c=9)
    stand.totals.take(0, Report(((PARKED, APP, 3),)))
    stand.round()
    stand.orders.fault = "found status 503"
    told = drawn(stand)
    for part in (
        "scaling app 5 wanted, 3 there: 3 ready; 3 slots free; 3 hellos wait",
        "because sessions +3, free +1, standby +1",
        "forecast 30 ± 0 sessions in 120 s",
        "last change grow",
        "actuator recommend-only: found status 503",
    ):
        assert part in told


async def test_a_panic_and_doubts_are_shown() -> None:
    """And a pool of nobody."""
    stand = Stand(configured("{min: 0}"))
    stand.round()
    stand.sessions(a=9, b=9)
    stand.claims.slots = dict.fromkeys(stand.claims.slots, 0)
    for each in stand.backends.members(APP):
        stand.claims.slots[each.name] = 10**9
    stand.round()
    told = drawn(stand)
    assert "panic" in told
    assert "; 3 doubts" in told
    for each in stand.backends.members(APP):
        stand.backends.roll.delete(APP, each.name)
    stand.round()
    assert "there: nobody" in drawn(stand)
