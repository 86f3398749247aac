"""Single values of the configuration: how each is read, written back and described to editors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from l4proxy.config import units
from l4proxy.config.mistakes import BadValueError, did_you_mean, expected, listed

T = TypeVar("T")
Choice = TypeVar("Choice", bound=Enum)

MAX_PROTOCOL_BYTES: Final = 255
"""Bytes of an ALPN protocol name: its length is one byte (RFC 7301 §3.1)."""


class Word(str):
    """A word of the configuration's own language, written without quotes: `off`, `auto`."""

    __slots__ = ()


ON: Final = Word("on")
OFF: Final = Word("off")
AUTO: Final = Word("auto")
REFUSE: Final = Word("refuse")
SYSTEM: Final = Word("system")


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(Generic[T]):
    """The annotation that tells pydantic how one value is read, written and described.

    `read` raises `BadValueError` for what it does not take. `write` gives what a text would say,
    so that a dumped model is a configuration again. `schema` is JSON schema, for editors.
    """

    read: Callable[[object], T]
    write: Callable[[T], object]
    schema: Mapping[str, object]

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Replaces pydantic's own idea of the type."""
        writing = core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=writing)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return what editors are told."""
        return dict(self.schema)


def duration(least: str, most: str) -> Scalar[float]:
    """Return the scalar of a duration in seconds, both bounds included."""
    low, high = units.parse_duration(least), units.parse_duration(most)
    what = f"a duration from {least} to {most}"

    def read(found: object) -> float:
        seconds = _with_unit(found, what, units.parse_duration, ("s", units.DURATION_FORM))
        if not low <= seconds <= high:
            raise expected(found, what)
        return seconds

    schema = {"type": "string", "pattern": units.DURATION_PATTERN}
    return Scalar(read, units.format_duration, schema)


def size(least: str, most: str) -> Scalar[int]:
    """Return the scalar of a size in bytes, both bounds included."""
    low, high = units.parse_size(least), units.parse_size(most)
    what = f"a size from {least} to {most}"

    def read(found: object) -> int:
        count = _with_unit(found, what, units.parse_size, ("B", units.SIZE_FORM))
        if not low <= count <= high:
            raise expected(found, what)
        return count

    schema = {"type": "string", "pattern": units.SIZE_PATTERN}
    return Scalar(read, units.format_size, schema)


def _with_unit(found: object, what: str, parse: Callable[[str], T], form: tuple[str, str]) -> T:
    """Return the quantity that a text says; `form` is the plain unit, and how it is written."""
    unit, written = form
    if isinstance(found, int) and not isinstance(found, bool):
        raise expected(found, what, f"a number needs its unit: did you mean {found}{unit}?")
    if not isinstance(found, str):
        raise expected(found, what)
    try:
        return parse(found)
    except ValueError:
        raise expected(found, what, written) from None


def whole(least: int, most: int) -> Scalar[int]:
    """Return the scalar of a whole number, both bounds included."""

    def read(found: object) -> int:
        if isinstance(found, int) and not isinstance(found, bool) and least <= found <= most:
            return found
        raise expected(found, f"a whole number from {least} to {most}")

    return Scalar(read, int, {"type": "integer", "minimum": least, "maximum": most})


def truth() -> Scalar[bool]:
    """Return the scalar of true or false."""

    def read(found: object) -> bool:
        if isinstance(found, bool):
            return found
        raise expected(found, "true or false")

    return Scalar(read, bool, {"type": "boolean"})


def switch() -> Scalar[bool]:
    """Return the scalar of on or off."""

    def read(found: object) -> bool:
        # YAML reads a bare `on` as true.
        if isinstance(found, bool):
            return found
        if found in (ON, OFF):
            return found == ON
        raise expected(found, "on or off")

    return Scalar(read, lambda on: ON if on else OFF, {"enum": [ON, OFF, True, False]})


def text(what: str, pattern: str) -> Scalar[str]:
    """Return the scalar of a text that matches a pattern as a whole."""
    matcher = re.compile(pattern, re.ASCII)

    def read(found: object) -> str:
        if isinstance(found, str) and matcher.fullmatch(found):
            return found
        raise expected(found, what)

    return Scalar(read, str, {"type": "string", "pattern": f"^(?:{pattern})$"})


def parsed(parse: Callable[[object], T], write: Callable[[T], object], example: str) -> Scalar[T]:
    """Return the scalar of a text that has a parser of its own."""
    return Scalar(parse, write, {"type": "string", "examples": [example]})


def protocol() -> Scalar[bytes]:
    """Return the scalar of an ALPN protocol name, as bytes."""

    def read(found: object) -> bytes:
        if isinstance(found, str) and found.isascii() and found.isprintable():
            name = found.encode()
            if 1 <= len(name) <= MAX_PROTOCOL_BYTES:
                return name
        raise expected(found, "an ALPN protocol name, such as h2 or http/1.1")

    schema = {"type": "string", "minLength": 1, "maxLength": MAX_PROTOCOL_BYTES}
    return Scalar(read, bytes.decode, schema)


def choice(words: type[Choice]) -> Scalar[Choice]:
    """Return the scalar of one word of an enum."""
    known = {str(word.value): word for word in words}
    off = known.get(OFF)
    what = listed(known)

    def read(found: object) -> Choice:
        # YAML reads a bare `off` as false.
        if found is False and off is not None:
            return off
        if isinstance(found, str) and found in known:
            return known[found]
        raise expected(found, what, did_you_mean(found, known))

    def write(word: Choice) -> str:
        return OFF if word is off else str(word.value)

    return Scalar(read, write, {"enum": [*known, False] if off is not None else list(known)})


def or_word(word: Word, scalar: Scalar[T]) -> Scalar[T | None]:
    """Return the scalar that also takes one word, which is None in the model."""

    def read(found: object) -> T | None:
        # YAML reads a bare `off` as false.
        if found == word or (word is OFF and found is False):
            return None
        try:
            return scalar.read(found)
        except BadValueError as error:
            raise BadValueError(f"{error}, or {word}") from error

    def write(value: T | None) -> object:
        return word if value is None else scalar.write(value)

    words = {"enum": [word, False] if word is OFF else [word]}
    return Scalar(read, write, {"anyOf": [words, dict(scalar.schema)]})
