"""What is installed to be named: the built-in parts and those of plug-ins, found the same way.

A distribution registers a part in the entry-point group of its sort (`Group`), under the name that
a policy or the configuration calls it. What is registered is known from metadata alone; the code of
a part is imported when somebody names it, and never before. So a plug-in that nobody asked for
cannot do anything.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from attestation import AttestationError, EvidenceKind

DISTRIBUTION: Final = "l4proxy"
"""The distribution whose parts are built in."""

MAX_DOCUMENT_BYTES: Final = 128 * 1024
"""Bytes that a kind may allow a document: half of what a wrapper of evidence may have."""

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
"""What a part may be called: what a policy or the configuration can write without quotes."""

_Attribute = TypeVar("_Attribute")
_Part = TypeVar("_Part")


class Group(StrEnum):
    """The entry-point groups."""

    EVIDENCE = "l4proxy.evidence"
    """Kinds of TEE, which policies name."""

    TELEMETRY = "l4proxy.telemetry"
    """Sources of telemetry, which the `telemetry` of a pool names."""

    ACTUATORS = "l4proxy.actuators"
    """Actuators, which the `scaling` of a pool names."""

    DISCOVERY = "l4proxy.discovery"
    """Ways to find backends, which the `backends` of a pool name."""

    @property
    def short(self) -> str:
        """The last word: what lists call it."""
        return self.rpartition(".")[2]

    @property
    def word(self) -> str:
        """What messages call one of them."""
        return _WORDS[self]


_WORDS: Final = {
    Group.EVIDENCE: "kind",
    Group.TELEMETRY: "telemetry source",
    Group.ACTUATORS: "actuator",
    Group.DISCOVERY: "discovery",
}


_PROTOCOLS: Final = {
    Group.TELEMETRY: "TelemetryKind",
    Group.ACTUATORS: "ActuatorKind",
    Group.DISCOVERY: "DiscoveryKind",
}


class BadPlugin(AttestationError):
    """A part cannot be used: whose it is, what was found, what was expected."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A part that a distribution has registered; none of its code is imported.

    Attributes:
        group: Its sort.
        name: What it is called where it is named.
        target: The class, as `package.module:Class`.
        distribution: Who brings it.
        version: Of that distribution.

    """

    group: Group
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
        whose = f"{self.distribution} {self.version}"
        return f"the {self.group.word} {self.name} of {whose} ({self.target})"

    def load(self) -> object:
        """Import it and return what it is, made without arguments.

        Raises:
            BadPlugin: It cannot be imported or made, or has another name than it is registered by.

        """
        try:
            made: object = self.entry_point.load()()
        except (Exception, SystemExit) as error:  # a script that ends itself ends nothing of ours
            expected = "a class that can be imported, and made without arguments"
            raise BadPlugin(f"{self}: found {failure(error)}, expected {expected}") from error
        name = attribute(self, made, "name", str)
        if name != self.name or not NAME.fullmatch(name):
            expected = "the name that it is registered by, of a-z, 0-9 and -"
            raise BadPlugin(f"{self}: found the name {name[:40]!r}, expected {expected}")
        return made


class Installed(Mapping[str, _Part], Generic[_Part]):
    """The parts of a sort by name, each imported when it is first asked for.

    To look up a part that is broken, or that two distributions register, raises `BadPlugin`.
    """

    def __init__(
        self, plugins: Iterable[Plugin], checked: Callable[[Plugin, object], _Part]
    ) -> None:
        """Offer these; `checked` returns what one was loaded as, or raises `BadPlugin`."""
        self._plugins: dict[str, list[Plugin]] = {}
        for plugin in plugins:
            self._plugins.setdefault(plugin.name, []).append(plugin)
        self._checked = checked
        self._loaded: dict[str, _Part] = {}

    def __getitem__(self, name: str) -> _Part:
        if name not in self._loaded:
            plugin = _only(self._plugins[name])
            self._loaded[name] = self._checked(plugin, plugin.load())
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)


InstalledKinds = Installed[EvidenceKind]
"""The kinds of TEE, as policies are read with them: `load_policy(path, installed_kinds())`."""


def installed(group: Group) -> tuple[Plugin, ...]:
    """Return every part that is registered in a group, in order of names; none is imported."""
    found = [_plugin(group, entry_point) for entry_point in entry_points(group=group)]
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def configured_parts(group: Group) -> Installed[_Part]:
    """Return the parts of a group that the configuration chooses, each with settings of its own.

    The caller says what they are: the `…Kind` of their group, whose `settings` and `make` are
    looked at when one is asked for.

    Raises:
        BadPlugin: Not even our own are registered: l4proxy was not installed as it is now.

    """

    def checked(plugin: Plugin, made: object) -> _Part:
        _settings_model(plugin, made)
        _has_methods(plugin, made, _PROTOCOLS[group], "make")
        part: _Part = made  # type: ignore[assignment]  # each part of its shape was looked at
        return part

    return _installed_parts(group, checked)


def installed_kinds() -> InstalledKinds:
    """Return the kinds of TEE that policies may name here.

    Raises:
        BadPlugin: Not even our own kinds are registered: l4proxy was not installed as it is now.

    """
    return _installed_parts(Group.EVIDENCE, _kind)


def failure(error: BaseException) -> str:
    """Return what code of a plug-in failed with, short."""
    return f"{type(error).__name__}: {error}"[:200]


def attribute(plugin: Plugin, made: object, name: str, expected: type[_Attribute]) -> _Attribute:
    """Return an attribute that has exactly this type.

    Raises:
        BadPlugin: It has another, or none, or cannot be read.

    """
    try:
        value: object = getattr(made, name, None)
    except Exception as error:
        raise BadPlugin(f"{plugin}: {name} raises {type(error).__name__}: {error}") from error
    if type(value) is not expected:
        found = type(value).__name__
        raise BadPlugin(f"{plugin}: found {name} of {found}, expected {expected.__name__}")
    return value


def _installed_parts(group: Group, checked: Callable[[Plugin, object], _Part]) -> Installed[_Part]:
    """Return the parts of a group that may be named here.

    Args:
        group: Their sort.
        checked: Returns what one was loaded as, or raises `BadPlugin` if it has not the shape.

    Raises:
        BadPlugin: Not even our own are registered: l4proxy was not installed as it is now.

    """
    plugins = installed(group)
    if not any(plugin.built_in for plugin in plugins):
        what = f"nothing registered in {group}"
        raise BadPlugin(f"{DISTRIBUTION}: found {what}, expected ours: install again")
    return Installed(plugins, checked)


def _plugin(group: Group, entry_point: EntryPoint) -> Plugin:
    distribution = entry_point.dist
    name, version = ("", "") if distribution is None else (distribution.name, distribution.version)
    return Plugin(group, entry_point.name, entry_point.value, name, version, entry_point)


def _only(plugins: list[Plugin]) -> Plugin:
    if len(plugins) > 1:
        whose = " and ".join(f"{one.distribution} {one.version}" for one in plugins)
        what = f"the {plugins[0].group.word} {plugins[0].name}"
        raise BadPlugin(f"{what}: found it registered by {whose}, expected one")
    return plugins[0]


def _settings_model(plugin: Plugin, made: object) -> None:
    """Return if its `settings` are a model that the configuration can be read with.

    Raises:
        BadPlugin: It is no pydantic model, or one that takes any key.

    """
    settings: object = getattr(made, "settings", None)
    expected = "a pydantic model that forbids unknown keys: a l4proxy.config.section.Section"
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise BadPlugin(f"{plugin}: found settings {settings!r:.60}, expected {expected}")
    if settings.model_config.get("extra") != "forbid":
        raise BadPlugin(f"{plugin}: found settings that take any key, expected {expected}")


def _has_methods(plugin: Plugin, made: object, protocol: str, *methods: str) -> None:
    """Return if there are these methods of a protocol.

    Raises:
        BadPlugin: One is missing.

    """
    for method in methods:
        if not callable(getattr(made, method, None)):
            raise BadPlugin(f"{plugin}: found no {method}(), expected that of {protocol}")


def _kind(plugin: Plugin, made: object) -> EvidenceKind:
    """Return what was made as the kind that it has the shape of."""
    attribute(plugin, made, "signs_time", bool)
    limit = attribute(plugin, made, "limit", int)
    if not 0 < limit <= MAX_DOCUMENT_BYTES:
        expected = f"1 to {MAX_DOCUMENT_BYTES} bytes"
        raise BadPlugin(f"{plugin}: found a limit of {limit}, expected {expected}")
    _has_methods(plugin, made, "EvidenceKind", "verify", "demands")
    kind: EvidenceKind = made  # type: ignore[assignment]  # each part of its shape was looked at
    return kind
