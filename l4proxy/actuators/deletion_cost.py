"""Which pod goes first when a workload shrinks: its deletion cost, and what outranks that. Pure.

A ReplicaSet removes pods that are not ready before all others, then those of the lowest cost
(`controller.kubernetes.io/pod-deletion-cost`). A StatefulSet knows no cost: its highest number
goes. So a workload may be made smaller only as far as those who would go are those who are meant.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from l4proxy.actuators.actuator import Victim
from l4proxy.kubernetes.objects import Object, field, items, text, version

COST: Final = "controller.kubernetes.io/pod-deletion-cost"
"""The annotation: a whole number of 32 bits, 0 where there is none."""

LOWEST_COST: Final = -1_000_000_000
"""The cost of the first victim. Costs from here up to the next constant are ours, and no others."""

MAX_COSTS: Final = 1_000_000
"""How many costs are ours: victims in order have rising ones, with room to put some in between."""

_COST: Final = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_ORDINAL: Final = re.compile(r".*-([0-9]{1,9})", re.ASCII)


class Pod(NamedTuple):
    """What counts of a pod here.

    Attributes:
        name: Of the pod.
        addresses: Of the pod, IP literals.
        cost: Its deletion cost; None: it has none of its own.
        ready: Whether Kubernetes says so.
        going: Whether it is being removed, or has ended: an evicted pod may stay in the list for
            weeks, and counts no more than one that is gone.
        version: What a change of it is made to; empty: it does not say.
    """

    name: str
    addresses: frozenset[str]
    cost: int | None
    ready: bool
    going: bool
    version: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether its cost is one that we wrote."""
        return self.cost is not None and 0 <= self.cost - LOWEST_COST < MAX_COSTS


def read_pod(found: Object) -> Pod:
    """Return what counts of a pod."""
    ips = {text(found, "status", "podIP"), *(text(ip, "ip") for ip in _ips(found))}
    conditions = items(found, "status", "conditions")
    ready = any(
        text(each, "type") == "Ready" and text(each, "status") == "True" for each in conditions
    )
    cost = text(found, "metadata", "annotations", COST) or ""
    return Pod(
        text(found, "metadata", "name") or "",
        frozenset(ip for ip in ips if ip),
        int(cost) if _COST.fullmatch(cost) else None,
        ready,
        field(found, "metadata", "deletionTimestamp") is not None
        or text(found, "status", "phase") in _ENDED,
        version(found) or "",
    )


def _ips(found: Object) -> Iterator[object]:
    return items(found, "status", "podIPs")


def pods_of(victims: Iterable[Victim], pods: Sequence[Pod]) -> Iterator[Pod]:
    """Yield the pods of victims, in their order: by their name, else by their address."""
    by_name = {pod.name: pod for pod in pods}
    # A pod keeps its address in the list when that is another's already: of two the living counts.
    ordered = sorted(pods, key=lambda pod: not pod.going)
    by_address = {ip: pod for pod in ordered for ip in pod.addresses}
    for victim in victims:
        pod = by_name.get(victim.name) or by_address.get(victim.address.host)
        if pod is not None:
            yield pod


def costs_for(victims: Iterable[Pod]) -> dict[str, int]:
    """Return the costs that victims are to have, first ones first; those that fit are kept.

    So when the first of them has gone, nothing has to be written for the others.
    """
    costs: dict[str, int] = {}
    last = LOWEST_COST - 1
    for pod in victims:
        kept = pod.is_ours and pod.cost is not None and pod.cost > last
        last = pod.cost if kept and pod.cost is not None else last + 1
        costs[pod.name] = last
    return costs


def removable(pods: Sequence[Pod], released: Collection[str], failed: Collection[str]) -> int:
    """Return by how many pods a workload may shrink, if the cheapest go: those who are released.

    None, while another pod is not ready: it would go first. One that failed may.
    """
    there = [pod for pod in pods if not pod.going]
    first = [pod for pod in there if not pod.ready and pod.name not in {*released, *failed}]
    return 0 if first else sum(1 for pod in there if pod.name in released)


def removable_by_number(pods: Sequence[Pod], released: Collection[str]) -> int:
    """Return by how many pods a StatefulSet may shrink: as the highest numbers are released."""
    there = [pod for pod in pods if not pod.going]
    count = 0
    for pod in sorted(there, key=_ordinal, reverse=True):
        if pod.name not in released:
            break
        count += 1
    return count


def _ordinal(pod: Pod) -> int:
    match = _ORDINAL.fullmatch(pod.name)
    return int(match[1]) if match is not None else -1
