"""Parts that are chosen by name: `NAME`, or `{NAME: {…}}` with the part's own settings below it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaValidator, core_schema

from l4proxy.config.mistakes import BadValueError, did_you_mean, expected, listed
from l4proxy.config.scalars import Scalar
from l4proxy.plugins import BadPlugin, failure

SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"type": "object"},
        },
    ]
}
"""What editors are told: nobody knows the settings of what is not installed there."""


class Kind(Protocol):
    """What can be chosen."""

    @property
    def settings(self) -> type[BaseModel]:
        """The mapping below its name."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """A part by name.

    Attributes:
        name: What the configuration calls it.
        settings: Of the model that this part has for them.

    """

    name: str
    settings: BaseModel


def chosen(what: str, installed: Callable[[], Mapping[str, Kind]]) -> Scalar[Choice]:
    """Return the scalar of such a choice. Only the part that is named is imported.

    Args:
        what: Is chosen, for messages, such as "an actuator".
        installed: Returns the parts by name.

    """

    def read(found: object) -> Choice:
        name, written = _named(found, what)
        try:
            settings = _settings_of(name, installed())
        except BadPlugin as error:
            raise BadValueError(str(error)) from error
        try:
            return Choice(name, _validated(settings, name, written))
        except ValidationError:  # whose paths begin with the name
            raise
        except Exception as error:  # a plug-in that fails at its settings fails at nothing else
            found = f"found {failure(error)}, expected settings that can be read"
            raise BadValueError(f"{name}: {found}") from error

    return Scalar(read, _written, SCHEMA)


def _validated(settings: type[BaseModel], name: str, written: object) -> BaseModel:
    """Return the settings of a part.

    Raises:
        ValidationError: One is wrong; its path begins with the name.

    """
    below = core_schema.dict_schema(
        core_schema.str_schema(), settings.__pydantic_core_schema__, strict=True
    )
    made: dict[str, BaseModel] = SchemaValidator(below).validate_python({name: written})
    return made[name]


def _named(found: object, what: str) -> tuple[str, object]:
    if isinstance(found, str):
        return found, {}
    if isinstance(found, dict) and len(found) == 1:
        ((name, written),) = found.items()
        if isinstance(name, str):
            return name, written
    raise expected(found, f"the name of {what}, or a mapping {{NAME: {{…}}}} with one")


def _settings_of(name: str, kinds: Mapping[str, Kind]) -> type[BaseModel]:
    if name not in kinds:
        raise expected(name, listed(sorted(kinds)), did_you_mean(name, kinds))
    return kinds[name].settings


def _written(choice: Choice) -> object:
    settings = choice.settings.model_dump(by_alias=True)
    return {choice.name: settings} if settings else choice.name
