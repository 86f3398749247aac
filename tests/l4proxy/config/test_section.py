"""Mappings with known keys."""

import pytest
from pydantic import ValidationError

from l4proxy.config.model import RouteSettings
from l4proxy.config.pools import PoolSettings
from tests.l4proxy.config.texts import LEAST, messages_of, parse, with_pool


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{LEAST}limit: {{}}\n", "4:1: limit: unknown key, expected listeners"),
        (f"{LEAST}limit: {{}}\n", "(did you mean limits?)"),
        (f"{LEAST}zzz: {{}}\n", "log_clients or shutdown"),
        (with_pool("timeout: {idle: 5s}"), "6:5: pools.app.timeout: unknown key"),
        (
            with_pool("timeouts: {idel: 5s}"),
            "6:16: pools.app.timeouts.idel: unknown key, expected ",
        ),
        (with_pool("timeouts: {idel: 5s}"), "(did you mean idle?)"),
        (with_pool("<<: {idle: 5s}"), "pools.app['<<']: merge keys are not read"),
    ],
)
def test_unknown_keys_are_mistakes(text: str, said: str) -> None:
    """A key that nobody reads is named at its own place, with the nearest that is known."""
    assert said in messages_of(text)


@pytest.mark.parametrize("value", ["5", "word", "[]", "~", ""])
def test_a_section_is_a_mapping(value: str) -> None:
    """Anything else is refused, also nothing: an empty section is a mistake half made."""
    said = messages_of(f"{LEAST}limits: {value}\n")
    assert said.startswith("config.yaml:4:")
    assert said.endswith("expected a mapping")


def test_sections_are_frozen() -> None:
    """What was checked stays as it was."""
    pool = next(iter(parse(LEAST).pools.values()))
    with pytest.raises(ValidationError, match="frozen"):
        pool.balance = pool.balance  # type: ignore[misc]  # the very thing that must fail


def test_a_section_knows_its_keys() -> None:
    """The keys are those of a document."""
    assert PoolSettings.known()[:3] == ("backends", "server_name", "balance")
    assert RouteSettings.known() == ("(patterns)", "default")


def test_a_key_of_a_related_section_is_no_riddle() -> None:
    """What is known elsewhere is not called unknown."""
    said = messages_of(with_pool("health: {type: tcp, path: /}"))
    assert said == (
        "config.yaml:6:25: pools.app.health.path: only a probe of type http has this key"
    )
