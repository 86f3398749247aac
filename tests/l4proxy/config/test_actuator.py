"""The key `actuator`: a name, or a name with its settings; every mistake has its place."""

from typing import Annotated

import pytest
from pydantic import ValidationError

from l4proxy.actuators.webhook import WebhookSettings
from l4proxy.config import ConfigError
from l4proxy.config.actuator import RECOMMEND_ONLY, ActuatorChoice, NoSettings, actuator_choice
from l4proxy.config.document import read_document
from l4proxy.config.load import model_mistakes
from l4proxy.config.section import Section
from l4proxy.plugins import Group
from tests.l4proxy.installing import Install, install

__all__ = ["install"]


class Block(Section):
    """A block with the key."""

    actuator: Annotated[ActuatorChoice, actuator_choice] = RECOMMEND_ONLY


def read(text: str) -> Block:
    """The block that a text says.

    Raises:
        ConfigError: as a configuration would.
    """
    document = read_document(text, "config.yaml")
    try:
        return Block.model_validate(document.value)
    except ValidationError as error:
        raise ConfigError(model_mistakes(document, error)) from error


def test_the_default_does_nothing() -> None:
    """Left out or by its name, nobody carries decisions out."""
    assert read("{}").actuator == read("actuator: recommend-only").actuator == RECOMMEND_ONLY
    assert RECOMMEND_ONLY.settings == NoSettings()


def test_an_actuator_has_its_settings_below_its_name() -> None:
    """They are read by its own model, defaults filled in."""
    choice = read("actuator: {webhook: {url: https://hooks.example.com/}}").actuator
    assert choice.name == "webhook"
    assert isinstance(choice.settings, WebhookSettings)
    assert choice.settings.timeout == 3.0


@pytest.mark.parametrize("text", ["recommend-only", "{webhook: {url: 'https://a.example/'}}"])
def test_what_is_written_out_reads_the_same(text: str) -> None:
    """As every other key does."""
    block = read(f"actuator: {text}")
    written = block.model_dump()["actuator"]
    plain = (
        {key: value for key, value in written["webhook"].items() if value is not None}
        if (isinstance(written, dict))
        else None
    )
    assert Block.model_validate({"actuator": {"webhook": plain} if plain else written}) == block


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("actuator: web-hook", (1, 11, "actuator"), "did you mean webhook?"),
        ("actuator: {telepathy: {}}", (1, 11, "actuator"), "found 'telepathy', expected agones,"),
        ("actuator: 3", (1, 11, "actuator"), "found 3, expected the name of an actuator"),
        ("actuator: {agones: {}, keda: {}}", (1, 11, "actuator"), "a mapping {NAME: {…}} with one"),
        ("actuator: webhook", (1, 11, "actuator.url"), "is missing"),
        ("actuator: {webhook: }", (1, 20, "actuator.webhook"), "found nothing"),
        ("actuator:\n  webhook:\n    ur: x", (3, 5, "actuator.webhook.ur"), "did you mean url?"),
        (
            "actuator:\n  webhook:\n    url: ftp://a/\n    timeout: 3",
            (3, 10, "actuator.webhook.url"),
            "found 'ftp://a/', expected a URL",
        ),
        ("actuator: {recommend-only: {a: 1}}", (1, 29, "actuator.recommend-only.a"), "unknown key"),
    ],
)
def test_a_mistake_has_its_place(text: str, place: tuple[int, int, str], said: str) -> None:
    """Inside the settings of an actuator as everywhere."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    found = [(one.line, one.column, one.path, one.message) for one in caught.value.mistakes]
    assert any(one[:3] == place and said in one[3] for one in found), found


def test_a_broken_plug_in_is_a_mistake_of_who_names_it(install: Install) -> None:
    """Others never hear of it."""
    install("raise SystemError('imported')", group=Group.ACTUATORS)
    assert read("{}").actuator == RECOMMEND_ONLY
    with pytest.raises(ConfigError, match=r"actuator: the actuator toy of toy-tee 1\.0"):
        read("actuator: toy")
