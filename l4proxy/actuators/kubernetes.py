"""The actuator `kubernetes`: the number of pods of a workload, by its `/scale` subresource.

More pods are asked for at once. Fewer are asked for in this order, so that those go who were meant:

1. planned victims get a deletion cost each, in their order; those called back lose theirs
2. the number is lowered by at most as many as were released, and only if nobody else would go first

Each step reads what is there before it writes, so an order that was carried out by half is
completed by the next one. Of several balancers that name the same Lease one carries orders out; the
others keep the newest one, and carry that out when they lead.
"""

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Final, NamedTuple

from pydantic import Field

from l4proxy.actuators.actuator import ActuatorError, Order, Victim
from l4proxy.actuators.deletion_cost import (
    Pod,
    costs_for,
    pods_of,
    removable,
    removable_by_number,
)
from l4proxy.actuators.workload import Scale, Workload, WorkloadClient, read_workload
from l4proxy.config.kubernetes import kubeconfig_file, kubernetes_label, kubernetes_name
from l4proxy.config.scalars import OFF, or_word, parsed
from l4proxy.config.section import Section
from l4proxy.kubernetes import ApiClient, ApiError, ApiFault, Election, Lease, load_access
from l4proxy.kubernetes.election import RETRY_SECONDS
from routing import BackendName, PoolName

log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 1.0
"""Between a victim's cost and the lowered number: who removes pods reads costs by a watch of its
own, and that has to arrive first."""

MAX_ATTEMPTS: Final = 5
"""Times that a number is written that others keep changing; then the next order tries again."""


class KubernetesScaleSettings(Section):
    """What is scaled, and how the API is reached."""

    expects: ClassVar[str] = "a mapping {scale, lease, …}"

    scale: Annotated[Workload, parsed(read_workload, str, "deployments/enclaves")]
    """The workload: deployments/NAME, statefulsets/NAME or GROUP/VERSION/RESOURCE/NAME."""

    lease: Annotated[str | None, or_word(OFF, kubernetes_name)] = Field(
        default_factory=lambda known: f"l4proxy-{known['scale'].name}"
    )
    """The Lease whose holder alone scales it; l4proxy-NAME when left out; or off."""

    namespace: Annotated[str, kubernetes_label] | None = None
    """Of the workload and the Lease; left out: that of the credentials."""

    kubeconfig: Annotated[Path, kubeconfig_file] | None = None
    """How the API is reached; left out: as a pod is, by its service account."""

    def held(self) -> str | None:
        """Return the Lease: its holder alone scales, and a pool is a holder of its own."""
        if self.lease is None:
            return None
        where = f" in namespace {self.namespace}" if self.namespace else ""
        whose = f" by {self.kubeconfig}" if self.kubeconfig else ""
        return f"the Lease {self.lease}{where}{whose}"


class Kubernetes:
    """The kind."""

    name = "kubernetes"
    settings = KubernetesScaleSettings

    def make(self, settings: KubernetesScaleSettings, pool: PoolName) -> "KubernetesScaler":
        """Return the actuator of a pool; nothing is opened yet."""
        return KubernetesScaler(settings, pool)


