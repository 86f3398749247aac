"""Who may do what, by the rules that stand in Roles."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.store import Refusal


class Attempt(NamedTuple):
    """What somebody wants to do."""

    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""


class Grant(NamedTuple):
    """A rule of a Role, in the namespace of its binding."""

    user: str
    namespace: str
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]

    def allows(self, attempt: Attempt) -> bool:
        """Whether this rule allows it."""
        # An object that is being created has no name yet, as the real authorizer sees it.
        named = not self.names or attempt.name in self.names
        return (
            self.user == attempt.user
            and self.namespace == attempt.namespace
            and attempt.verb in self.verbs
            and attempt.group in self.groups
            and attempt.resource in self.resources
            and named
        )


def check(attempt: Attempt, grants: Iterable[Grant]) -> None:
    """Refuse what no rule allows."""
    if not any(grant.allows(attempt) for grant in grants):
        raise Refusal(
            403,
            "Forbidden",
            f'{attempt.resource} "{attempt.name}" is forbidden: User "{attempt.user}" cannot '
            f'{attempt.verb} resource "{attempt.resource}" in API group "{attempt.group}" in the '
            f'namespace "{attempt.namespace}"',
        )


def grants_of(documents: Iterable[Json]) -> list[Grant]:
    """The rules of manifests: Roles, and the RoleBindings that give them to service accounts."""
    roles: dict[tuple[str, str], list[Json]] = {}
    bindings: list[Json] = []
    for each in documents:
        meta = section(each, "metadata")
        if each.get("kind") == "Role":
            rules = each["rules"]
            assert isinstance(rules, list)
            roles[str(meta["namespace"]), str(meta["name"])] = rules
        elif each.get("kind") == "RoleBinding":
            bindings.append(each)
    return [
        Grant(_user(subject), namespace, *(_words(rule, key) for key in _KEYS))
        for each in bindings
        for namespace in [str(section(each, "metadata")["namespace"])]
        for subject in _subjects(each)
        for rule in roles[namespace, str(section(each, "roleRef")["name"])]
    ]


_KEYS = ("verbs", "apiGroups", "resources", "resourceNames")


def _words(rule: Json, key: str) -> frozenset[str]:
    found = rule.get(key, [])
    assert isinstance(found, list)
    return frozenset(map(str, found))


def _subjects(binding: Json) -> list[Json]:
    found = binding["subjects"]
    assert isinstance(found, list)
    return found


def _user(subject: Json) -> str:
    assert subject["kind"] == "ServiceAccount"
    return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
