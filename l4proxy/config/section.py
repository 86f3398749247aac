"""What every mapping of the configuration has in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from l4proxy.config.mistakes import did_you_mean, expected, listed


@dataclass(frozen=True, slots=True)
class Stray:
    """A key that the section does not take, in the place of its value, with what to say of it."""

    message: str


class Section(BaseModel):
    """A frozen mapping with known keys, whose model is read from plain values of a document.

    Models are made by `parse_config` alone: their fields read texts (`3s`), not their own types.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that only a related section takes, with what to say of them here."""

    expects: ClassVar[str] = "a mapping"
    """What the section may be, for messages."""

    @classmethod
    def written_out(cls, found: object) -> object:
        """Return the mapping that a shorthand stands for; anything else unchanged."""
        return found

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """Return the keys that the section takes in this version."""
        return tuple(str(field.alias or name) for name, field in cls.model_fields.items())

    @model_validator(mode="before")
    @classmethod
    def _sift(cls, found: object) -> object:
        """Mark the keys that the section does not take."""
        values = cls.written_out(found)
        if not isinstance(values, dict):
            raise expected(found, cls.expects)
        known = cls.known()
        return {key: value if key in known else cls._stray(key) for key, value in values.items()}

    @classmethod
    def _stray(cls, key: str) -> Stray:
        if key in cls.elsewhere:
            return Stray(cls.elsewhere[key])
        if key == "<<":
            return Stray("merge keys are not read: write the keys out")
        hint = did_you_mean(key, cls.known())
        return Stray(
            f"unknown key, expected {listed(cls.known())}" + (f" ({hint})" if hint else "")
        )
