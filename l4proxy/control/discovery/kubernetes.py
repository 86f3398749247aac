"""The endpoints of a Service of Kubernetes, kept up to date by a watch of its EndpointSlices.

While the API is away the last set stays in force; an API that is there and names no endpoints says
that there are none. A Service that does not exist looks the same.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from l4proxy.control.directory import Changed
from l4proxy.control.discovery.endpoints import Endpoints, read_endpoints
from l4proxy.control.discovery.screen import Unfit
from l4proxy.control.found import Phase
from l4proxy.kubernetes import Access, ApiFault, Query, Reflector, load_access
from l4proxy.kubernetes.objects import Object
from l4proxy.kubernetes.resources import ENDPOINT_SLICES

log = logging.getLogger(__name__)

SERVICE_LABEL: Final = "kubernetes.io/service-name"
"""What an EndpointSlice is told by to belong to a Service."""


@dataclass(frozen=True, slots=True)
class KubernetesSource:
    """A Service whose endpoints are backends.

    Attributes:
        service: Its name.
        port: The name of its port, or a number.
        namespace: Its own; None: that of the credentials.
        kubeconfig: How the API is reached; None: as a pod is.
        allow_loopback: Whether endpoints on the loopback are taken.
    """

    service: str
    port: str | int
    namespace: str | None = None
    kubeconfig: Path | None = None
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class KubernetesStatistics:
    """What a source has seen. Counts are since it began.

    Attributes:
        addresses: In the present set.
        phases: Of these, how many are ready for what.
        age: Seconds since the API was last heard of; None: never yet.
        fault: What keeps us from hearing of it at this moment; None: nothing.
        faults: How often what went wrong.
        lists: How often the whole list was asked for.
        refused: Addresses of the present slices that are not fit to dial, by why.
        portless: Endpoints of the present slices that have not the port.
        left_out: Endpoints for which there is no place in the set.
    """

    addresses: int
    phases: Mapping[Phase, int]
    age: float | None
    fault: ApiFault | None
    faults: Mapping[ApiFault, int]
    lists: int
    refused: Mapping[Unfit, int]
    portless: int
    left_out: int


class KubernetesDiscovery:
    """Watches one source.

    Attributes:
        source: What is watched.
        endpoints: The last good set, and what was not taken into it.
    """

    def __init__(self, source: KubernetesSource) -> None:
        """Prepare a source; `watch` asks."""
        self.source: Final = source
        self.endpoints = Endpoints((), Counter(), 0, 0)
        self._known = False
        self._reflector = Reflector(lambda: load_access(source.kubeconfig), self._query)

    async def watch(self, changed: Changed) -> None:
        """Watch for ever; call `changed` with the first set and each that differs."""

        def take(slices: Mapping[str, Object]) -> None:
            if self._take(slices):
                changed(self.endpoints.found)

        await self._reflector.run(take)

    def statistics(self) -> KubernetesStatistics:
        """Return what the source has seen so far."""
        reflector, seen = self._reflector, self.endpoints
        heard = reflector.confirmed
        return KubernetesStatistics(
            addresses=len(seen.found),
            phases=Counter(found.phase for found in seen.found),
            age=None if heard is None else time.monotonic() - heard,
            fault=reflector.fault,
            faults=dict(reflector.faults),
            lists=reflector.lists,
            refused=dict(seen.refused),
            portless=seen.portless,
            left_out=seen.left_out,
        )

    def _query(self, access: Access) -> Query:
        source = self.source
        path = ENDPOINT_SLICES.path(source.namespace or access.namespace)
        return Query(path, f"{SERVICE_LABEL}={source.service}")

    def _take(self, slices: Mapping[str, Object]) -> bool:
        """Make what slices say the present set; return whether it is another."""
        before, source = self.endpoints, self.source
        self.endpoints = read_endpoints(
            slices.values(), source.port, allow_loopback=source.allow_loopback
        )
        same = self._known and self.endpoints.found == before.found
        self._known = True
        if not same:
            count = len(self.endpoints.found)
            log.info("kubernetes %s: %d endpoints", source.service, count)
        if self.endpoints.portless and not before.portless:
            log.warning("kubernetes %s: has no port %s", source.service, source.port)
        return not same
