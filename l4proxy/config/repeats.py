"""Things that a document says twice, and may say once."""

from collections.abc import Hashable, Iterable, Iterator

from l4proxy.config.document import Document, Path
from l4proxy.config.mistakes import Mistake


def repeats(
    document: Document,
    things: Iterable[tuple[Path, Hashable | None]],
    message: str,
    *,
    at_key: bool = False,
) -> Iterator[Mistake]:
    """Yield a mistake for each thing that was there before; None is no thing.

    The message says what the thing is, and `{}` in it names the thing.
    """
    first: dict[Hashable, Path] = {}
    for path, thing in things:
        if thing is None:
            continue
        if thing in first:
            line = document.mistake(first[thing], "", at_key=at_key).line
            yield document.mistake(
                path, f"{message.format(thing)} already, on line {line}", at_key=at_key
            )
        first.setdefault(thing, path)