class KubernetesScaler:
    """Scales one workload.

    Attributes:
        election: Who leads; None before it runs, and where no Lease is asked for.
    """

    def __init__(self, settings: KubernetesScaleSettings, pool: PoolName) -> None:
        """Ask nothing yet."""
        self.election: Election | None = None
        self._settings = settings
        self._pool = pool
        self._lock = asyncio.Lock()
        self._waiting: Order | None = None
        self._released: Mapping[BackendName, Victim] = {}

    async def run(self) -> None:
        """Ask for the Lease and keep it until cancelled; where there is none, return at once."""
        name = self._settings.lease
        if name is None:
            return
        try:
            async with self._client() as (client, namespace), asyncio.TaskGroup() as tasks:
                self.election = Election(Lease(namespace, name, _identity()))
                waiting = tasks.create_task(self._catch_up(), name=f"orders of {self._pool}")
                outdated = await self.election.run(client)
                waiting.cancel()
        except ApiError as error:
            raise ActuatorError(str(error)) from error
        # It is run again, with the credentials as they are then.
        raise ActuatorError(str(outdated)) from outdated

    async def apply(self, order: Order) -> None:
        """Carry an order out, if this balancer leads; else keep it for the time when it does."""
        async with self._lock:
            self._released = _still_released(self._released, order)
            self._waiting = None if self._leads() else order
            if self._waiting is None:
                await self._carry_out(order)

    def _leads(self) -> bool:
        if self._settings.lease is None:
            return True
        return self.election is not None and self.election.leading

    async def _catch_up(self) -> None:
        """Carry out what came before this balancer led."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            order = self._waiting
            if order is not None and self._leads():
                try:
                    await self.apply(order)
                except ActuatorError as error:
                    log.warning("scaling of %s: %s", self._pool, error)
                    self._waiting = self._waiting or order

    async def _carry_out(self, order: Order) -> None:
        workload = self._settings.scale
        try:
            async with self._client() as (client, namespace):
                change = _Change(
                    WorkloadClient(client, namespace, workload),
                    workload,
                    tuple(self._released.values()),
                    self._leads,
                )
                await change.make(order)
        except ApiError as error:
            raise ActuatorError(f"{workload}: {error}") from error

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[tuple[ApiClient, str]]:
        access = load_access(self._settings.kubeconfig)
        async with ApiClient(access) as client:
            yield client, self._settings.namespace or access.namespace


class _Change(NamedTuple):
    """One order on its way.

    Attributes:
        there: The workload.
        workload: Its name.
        released: Those that the lowered number is to remove, first ones first.
        leads: Tells whether this balancer still may.
    """

    there: WorkloadClient
    workload: Workload
    released: tuple[Victim, ...]
    leads: Callable[[], bool]

    async def make(self, order: Order) -> None:
        """Carry it out; try again when somebody else has changed the scale meanwhile."""
        for _ in range(MAX_ATTEMPTS):
            try:
                await self._once(order)
            except ApiError as error:
                if error.fault is not ApiFault.CONFLICT:
                    raise
            else:
                return
        what = f"others changed its scale or its pods {MAX_ATTEMPTS} times"
        raise ActuatorError(f"{self.workload}: {what}")

    async def _once(self, order: Order) -> None:
        scale = await self.there.scale()
        pods = await self.there.pods(scale.selector)
        fresh = False
        if not self.workload.by_number:
            fresh = await self._mark(order, pods)
        if order.desired > scale.number:
            await self._set(scale, order.desired)
        elif order.desired < scale.number and self.released:
            await self._lower(scale, order, pods, fresh=fresh)

    async def _mark(self, order: Order, pods: Sequence[Pod]) -> bool:
        """Bring costs in line with who is to go; return whether a released one got its own now."""
        victims = dict.fromkeys(pods_of((*self.released, *order.drain), pods))
        costs = costs_for(victims)
        released = {pod.name for pod in pods_of(self.released, pods)}
        fresh = False
        for pod in pods:
            cost = costs.get(pod.name)
            if pod.going or cost == pod.cost or not (pod.is_ours or cost is not None):
                continue
            if pod.cost is not None and not pod.is_ours:
                log.warning("pod %s: found a deletion cost of somebody else, replaced", pod.name)
            self._check_lead()
            await self.there.mark(pod, cost)
            fresh = fresh or pod.name in released
        return fresh

    async def _lower(self, scale: Scale, order: Order, pods: Sequence[Pod], *, fresh: bool) -> None:
        """Lower the number as far as those who go are those who were released."""
        if not scale.selector:
            raise ActuatorError(f"{self.workload}: found no selector in its scale: never lowered")
        released = {pod.name for pod in pods_of(self.released, pods)}
        if self.workload.by_number:
            most = removable_by_number(pods, released)
        else:
            most = removable(pods, released, {pod.name for pod in pods_of(order.evict, pods)})
        # Pods over the number are on their way out already: whoever removes them is not so far yet.
        count = max(scale.number, sum(1 for pod in pods if not pod.going))
        number = max(order.desired, count - most)
        if number < scale.number:
            if fresh:
                await asyncio.sleep(SETTLE_SECONDS)
            await self._set(scale, number)
        elif not most and any(pod.name in released and not pod.going for pod in pods):
            raise ActuatorError(
                f"{self.workload}: not lowered to {order.desired}: another pod than those released "
                "would be removed first, as it is not ready or has a higher number"
            )

    async def _set(self, scale: Scale, number: int) -> None:
        self._check_lead()
        await self.there.set(scale, number)
        log.info("%s: %d pods instead of %d", self.workload, number, scale.number)

    def _check_lead(self) -> None:
        """Ask before each write: this process may have been stopped for a while just before it."""
        if not self.leads():
            raise ActuatorError(f"{self.workload}: another balancer leads by now")


@cache
def _identity() -> str:
    """Return what this process is called in Leases; no process is called so again."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:12]}"


def _still_released(
    before: Mapping[BackendName, Victim], order: Order
) -> Mapping[BackendName, Victim]:
    """Return those released, by this order or one before, that were not called back since.

    One of the same name at another address is another one: it was not released.
    """
    named = {victim.name: victim for victim in (*order.drain, *order.release)}
    kept = {
        name: named[name]
        for name, victim in before.items()
        if name in named and named[name].address == victim.address
    }
    return kept | {victim.name: victim for victim in order.release}
