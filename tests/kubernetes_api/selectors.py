"""Label selectors, as queries write them."""

import re
from collections.abc import Mapping

_IN = re.compile(r"([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)")
# Commas between requirements, not those between the values of one.
_COMMA = re.compile(r",(?![^(]*\))")


def selects(selector: str, labels: Mapping[str, object]) -> bool:
    """Whether a selector, `a=b,c in (d,e),!f`, takes these labels."""
    return all(_holds(each.strip(), labels) for each in _COMMA.split(selector) if each.strip())


def _holds(requirement: str, labels: Mapping[str, object]) -> bool:
    if found := _IN.fullmatch(requirement):
        values = {value.strip() for value in found[3].split(",")}
        return (labels.get(found[1]) in values) is (found[2] == "in")
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        key, there, value = requirement.partition(sign)
        if there:
            return (labels.get(key) == value) is equal
    if requirement.startswith("!"):
        return requirement[1:] not in labels
    return requirement in labels
