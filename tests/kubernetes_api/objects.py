"""JSON objects, and the three ways of patching them that clients use."""

import copy
from collections.abc import Mapping, Sequence

Json = dict[str, object]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class BadPatch(ValueError):
    """A patch that cannot be applied."""


def mapping(found: object) -> Json:
    """An object's mapping; an empty one for anything else."""
    return found if isinstance(found, dict) else {}


def section(found: Mapping[str, object], key: str) -> Json:
    """A mapping within a mapping."""
    return mapping(found.get(key))


def merged(target: object, patch: object) -> object:
    """RFC 7386: mappings are merged, null removes, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(target: Json, patch: object, kind: str) -> Json:
    """An object after a patch of any kind.

    Strategic merge differs from a plain one in lists alone, which no client of ours patches.
    """
    if kind == JSON_PATCH:
        if not isinstance(patch, list):
            raise BadPatch("expected a list of operations")
        changed: object = copy.deepcopy(target)
        for operation in patch:
            changed = _operated(changed, mapping(operation))
        return mapping(changed)
    if kind not in {MERGE, STRATEGIC} or not isinstance(patch, dict):
        raise BadPatch(f"{kind}: not supported")
    if kind == STRATEGIC and _has_lists(patch):
        raise BadPatch("lists are not merged here")
    return mapping(merged(target, patch))


def _has_lists(found: object) -> bool:
    if isinstance(found, dict):
        return any(_has_lists(value) for value in found.values())
    return isinstance(found, list)


def _operated(target: object, operation: Json) -> object:
    """RFC 6902, for mappings."""
    path = str(operation.get("path", ""))
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    parent = _walked(target, steps[:-1])
    op, last, value = operation.get("op"), steps[-1], operation.get("value")
    if op == "test":
        if parent.get(last) != value:
            raise BadPatch(f"test failed at {path}")
    elif op in {"add", "replace"}:
        if op == "replace" and last not in parent:
            raise BadPatch(f"nothing at {path}")
        parent[last] = value
    elif op == "remove":
        if last not in parent:
            raise BadPatch(f"nothing at {path}")
        del parent[last]
    else:
        raise BadPatch(f"{op}: not supported")
    return target


def _walked(target: object, steps: Sequence[str]) -> Json:
    for step in steps:
        if not isinstance(target, dict) or step not in target:
            raise BadPatch(f"nothing at {step}")
        target = target[step]
    if not isinstance(target, dict):
        raise BadPatch("no mapping there")
    return target
