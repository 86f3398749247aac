"""Objects with rising versions, optimistic concurrency, a history and lists in pages."""

import copy
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.selectors import selects


class Kind(NamedTuple):
    """A resource: its group and version, what it is called, and what it has below it."""

    group: str
    version: str
    plural: str
    kind: str
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS = (
    Kind("", "v1", "pods", "Pod", ("status",)),
    Kind("", "v1", "services", "Service", ("status",)),
    Kind("apps", "v1", "deployments", "Deployment", ("status", "scale")),
    Kind("apps", "v1", "statefulsets", "StatefulSet", ("status", "scale")),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Kind("example.com", "v1alpha1", "enclavesets", "EnclaveSet", ("status", "scale")),
)


class Refusal(Exception):
    """What the API says no to: a code of HTTP, a reason and a message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    def status(self) -> Json:
        """The object that says so."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }


class Key(NamedTuple):
    """An object among all."""

    plural: str
    namespace: str
    name: str


class Change(NamedTuple):
    """One version of the store: an object before and after."""

    version: int
    key: Key
    before: Json | None
    after: Json | None


class Selection(NamedTuple):
    """Objects of a kind in a namespace (empty: in all) with labels."""

    plural: str
    namespace: str = ""
    selector: str = ""

    def takes(self, key: Key, found: Json | None) -> bool:
        """Whether an object is among them."""
        if found is None or key.plural != self.plural or self.namespace not in {"", key.namespace}:
            return False
        return selects(self.selector, section(section(found, "metadata"), "labels"))

    def event(self, change: Change) -> Json | None:
        """What a watch of these hears of a change; None: nothing."""
        was = self.takes(change.key, change.before)
        is_now = self.takes(change.key, change.after)
        if not was and not is_now:
            return None
        kind = ("MODIFIED" if was else "ADDED") if is_now else "DELETED"
        told = change.after if is_now else change.before
        # A deletion has a version of its own.
        meta = section(told or {}, "metadata") | {"resourceVersion": str(change.version)}
        return {"type": kind, "object": {**(told or {}), "metadata": meta}}


class Page(NamedTuple):
    """A part of a list, and what to ask for the next by."""

    objects: list[Json]
    version: int
    more: str
    remaining: int


@dataclass
class Store:
    """All objects.

    Attributes:
        version: Of the newest change.
        compacted: Older versions than this are forgotten.
        told: Hear of each change.
    """

    version: int = 100
    compacted: int = 0
    told: list[Callable[[Change], None]] = field(default_factory=list)
    _objects: dict[Key, Json] = field(default_factory=dict)
    _history: list[Change] = field(default_factory=list)
    _pages: dict[str, tuple[list[Json], int]] = field(default_factory=dict)

    def get(self, key: Key) -> Json:
        """A copy of an object."""
        if key not in self._objects:
            raise Refusal(404, "NotFound", f'{key.plural} "{key.name}" not found')
        return copy.deepcopy(self._objects[key])

    def create(self, key: Key, found: Json) -> Json:
        """Add an object."""
        if key in self._objects:
            raise Refusal(409, "AlreadyExists", f'{key.plural} "{key.name}" already exists')
        meta = section(found, "metadata") | {
            "name": key.name,
            "namespace": key.namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": 1,
        }
        return self._write(key, {**found, "metadata": meta})

    def replace(self, key: Key, found: Json, part: str = "") -> Json:
        """Write an object, or its status, if it is the version that the caller has seen."""
        before = self.get(key)
        old, new = section(before, "metadata"), section(found, "metadata")
        wanted = new.get("resourceVersion")
        if wanted not in {None, "", old["resourceVersion"]}:
            raise Refusal(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {key.plural} "{key.name}": the object has been '
                "modified; please apply your changes to the latest version and try again",
            )
        if new.get("uid", old["uid"]) != old["uid"]:
            raise Refusal(422, "Invalid", "metadata.uid: field is immutable")
        if part == "status":
            found = {**before, "status": found.get("status")}
        elif "status" in before or "status" in _subresources(key):
            found = {**found, "status": before.get("status")}
        kept = {name: old[name] for name in ("name", "namespace", "uid", "creationTimestamp")}
        bumped = found.get("spec") != before.get("spec")
        generation = int(str(old["generation"])) + bumped
        meta = section(found, "metadata") | kept | {"generation": generation}
        meta["resourceVersion"] = old["resourceVersion"]
        found = {key: value for key, value in found.items() if value is not None}
        if {**found, "metadata": meta} == before:
            return before  # nothing has changed, so neither has the version
        return self._write(key, {**found, "metadata": meta})

    def delete(self, key: Key) -> Json:
        """Remove an object."""
        before = self.get(key)
        del self._objects[key]
        self._tell(key, before, None)
        return before

    def page(self, selection: Selection, limit: int = 0, more: str = "") -> Page:
        """Objects of one version in order of names, as many as asked for at a time."""
        if more:
            if more not in self._pages:
                raise Refusal(410, "Expired", "The provided continue parameter is too old")
            rest, version = self._pages.pop(more)
        else:
            rest, version = list(self._selected(selection)), self.version
        page, rest = (rest[:limit], rest[limit:]) if limit else (rest, [])
        token = ""
        if rest:
            token = uuid.uuid4().hex
            self._pages[token] = (rest, version)
        return Page(page, version, token, len(rest))

    def since(self, version: int) -> list[Change]:
        """All changes after a version."""
        if version < self.compacted:
            raise Refusal(410, "Expired", f"too old resource version: {version} ({self.compacted})")
        return [change for change in self._history if change.version > version]

    def __iter__(self) -> Iterator[Key]:
        """What there is, in order."""
        return iter(sorted(self._objects))

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def compact(self) -> None:
        """Forget all history, as etcd does every five minutes."""
        self.version += 1
        self.compacted = self.version
        self._history.clear()
        self._pages.clear()

    def _selected(self, selection: Selection) -> Iterator[Json]:
        for key, found in sorted(self._objects.items()):
            if selection.takes(key, found):
                yield copy.deepcopy(found)

    def _write(self, key: Key, found: Json) -> Json:
        before = self._objects.get(key)
        meta = section(found, "metadata") | {"resourceVersion": str(self.version + 1)}
        self._objects[key] = copy.deepcopy({**found, "metadata": meta})
        self._tell(key, before, self._objects[key])
        return self.get(key)

    def _tell(self, key: Key, before: Json | None, after: Json | None) -> None:
        self.version += 1
        change = Change(self.version, key, before, after)
        self._history.append(change)
        for hear in self.told:
            hear(change)


def _subresources(key: Key) -> tuple[str, ...]:
    return next(kind.subresources for kind in KINDS if kind.plural == key.plural)
