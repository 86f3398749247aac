"""A workload of Kubernetes: how many pods it is to have, which there are, which go first."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from l4proxy.actuators.deletion_cost import COST, Pod, read_pod
from l4proxy.config.kubernetes import LABEL_PATTERN, SUBDOMAIN_PATTERN
from l4proxy.config.mistakes import expected
from l4proxy.kubernetes import ApiClient, ApiError, ApiFault, Query, Resource
from l4proxy.kubernetes.objects import field, text, version, whole
from l4proxy.kubernetes.resources import PODS

_NAME: Final = re.compile(SUBDOMAIN_PATTERN, re.ASCII)
_BUILT_IN: Final = ("deployments", "replicasets", "statefulsets")
_STEPS: Final = tuple(
    re.compile(step, re.ASCII)
    for step in (SUBDOMAIN_PATTERN, r"v[0-9][a-z0-9]{0,30}", LABEL_PATTERN, SUBDOMAIN_PATTERN)
)


class Workload(NamedTuple):
    """What is scaled: a kind of object with a `/scale` subresource, and which one."""

    resource: Resource
    name: str

    @property
    def by_number(self) -> bool:
        """Whether its pods go by their numbers, whatever they cost."""
        return self.resource == ("apps", "v1", "statefulsets")

    def __str__(self) -> str:
        group, version_, plural = self.resource
        short = (group, version_) == ("apps", "v1") and plural in _BUILT_IN
        return f"{plural}/{self.name}" if short else f"{group}/{version_}/{plural}/{self.name}"


def read_workload(found: object) -> Workload:
    """Return what is scaled.

    Raises:
        BadValueError: It is neither `deployments/NAME` nor `GROUP/VERSION/RESOURCE/NAME`.

    """
    steps = found.split("/") if isinstance(found, str) else []
    if steps and steps[0] in _BUILT_IN:
        steps = ["apps", "v1", *steps]
    fits = len(steps) == len(_STEPS) and all(
        pattern.fullmatch(step) for pattern, step in zip(_STEPS, steps, strict=True)
    )
    if not fits:
        what = "deployments/NAME, statefulsets/NAME or GROUP/VERSION/RESOURCE/NAME"
        raise expected(found, what)
    group, version_, plural, name = steps
    return Workload(Resource(group, version_, plural), name)


class Scale(NamedTuple):
    """The scale of a workload.

    Attributes:
        number: Of pods that it is to have.
        version: What a change of it is made to.
        selector: Of the labels of its pods; empty: it does not say.
    """

    number: int
    version: str
    selector: str


class WorkloadClient:
    """Reads and changes one workload. Whatever fails is an `ApiError`."""

    def __init__(self, client: ApiClient, namespace: str, workload: Workload) -> None:
        """Ask nothing yet."""
        self._client = client
        self._namespace = namespace
        self._path = workload.resource.path(namespace, workload.name, "scale")

    async def scale(self) -> Scale:
        """Return its scale as it is now."""
        found = await self._client.get(self._path)
        newest = version(found)
        if newest is None:
            raise ApiError(ApiFault.MALFORMED, f"{self._path}: found no version")
        # Without a number it is one that was never written: zero (autoscaling/v1, ScaleSpec). What
        # is no number is not zero: then a higher one, set in good faith, might be a lower one.
        spec = field(found, "spec")
        said = field(spec, "replicas")
        number = 0 if said is None else whole(spec, "replicas")
        if not isinstance(spec, Mapping) or number is None or number < 0:
            raise ApiError(ApiFault.MALFORMED, f"{self._path}: found no number of replicas")
        return Scale(number, newest, text(found, "status", "selector") or "")

    async def pods(self, selector: str) -> tuple[Pod, ...]:
        """Return its pods; none if it does not say which they are.

        Raises:
            ApiError: With MALFORMED if one has no name or no version: it could not be changed.
        """
        if not selector:
            return ()
        listing = await self._client.list(Query(PODS.path(self._namespace), selector))
        pods = tuple(read_pod(found) for found in listing.objects)
        if not all(pod.version and _NAME.fullmatch(pod.name) for pod in pods):
            raise ApiError(ApiFault.MALFORMED, f"{self._path}: found a pod without name or version")
        return pods

    async def set(self, scale: Scale, number: int) -> None:
        """Give it another number, if its scale is the one that was read; else a CONFLICT."""
        changes = {
            "metadata": {"resourceVersion": scale.version},
            "spec": {"replicas": number},
        }
        await self._client.patch(self._path, changes)

    async def mark(self, pod: Pod, cost: int | None) -> None:
        """Give a pod a deletion cost, or None, if it is as it was read; else a CONFLICT.

        One that is gone needs neither.
        """
        said = None if cost is None else str(cost)
        try:
            path = PODS.path(self._namespace, pod.name)
            changes = {"resourceVersion": pod.version, "annotations": {COST: said}}
            await self._client.patch(path, {"metadata": changes})
        except ApiError as error:
            if error.fault is not ApiFault.NOT_FOUND:
                raise
