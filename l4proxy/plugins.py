"""Kinds of TEE that are installed: the built-in ones and those of plug-ins, found the same way.

A distribution registers a kind in the entry-point group `l4proxy.evidence`, under the name that
policies call it. What is registered is known from metadata alone; the code of a kind is imported
when a policy names it, and never before. So a plug-in that nobody asked for cannot do anything.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeVar

from attestation import AttestationError, EvidenceKind

GROUP: Final = "l4proxy.evidence"
"""The entry-point group of kinds of TEE."""

DISTRIBUTION: Final = "l4proxy"
"""The distribution whose kinds are built in."""

MAX_DOCUMENT_BYTES: Final = 128 * 1024
"""Bytes that a kind may allow a document: half of what a wrapper of evidence may have."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)

_Attribute = TypeVar("_Attribute")


class BadPlugin(AttestationError):
    """A kind cannot be used: whose it is, what was found, what was expected."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A kind that a distribution has registered; none of its code is imported.

    Attributes:
        name: What policies call it.
        target: The class, as `package.module:Class`.
        distribution: Who brings it.
        version: Of that distribution.

    """

    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False, compare=False)

    @property
    def built_in(self) -> bool:
        """Whether it is one of ours."""
        return self.distribution == DISTRIBUTION

    def __str__(self) -> str:
        return f"the kind {self.name} of {self.distribution} {self.version} ({self.target})"

    def load(self) -> EvidenceKind:
        """Import it and return the kind.

        Raises:
            BadPlugin: It cannot be imported or made, or is no kind of this name.

        """
        try:
            made: object = self.entry_point.load()()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"[:200]
            expected = "a class that can be imported, and made without arguments"
            raise BadPlugin(f"{self}: found {found}, expected {expected}") from error
        return _checked(self, made)


class InstalledKinds(Mapping[str, EvidenceKind]):
    """The kinds of TEE by name, each imported when it is first asked for.

    This is what policies are read with: `load_policy(path, installed_kinds())`. To look up a kind
    that is broken, or that two distributions register, raises `BadPlugin`.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        """Offer these."""
        self._plugins: dict[str, list[Plugin]] = {}
        for plugin in plugins:
            self._plugins.setdefault(plugin.name, []).append(plugin)
        self._loaded: dict[str, EvidenceKind] = {}

    def __getitem__(self, name: str) -> EvidenceKind:
        if name not in self._loaded:
            self._loaded[name] = _only(self._plugins[name]).load()
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)


def installed() -> tuple[Plugin, ...]:
    """Return every kind that is registered here, in order of names; none is imported."""
    found = [_plugin(entry_point) for entry_point in entry_points(group=GROUP)]
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def installed_kinds() -> InstalledKinds:
    """Return the kinds that policies may name here.

    Raises:
        BadPlugin: Not even our own kinds are registered: l4proxy was not installed as it is now.

    """
    plugins = installed()
    if not any(plugin.built_in for plugin in plugins):
        raise BadPlugin(f"{DISTRIBUTION}: found no kinds registered, expected ours: install again")
    return InstalledKinds(plugins)


def _plugin(entry_point: EntryPoint) -> Plugin:
    distribution = entry_point.dist
    name, version = ("", "") if distribution is None else (distribution.name, distribution.version)
    return Plugin(entry_point.name, entry_point.value, name, version, entry_point)


def _only(plugins: list[Plugin]) -> Plugin:
    if len(plugins) > 1:
        whose = " and ".join(f"{one.distribution} {one.version}" for one in plugins)
        raise BadPlugin(f"the kind {plugins[0].name}: found it registered by {whose}, expected one")
    return plugins[0]


def _checked(plugin: Plugin, made: object) -> EvidenceKind:
    """Return what was made as the kind that it has the shape of."""
    name = _attribute(plugin, made, "name", str)
    if name != plugin.name or not _NAME.fullmatch(name):
        expected = "the name that it is registered by, of a-z, 0-9 and -"
        raise BadPlugin(f"{plugin}: found the name {name[:40]!r}, expected {expected}")
    _attribute(plugin, made, "signs_time", bool)
    limit = _attribute(plugin, made, "limit", int)
    if not 0 < limit <= MAX_DOCUMENT_BYTES:
        expected = f"1 to {MAX_DOCUMENT_BYTES} bytes"
        raise BadPlugin(f"{plugin}: found a limit of {limit}, expected {expected}")
    for method in ("verify", "demands"):
        if not callable(getattr(made, method, None)):
            raise BadPlugin(f"{plugin}: found no {method}(), expected that of EvidenceKind")
    kind: EvidenceKind = made  # type: ignore[assignment]  # each part of its shape was looked at
    return kind


def _attribute(plugin: Plugin, made: object, name: str, expected: type[_Attribute]) -> _Attribute:
    try:
        value: object = getattr(made, name, None)
    except Exception as error:
        raise BadPlugin(f"{plugin}: {name} raises {type(error).__name__}: {error}") from error
    if type(value) is not expected:
        found = type(value).__name__
        raise BadPlugin(f"{plugin}: found {name} of {found}, expected {expected.__name__}")
    return value
