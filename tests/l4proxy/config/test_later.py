"""Keys of later versions: refused, unless they are switched off."""

import pytest

from l4proxy.config.later import POOL, Later
from tests.l4proxy.config.texts import LEAST, messages_of, parse, with_pool


@pytest.mark.parametrize("value", ["off", "false", "'off'", "no"])
@pytest.mark.parametrize("key", POOL)
def test_a_pool_may_switch_a_thing_off(key: str, value: str) -> None:
    """What is switched off means what it says, so the pool is the same as without the key."""
    assert parse(with_pool(f"{key}: {value}")) == parse(with_pool(""))


@pytest.mark.parametrize("value", ["on", "0", "{}", "[]", "~", "x", "none", "{every: 5s}"])
@pytest.mark.parametrize("key", POOL)
def test_a_pool_may_not_ask_for_a_later_thing(key: str, value: str) -> None:
    """A key that would do nothing is refused by name, at its place, so that nothing fails open."""
    said = messages_of(with_pool(f"{key}: {value}"))
    assert said.startswith(f"config.yaml:6:5: pools.app.{key}: {POOL[key].about}")
    assert "not in this version" in said


def test_backends_are_not_found_by_kubernetes_yet() -> None:
    """Discovery is one mistake, not that and a missing address too."""
    said = messages_of(LEAST.replace("[10.0.0.1:443]", "[{kubernetes: {}}]"))
    assert said == (
        "config.yaml:3:15: pools.app[0]: a backend found by Kubernetes is not in this version: "
        "expected an address, or {dns: …}"
    )


def test_only_the_same_type_switches_off() -> None:
    """Zero equals false in Python, and means something else here."""
    assert Later("x").is_off(value=False)
    assert not Later("x").is_off(0)
