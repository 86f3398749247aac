"""The short ways to write things mean the same as the long ones."""

import pytest

from l4proxy.config.mistakes import BadValueError
from l4proxy.config.shorthand import (
    PATTERNS,
    backend_written_out,
    health_written_out,
    listener_written_out,
    none_when_off,
    pool_written_out,
    routes_written_out,
    rule_written_out,
    rules_written_out,
)
from tests.l4proxy.config.texts import parse

SHORT = """
    listeners: [127.0.0.1:8443]
    routes: {a.example.com: app, b.example.com: [app], default: refuse}
    pools: {app: [10.0.0.1:443]}
"""
LONG = """
    listeners: [{address: "127.0.0.1:8443"}]
    routes: {a.example.com: [{pool: app}], b.example.com: {pool: app}}
    pools: {app: {backends: [{address: "10.0.0.1:443"}]}}
"""


def test_short_and_long_are_equal() -> None:
    """A configuration is the same whichever way it is written."""
    assert parse(SHORT) == parse(LONG)


def test_addresses_pools_and_rules_may_be_short() -> None:
    """Each shorthand is written out to the mapping that it stands for."""
    assert listener_written_out("x") == {"address": "x"}
    assert backend_written_out("x") == {"address": "x"}
    assert health_written_out("x") == {"type": "x"}
    assert pool_written_out(("x",)) == {"backends": ("x",)}
    assert rule_written_out("x") == {"pool": "x"}
    assert rules_written_out("x") == ("x",)
    assert rules_written_out({"pool": "x"}) == ({"pool": "x"},)


def test_routes_are_gathered_beside_the_default() -> None:
    """The default is no pattern."""
    routes = {"a": "x", "default": "y", "b": "z"}
    assert routes_written_out(routes) == {PATTERNS: {"a": "x", "b": "z"}, "default": "y"}


@pytest.mark.parametrize("value", [False, "off"])
def test_off_is_none(value: object) -> None:
    """A bare `off` reaches us as false, a quoted one as text."""
    assert none_when_off(value) is None


@pytest.mark.parametrize("value", [5, True, None, 1.5])
def test_what_is_no_shorthand_is_left_alone(value: object) -> None:
    """The model says what is wrong with it."""
    assert listener_written_out(value) is value
    assert backend_written_out(value) is value
    assert health_written_out(value) is value
    assert none_when_off(value) is value
    assert pool_written_out(value) is value
    assert routes_written_out(value) is value
    assert rule_written_out(value) is value


def test_a_route_leads_to_something() -> None:
    """What is neither a rule nor a list of them is refused at once."""
    with pytest.raises(BadValueError, match="expected a pool, a mapping"):
        rules_written_out(5)
