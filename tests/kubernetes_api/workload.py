"""A Deployment or StatefulSet whose pods come and go as the real controllers have it.

Pods are removed in the order of Kubernetes 1.36's ReplicaSet, as far as it concerns us: not ready
before ready, then the lower deletion cost, then the younger; a StatefulSet's highest number first.
"""

from dataclasses import dataclass, field

from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.server import ApiServer
from tests.kubernetes_api.store import Change, Key

COST = "controller.kubernetes.io/pod-deletion-cost"
LABELS: Json = {"app": "enclaves"}


@dataclass
class FakeWorkload:
    """One workload in a server, whose controller acts at once.

    Attributes:
        server: Where it is.
        plural: `deployments` or `statefulsets`.
        removed: Pods that were removed, in order.
        made: How many were made.
    """

    server: ApiServer
    plural: str = "deployments"
    name: str = "enclaves"
    removed: list[str] = field(default_factory=list)
    made: int = 0

    def begin(self, replicas: int) -> None:
        """Create it with its pods, all ready."""
        spec: Json = {"replicas": replicas, "selector": {"matchLabels": LABELS}}
        self.server.add(self.plural, self.name, {"spec": spec})
        self.reconcile()
        self.server.store.told.append(self._hear)

    @property
    def key(self) -> Key:
        """Of the workload."""
        return Key(self.plural, "default", self.name)

    @property
    def replicas(self) -> int:
        """How many pods it is to have."""
        found = section(self.server.store.get(self.key), "spec")["replicas"]
        assert isinstance(found, int)
        return found

    def pods(self) -> list[str]:
        """The names of its pods."""
        return [pod.name for pod in self.server.store if pod.plural == "pods"]

    def costs(self) -> dict[str, int]:
        """The deletion costs that pods have."""
        found = {name: self._cost(self._pod(name)) for name in self.pods()}
        return {name: cost for name, cost in found.items() if cost}

    def set_ready(self, name: str, *, ready: bool) -> None:
        """Let a pod be ready or not."""
        key = Key("pods", "default", name)
        status = {**section(self._pod(name), "status"), "conditions": _conditions(ready=ready)}
        self.server.store.replace(key, {**self._pod(name), "status": status}, "status")

    def reconcile(self) -> None:
        """Make or remove pods until there are as many as there are to be."""
        while len(self.pods()) > self.replicas:
            name = min(self.pods(), key=self._order)
            self.removed.append(name)
            self.server.store.delete(Key("pods", "default", name))
        while len(self.pods()) < self.replicas:
            self._make()

    def _hear(self, change: Change) -> None:
        if change.key == self.key and change.after is not None:
            self.reconcile()

    def _make(self) -> None:
        self.made += 1
        number = next(n for n in range(1000) if f"{self.name}-{n}" not in self.pods())
        name = f"{self.name}-{number}"
        status: Json = {
            "podIP": f"10.0.0.{self.made}",
            "podIPs": [{"ip": f"10.0.0.{self.made}"}, {"ip": f"fd00::{self.made}"}],
            "conditions": _conditions(ready=True),
        }
        self.server.add("pods", name, {"metadata": {"labels": LABELS}, "status": status})

    def _pod(self, name: str) -> Json:
        return self.server.store.get(Key("pods", "default", name))

    def _order(self, name: str) -> tuple[object, ...]:
        number = int(name.rpartition("-")[2])
        if self.plural == "statefulsets":
            return (-number,)
        pod = self._pod(name)
        ready = section(pod, "status")["conditions"] == _conditions(ready=True)
        return ready, self._cost(pod), -number

    def _cost(self, pod: Json) -> int:
        return int(str(section(section(pod, "metadata"), "annotations").get(COST, 0)))


def _conditions(*, ready: bool) -> list[Json]:
    return [{"type": "Ready", "status": "True" if ready else "False"}]
