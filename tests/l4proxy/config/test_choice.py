"""Parts that are chosen by name, whatever they are."""

from typing import Annotated, NamedTuple

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from l4proxy.config.choice import Choice, chosen
from l4proxy.config.mistakes import BadValueError
from l4proxy.config.scalars import whole
from l4proxy.config.section import Section
from l4proxy.plugins import BadPlugin


class Settings(Section):
    """Of one of the parts."""

    port: Annotated[int, whole(1, 9)] = 3
    """A number."""


class Bare(Section):
    """Of the other, which has none."""


class Failing(Section):
    """Of one whose code is wrong."""

    file: str = ""
    """Something."""

    @field_validator("file")
    @classmethod
    def _looked_up(cls, found: str) -> str:
        return dict[str, str]()[found]


class Unfinished(Section):
    """Of one that pydantic cannot read with."""

    file: "NoSuchType"  # type: ignore[name-defined]  # noqa: F821 - what is to be refused


class Part(NamedTuple):
    """A part."""

    settings: type[BaseModel]


class Parts(dict[str, Part]):
    """Two that are sound, and one that cannot be loaded."""

    def __getitem__(self, name: str) -> Part:
        """Return one."""
        if name == "broken":
            raise BadPlugin("the part broken of acme 1.0")
        return super().__getitem__(name)


PART = chosen("a part", lambda: Parts(some=Part(Settings), bare=Part(Bare), broken=Part(Bare)))


@pytest.mark.parametrize(
    ("found", "choice", "written"),
    [
        ("bare", Choice("bare", Bare()), "bare"),
        ({"bare": {}}, Choice("bare", Bare()), "bare"),
        ("some", Choice("some", Settings()), {"some": {"port": 3}}),
        ({"some": {"port": 5}}, Choice("some", Settings(port=5)), {"some": {"port": 5}}),
    ],
)
def test_a_name_may_have_settings_below_it(found: object, choice: Choice, written: object) -> None:
    """Written out, defaults stand there, and nothing where there are none."""
    assert PART.read(found) == choice
    assert PART.write(choice) == written
    assert PART.read(written) == choice


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("som", "found 'som', expected bare, broken or some (did you mean some?)"),
        ("broken", "the part broken of acme 1.0"),
        (3, "found 3, expected the name of a part, or a mapping {NAME: {…}} with one"),
        ({}, "expected the name of a part"),
        ({"some": {}, "bare": {}}, "expected the name of a part"),
    ],
)
def test_what_is_no_part_is_a_mistake(found: object, said: str) -> None:
    """It is told what there is."""
    with pytest.raises(BadValueError) as caught:
        PART.read(found)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"), [(Failing, "KeyError: 'x'"), (Unfinished, "SchemaError")]
)
def test_settings_that_fail_are_a_mistake(settings: type[BaseModel], said: str) -> None:
    """Of the configuration that names the part; who reads it goes on."""
    part = chosen("a part", lambda: {"acme": Part(settings)})
    with pytest.raises(BadValueError, match=f"acme: found {said}"):
        part.read({"acme": {"file": "x"}})


def test_a_wrong_setting_has_its_path() -> None:
    """From the name on."""
    with pytest.raises(ValidationError) as caught:
        PART.read({"some": {"port": 10}})
    assert caught.value.errors()[0]["loc"] == ("some", "port")
