"""Where objects lie: the paths of the API."""

from typing import Final, NamedTuple
from urllib.parse import quote


class Resource(NamedTuple):
    """A kind of object, as paths name it.

    Attributes:
        group: `apps`, `discovery.k8s.io`, …; empty for the core.
        version: Of the group: `v1`.
        plural: `deployments`.
    """

    group: str
    version: str
    plural: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of the objects of a namespace, of one of them, or of a part of that."""
        root = f"/apis/{quote(self.group, safe='')}" if self.group else "/api"
        steps = ("namespaces", namespace, self.plural, name, subresource)
        tail = "/".join(quote(step, safe="") for step in steps if step)
        return f"{root}/{quote(self.version, safe='')}/{tail}"


class Query(NamedTuple):
    """Objects that are listed or watched together.

    Attributes:
        path: Of all objects of a kind in a namespace.
        labels: A label selector; empty: all of them.
    """

    path: str
    labels: str = ""


ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
PODS: Final = Resource("", "v1", "pods")
