"""A configuration written out with every default, as a text that loads to an equal one."""

import yaml
from yaml.nodes import ScalarNode

from l4proxy.config.model import Config
from l4proxy.config.scalars import OFF, ON, Word
from l4proxy.config.shorthand import DEFAULT_ROUTE, PATTERNS

_WIDTH = 100


def effective(config: Config) -> str:
    """Return the YAML text of a configuration, every default filled in."""
    values = config.model_dump(by_alias=True)
    routes = values["routes"]
    rules = {pattern: _rules(found) for pattern, found in routes[PATTERNS].items()}
    values["routes"] = {**rules, DEFAULT_ROUTE: routes[DEFAULT_ROUTE]}
    values["admin"] = values["admin"] or OFF
    for pool in values["pools"].values():
        for key in ("health", "sticky", "attestation", "telemetry", "scaling"):
            pool[key] = pool[key] or OFF
        if pool["scaling"] is not OFF:
            pool["scaling"]["forecast"] = pool["scaling"]["forecast"] or OFF
    said = _said(values)
    return yaml.dump(said, Dumper=_Writer, sort_keys=False, default_flow_style=None, width=_WIDTH)


def _rules(found: tuple[object, ...]) -> object:
    """Return a rule that stands alone without its list."""
    return found[0] if len(found) == 1 else found


def _said(found: object) -> object:
    """Return a value without the keys that have no word for what they mean when left out."""
    if isinstance(found, dict):
        return {key: _said(value) for key, value in found.items() if value is not None}
    return [_said(item) for item in found] if isinstance(found, tuple) else found


class _Writer(yaml.SafeDumper):
    """PyYAML's safe dumper, which would put `off` in quotes."""


def _word(writer: _Writer, word: Word) -> ScalarNode:
    tag = "tag:yaml.org,2002:bool" if word in (ON, OFF) else "tag:yaml.org,2002:str"
    return writer.represent_scalar(tag, str(word))


def _protocols(writer: _Writer, protocols: frozenset[str]) -> yaml.nodes.SequenceNode:
    return writer.represent_sequence("tag:yaml.org,2002:seq", sorted(protocols), flow_style=True)


_Writer.add_representer(Word, _word)
_Writer.add_representer(frozenset, _protocols)
