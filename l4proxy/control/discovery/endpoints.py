"""From the EndpointSlices of a Service to backends. Pure: what the API says is only read.

    conditions of an endpoint                     it is
    ready (or nothing said)                       eligible
    serving, not ready, not terminating           held: it keeps its sessions
    serving, terminating                          draining
    neither serving nor terminating               waiting: it boots, or is not well
    terminating, no longer serving                gone

An endpoint has one address that counts, its first; at other ports of it there may be others. A pod
that has one of each family is one backend, at its IPv4 address. While an endpoint moves from one
slice to another it may be in both, two pods may have had one address, and two addresses one name:
of two, the one that may take more counts.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from l4proxy.config.addresses import MAX_PORT
from l4proxy.config.mistakes import BadValueError
from l4proxy.config.names import read_backend_name
from l4proxy.control.discovery.screen import IpAddress, Unfit, unfit
from l4proxy.control.found import Found, Phase
from l4proxy.kubernetes.objects import Object, field, items, text, truth, whole
from routing import Address, BackendName

MAX_ENDPOINTS: Final = 1_024
"""Backends taken of one Service, the lowest addresses first: all balancers then take the same."""

_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}
_RANK: Final = {phase: rank for rank, phase in enumerate(Phase)}


class Endpoints(NamedTuple):
    """The backends of a Service.

    Attributes:
        found: In order of addresses.
        refused: Addresses that were not fit to dial, by why.
        portless: Endpoints in slices without the port that is asked for.
        left_out: Those beyond `MAX_ENDPOINTS`.
    """

    found: tuple[Found, ...]
    refused: Counter[Unfit]
    portless: int
    left_out: int


class _Endpoint(NamedTuple):
    ip: IpAddress
    port: int
    pod: str | None
    phase: Phase


def read_endpoints(
    slices: Iterable[Object], port: str | int, *, allow_loopback: bool = False
) -> Endpoints:
    """Return the backends that slices name.

    Args:
        slices: EndpointSlices of one Service.
        port: The name of the Service's port; or a number, at which every endpoint is dialled.
        allow_loopback: Whether the loopback may be dialled.
    """
    best: dict[tuple[IpAddress, int], _Endpoint] = {}
    refused: Counter[Unfit] = Counter()
    portless = 0
    for each in slices:
        number = port if isinstance(port, int) else _port(each, port)
        if number is None:
            portless += sum(1 for _ in items(each, "endpoints"))
            continue
        for endpoint in _endpoints(each, number):
            reason = unfit(endpoint.ip)
            if reason is None or (allow_loopback and reason is Unfit.LOOPBACK):
                known = best.setdefault((endpoint.ip, endpoint.port), endpoint)
                best[endpoint.ip, endpoint.port] = min(known, endpoint, key=_rank)
            else:
                refused[reason] += 1
    single = sorted(_once(best.values()), key=_place)
    found = tuple(_found(each) for each in single[:MAX_ENDPOINTS])
    return Endpoints(found, refused, portless, len(single) - len(found))


def _port(found: Object, name: str) -> int | None:
    """Return the number that a port of this name has in a slice, for TCP."""
    for port in items(found, "ports"):
        number = whole(port, "port")
        same = text(port, "name") == name and (text(port, "protocol") or "TCP") == "TCP"
        if same and number is not None and 1 <= number <= MAX_PORT:
            return number
    return None


def _endpoints(found: Object, port: int) -> Iterator[_Endpoint]:
    family = _FAMILIES.get(text(found, "addressType") or "")
    for each in items(found, "endpoints"):
        phase = _phase(each)
        ip = _address(next(items(each, "addresses"), None))
        if phase is not None and ip is not None and ip.version == family:
            is_pod = text(each, "targetRef", "kind") == "Pod"
            pod = text(each, "targetRef", "name") if is_pod else None
            yield _Endpoint(ip, port, pod, phase)


def _phase(endpoint: object) -> Phase | None:
    """Return what an endpoint is ready for; None: it is gone."""
    # What is not said has a meaning: discovery.k8s.io/v1, EndpointConditions.
    conditions = field(endpoint, "conditions")
    ready = truth(conditions, "ready")
    ready = True if ready is None else ready
    serving = truth(conditions, "serving")
    serving = ready if serving is None else serving
    if truth(conditions, "terminating"):
        return Phase.DRAINING if serving else None
    if ready:
        return Phase.ELIGIBLE
    return Phase.HELD if serving else Phase.WAITING


def _address(found: object) -> IpAddress | None:
    if not isinstance(found, str):
        return None
    try:
        ip = ipaddress.ip_address(found)
    except ValueError:
        return None
    return None if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id else ip


def _rank(endpoint: _Endpoint) -> tuple[int, str]:
    # The name, so that all balancers take the same.
    return _RANK[endpoint.phase], endpoint.pod or ""


def _place(endpoint: _Endpoint) -> tuple[int, int, int]:
    return endpoint.ip.version, int(endpoint.ip), endpoint.port


def _once(endpoints: Iterable[_Endpoint]) -> Iterator[_Endpoint]:
    """Yield each pod once: where it may take most of its first family, at the lowest address."""
    pods: set[str] = set()
    for each in sorted(endpoints, key=lambda each: (each.ip.version, _rank(each), _place(each))):
        if each.pod is None or each.pod not in pods:
            yield each
        if each.pod is not None:
            pods.add(each.pod)


def _found(endpoint: _Endpoint) -> Found:
    return Found(Address(str(endpoint.ip), endpoint.port), _name(endpoint.pod), endpoint.phase)


def _name(pod: str | None) -> BackendName | None:
    """Return the name of a pod as that of a backend; None: it is none, as when it is too long."""
    try:
        return None if pod is None else read_backend_name(pod)
    except BadValueError:
        return None
