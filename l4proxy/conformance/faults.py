"""What a conformance test has found, and how it finds it: promise by promise."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from l4proxy.config.document import read_document
from l4proxy.plugins import NAME

_Case = TypeVar("_Case")


class NotConforming(AssertionError):
    """A part breaks promises; one a line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


async def check_promises(
    promises: Iterable[Callable[[_Case], AsyncIterator[str]]], case: _Case
) -> None:
    """Return if a part keeps these promises, each of which yields what is wrong.

    Raises:
        NotConforming: It breaks some; all that were found. To raise anything is to break one.

    """
    faults: list[str] = []
    for promise in promises:
        try:
            async for fault in promise(case):
                faults.append(fault)  # noqa: PERF401 - what was found before it raises counts, too
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be found out
            faults.append(f"{promise.__name__.strip('_')}: raised {type(error).__name__}: {error}")
    if faults:
        raise NotConforming(faults)


class Described(Protocol):
    """A part, as far as the configuration knows it before it is made."""

    @property
    def name(self) -> object:
        """What it calls itself."""
        ...

    @property
    def model(self) -> type[BaseModel]:
        """Of its settings."""
        ...

    @property
    def settings(self) -> str:
        """Of its model, in YAML."""
        ...


def description_faults(part: Described) -> Iterator[str]:
    """Yield what is wrong with the name of a part, and with its settings."""
    if not isinstance(part.name, str) or not NAME.fullmatch(part.name):
        yield f"name: {part.name!r}, expected a-z, 0-9 and -"
    found: object = read_document(part.settings, "settings").value
    unknown = {**found, "no-such-key": 1} if isinstance(found, dict) else {"no-such-key": 1}
    try:
        part.model.model_validate(unknown)
    except ValidationError:
        return
    yield "settings: an unknown key is taken, expected a mistake"
