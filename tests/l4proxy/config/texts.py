"""Configurations for the tests, and the mistakes that are found in them."""

from textwrap import dedent

import pytest

from l4proxy.config import Config, ConfigError, Mistake, parse_config

SOURCE = "config.yaml"

LEAST = """\
listeners: [127.0.0.1:8443]
routes: {app.example.com: app}
pools: {app: [10.0.0.1:443]}
"""
"""The shortest configuration, three lines long: what is added to it begins on line 4."""


def parse(text: str) -> Config:
    """Parse a text that stands indented in a test."""
    return parse_config(dedent(text), SOURCE)


def mistakes_of(text: str) -> tuple[Mistake, ...]:
    """Parse a text that must not load; return what is said of it."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.mistakes
    return caught.value.mistakes


def messages_of(text: str) -> str:
    """Parse a text that must not load; return the report as it is printed."""
    return "\n".join(map(str, mistakes_of(text)))


def with_pool(settings: str) -> str:
    """A configuration whose pool `app` has more settings, each on a line from line 6 on."""
    lines = [f"    {line}" for line in dedent(settings).strip().splitlines()]
    head = "listeners: [127.0.0.1:8443]\nroutes: {app.example.com: app}\npools:\n  app:\n"
    return "\n".join([head + "    backends: [10.0.0.1:443]", *lines, ""])
