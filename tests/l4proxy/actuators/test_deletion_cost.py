"""Who goes first is who is meant, or nobody goes."""

import pytest

from l4proxy.actuators.actuator import Victim
from l4proxy.actuators.deletion_cost import (
    COST,
    LOWEST_COST,
    MAX_COSTS,
    Pod,
    costs_for,
    pods_of,
    read_pod,
    removable,
    removable_by_number,
)
from l4proxy.kubernetes.objects import Object
from routing import Address, BackendName


def pod(name: str, cost: int | None = None, *, ready: bool = True, going: bool = False) -> Pod:
    """A pod."""
    return Pod(name, frozenset({f"10.0.0.{ord(name[0])}"}), cost, ready, going)


def victim(name: str, host: str = "10.9.9.9") -> Victim:
    """A backend that is to go."""
    return Victim(BackendName(name), Address(host, 443), 0)


def test_a_pod_is_read() -> None:
    """What counts of it, and nothing that has another shape."""
    found: Object = {
        "metadata": {"name": "a", "annotations": {COST: "-5"}, "deletionTimestamp": "x"},
        "status": {
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {}, "x"],
            "conditions": [{"type": "PodScheduled", "status": "True"}, "x"],
        },
    }
    assert read_pod(found) == Pod(
        "a", frozenset({"10.0.0.1", "fd00::1"}), -5, ready=False, going=True
    )
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert read_pod(ready) == Pod("", frozenset(), None, ready=True, going=False)


@pytest.mark.parametrize("said", ["", "x", "1.5", "9" * 11, "--1", None, 5, "²"])
def test_a_cost_is_a_whole_number(said: object) -> None:
    """Anything else is none."""
    assert read_pod({"metadata": {"annotations": {COST: said}}}).cost is None


@pytest.mark.parametrize(
    ("cost", "ours"),
    [
        (None, False),
        (0, False),
        (LOWEST_COST - 1, False),
        (LOWEST_COST, True),
        (LOWEST_COST + MAX_COSTS - 1, True),
        (LOWEST_COST + MAX_COSTS, False),
    ],
)
def test_our_costs_are_told_from_others(cost: int | None, ours: bool) -> None:
    """By their range: a balancer that takes over knows them too."""
    assert pod("a", cost).is_ours is ours


def test_victims_are_found_by_name_or_by_address() -> None:
    """In the order of the victims; who has no pod is passed over."""
    a, b, c = pod("a"), pod("b"), pod("c")
    victims = [victim("c"), victim("10.0.0.97:443", "10.0.0.97"), victim("x")]
    assert list(pods_of(victims, [a, b, c])) == [c, a]


def test_an_address_is_its_living_pod() -> None:
    """Not that of one which had it before, wherever that stands in the list."""
    old, new = pod("a", going=True), pod("a")._replace(name="new")
    for pods in ([old, new], [new, old]):
        assert list(pods_of([victim("10.0.0.97:443", "10.0.0.97")], pods)) == [new]


@pytest.mark.parametrize(
    ("phase", "ended"), [("Failed", True), ("Succeeded", True), ("Running", False), (7, False)]
)
def test_a_pod_that_has_ended_is_gone(phase: object, ended: bool) -> None:
    """An evicted one may stay in the list, not ready: it does not hold up the others."""
    old = read_pod({"metadata": {"name": "old"}, "status": {"phase": phase}})
    assert old.going is ended
    assert removable([pod("a"), old], {"a"}, ()) == ended


def test_costs_rise_in_the_order_of_victims() -> None:
    """The first one's is the lowest."""
    assert costs_for([pod("b"), pod("a"), pod("c", 7)]) == {
        "b": LOWEST_COST,
        "a": LOWEST_COST + 1,
        "c": LOWEST_COST + 2,
    }


def test_costs_that_fit_are_kept() -> None:
    """When the first has gone, or one comes before, the others need no writing."""
    one, two = pod("a", LOWEST_COST + 1), pod("b", LOWEST_COST + 2)
    assert costs_for([one, two]) == {"a": LOWEST_COST + 1, "b": LOWEST_COST + 2}
    assert costs_for([pod("new"), one, two]) == {
        "new": LOWEST_COST,
        "a": LOWEST_COST + 1,
        "b": LOWEST_COST + 2,
    }
    assert costs_for([two, one]) == {"b": LOWEST_COST + 2, "a": LOWEST_COST + 3}


def test_as_many_go_as_were_released_and_are_there() -> None:
    """One that is going already does not count a second time."""
    pods = [pod("a"), pod("b", going=True), pod("c")]
    assert removable(pods, {"a", "b", "x"}, ()) == 1
    assert removable(pods, (), ()) == 0


def test_nobody_goes_while_another_would_go_first() -> None:
    """One that is not ready goes before all others, unless it failed or was released itself."""
    pods = [pod("a"), pod("b", ready=False), pod("c")]
    assert removable(pods, {"a"}, ()) == 0
    assert removable(pods, {"a"}, {"b"}) == 1
    assert removable(pods, {"a", "b"}, ()) == 2
    assert removable([pod("a"), pod("b", ready=False, going=True)], {"a"}, ()) == 1


def test_the_highest_numbers_go_first() -> None:
    """Of a StatefulSet as many as are released from the top."""
    pods = [Pod(f"e-{n}", frozenset(), None, ready=True, going=False) for n in (0, 2, 10, 9)]
    assert removable_by_number(pods, {"e-10", "e-9", "e-0"}) == 2
    assert removable_by_number(pods, {"e-9", "e-0"}) == 0
    assert removable_by_number([pod("odd")], {"odd"}) == 1
