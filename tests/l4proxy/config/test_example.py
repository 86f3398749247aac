"""The example file: complete, right, and a model of what it teaches."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy.config import Config, LimitSettings, effective, lint, load_config
from l4proxy.config.section import Section
from l4proxy.config.shorthand import PATTERNS
from routing import HostPattern
from sni import ServerName

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def sections(section: type[Section]) -> Iterator[type[Section]]:
    """Every kind of section of this document; other documents are made of sections too."""
    for kind in section.__subclasses__():
        if kind.__module__.startswith("l4proxy.config."):
            yield kind
            yield from sections(kind)


KEYS = sorted({key for kind in sections(Section) for key in kind.known()} - {PATTERNS})


def test_it_loads_without_advice() -> None:
    """It is a configuration that nobody would find fault with."""
    assert lint(load_config(EXAMPLE)) == ()


@pytest.mark.parametrize("key", KEYS)
def test_it_names_every_setting(key: str) -> None:
    """A setting that is added to the model is added to the example."""
    assert re.search(rf"\b{key}:", TEXT)


def test_what_it_calls_a_default_is_one() -> None:
    """Where no comment says otherwise, the values shown are those of an empty section."""
    config = load_config(EXAMPLE)
    for name in ("refusal", "limits", "workers", "admin", "shutdown", "access_log", "log_clients"):
        assert getattr(config, name) == Config.model_fields[name].get_default()
    pool = list(config.pools.values())[-1]
    for name in ("balance", "timeouts", "passive_health"):
        assert getattr(pool, name) == type(pool).model_fields[name].get_default()
    assert config.limits == LimitSettings()
    assert config.routes.default is None


def test_wildcards_match_as_it_says() -> None:
    """One or more labels, and not the name itself."""
    wildcard = HostPattern.parse("*.app.example.com")
    assert "one or more labels" in TEXT
    assert wildcard.left_of(ServerName("a.app.example.com"))
    assert wildcard.left_of(ServerName("a.b.app.example.com"))
    assert wildcard.left_of(ServerName("app.example.com")) is None


def test_its_bounds_are_those_of_the_code() -> None:
    """The ranges in its comments are the ones that messages name."""
    for bounds in (
        "1 to 1000000",
        "100ms to 60s",
        "1KiB to 64KiB",
        "1s to 168h",
        "0s to 24h",
        "1m to 720h",
    ):
        assert bounds in TEXT
    assert "hello_timeout: 5s" in effective(load_config(EXAMPLE))
