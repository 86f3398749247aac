"""What is wrong with a configuration: where it stands, what was found, what was expected."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

# Characters of a found value that a message repeats: enough to recognise it on its line.
MAX_FOUND_LENGTH: Final = 60
# Lines of one report: a file of another kind would otherwise give one for every line it has.
MAX_REPORTED: Final = 100
# Words that a misspelt one is compared with: each costs some 20 µs, and each mistake pays for all.
MAX_COMPARED: Final = 250


class Nothing(Enum):
    """A value that is not there: YAML's null, or a key with an empty right side.

    It is no None, so that no model takes it for a choice: a key without a value is a mistake.
    """

    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to correct.

    `line` and `column` count from 1; both are 0 when the file as a whole is meant (it is missing,
    or too large). `path` is empty when no setting is meant, but the text itself.
    """

    source: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; whoever wrote it must change it.

    `mistakes` holds all that was found, in the order of the file; `str()` gives one line for each.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: tuple[Mistake, ...] = tuple(sorted(set(mistakes)))
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        lines = [str(mistake) for mistake in self.mistakes[:MAX_REPORTED]]
        more = len(self.mistakes) - len(lines)
        if more:
            lines.append(f"and {more} more")
        return "\n".join(lines)


class BadValueError(ValueError):
    """One value is not what its key takes; the text is the message of the later `Mistake`."""


def expected(found: object, what: str, hint: str = "") -> BadValueError:
    """Return the error that says what was found, what was expected and, perhaps, what is meant."""
    tail = f" ({hint})" if hint else ""
    return BadValueError(f"found {describe(found)}, expected {what}{tail}")


def not_yet(what: str, instead: str) -> BadValueError:
    """Return the error for a part of the contract that a later version brings."""
    return BadValueError(f"{what} is not in this version: {instead}")


def describe(value: object) -> str:
    """Return a value as a message names it: on one line, short, without control characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, Nothing):
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ascii(value)
    return text if len(text) <= MAX_FOUND_LENGTH else f"{text[:MAX_FOUND_LENGTH]}…"


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """Return `did you mean x?` for the word that is nearest, or nothing when none is near."""
    known = list(words)
    if not isinstance(word, str) or len(known) > MAX_COMPARED:
        return ""
    near = difflib.get_close_matches(word[:MAX_FOUND_LENGTH], known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def listed(words: Iterable[str], last: str = "or") -> str:
    """Return `a, b or c`; `none` where there are no words."""
    *head, tail = [*words] or ["none"]
    return f"{', '.join(head)} {last} {tail}" if head else tail
