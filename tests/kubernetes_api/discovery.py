"""What clients ask first: which groups, versions and resources there are."""

from tests.kubernetes_api.objects import Json
from tests.kubernetes_api.store import KINDS, Kind

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def documents(path: str) -> Json | None:
    """A document of discovery, None where there is none."""
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        groups = {kind.group: kind.version for kind in KINDS if kind.group}
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(group, version) for group, version in groups.items()],
        }
    for kind in KINDS:
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        if path == root:
            return _resources(kind.api_version)
    return None


def _group(group: str, version: str) -> Json:
    found: Json = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [found], "preferredVersion": found}


def _resources(api_version: str) -> Json:
    found = [
        entry
        for kind in KINDS
        if kind.api_version == api_version
        for entry in (_entry(kind), *(_part(kind, part) for part in kind.subresources))
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": found,
    }


def _entry(kind: Kind) -> Json:
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": True,
        "kind": kind.kind,
        "verbs": _VERBS,
    }


def _part(kind: Kind, part: str) -> Json:
    entry = {**_entry(kind), "name": f"{kind.plural}/{part}", "verbs": ["get", "patch", "update"]}
    if part == "scale":
        entry |= {"kind": "Scale", "group": "autoscaling", "version": "v1"}
    return entry
