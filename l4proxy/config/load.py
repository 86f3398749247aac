"""From a file to a `Config`, or to every mistake in it at once."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from l4proxy.config.crosscheck import cross_mistakes
from l4proxy.config.document import MAX_DOCUMENT_BYTES, Document, read_document
from l4proxy.config.mistakes import ConfigError, Mistake, describe
from l4proxy.config.model import Config
from l4proxy.config.scalingcheck import scaling_mistakes
from l4proxy.config.section import Stray
from routing import PoolName
from sni import ServerName

# What pydantic itself finds of the shape; the fields' own readers have said the rest already.
_SHAPES = {
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
}


def load_config(path: Path) -> Config:
    """Return the configuration of a file.

    Raises:
        ConfigError: the file cannot be read, or is no configuration of this version.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:
        # A ValueError is a name that no file can have.
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Mistake(source, 0, 0, "", f"cannot be read: {why}")]) from error
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise ConfigError([Mistake(source, 0, 0, "", f"is over {MAX_DOCUMENT_BYTES} bytes")])
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise ConfigError([Mistake(source, line, column, "", message)]) from error
    return parse_config(text, source)


def parse_config(text: str, source: str | Path) -> Config:
    """Return the configuration of a text; `source` names the text in messages.

    Raises:
        ConfigError: the text is no configuration of this version. It carries every mistake found.
    """
    document = read_document(text, str(source))
    mistakes = [*document.mistakes, *cross_mistakes(document)]
    try:
        config = Config.model_validate(document.value)
    except ValidationError as error:
        mistakes += model_mistakes(document, error)
        raise ConfigError(mistakes) from error
    mistakes += scaling_mistakes(document, config.pools)
    if mistakes:
        raise ConfigError(mistakes)
    return _with_server_names(config)


def _with_server_names(config: Config) -> Config:
    """Fill in what probes say to the backends of pools that do not tell: their first exact name."""
    names: dict[PoolName, ServerName] = {}
    for pattern, rules in config.routes.patterns.items():
        for rule in rules if not pattern.wildcard else ():
            names.setdefault(rule.pool, pattern.name)
    pools = {
        name: pool.model_copy(update={"server_name": pool.server_name or names.get(name)})
        for name, pool in config.pools.items()
    }
    return config.model_copy(update={"pools": pools})


def model_mistakes(document: Document, error: ValidationError) -> Iterator[Mistake]:
    """Yield what a model found wrong with a document, each mistake at its place."""
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        if detail["type"] == "missing":
            yield document.missing(path, "is missing")
        elif isinstance(stray := detail["input"], Stray):
            yield document.mistake(path, stray.message, at_key=True)
        elif not _is_echo(detail):
            yield document.mistake(path, _message(detail), at_key=path[-1:] == ("[key]",))


def _is_echo(detail: ErrorDetails) -> bool:
    """Tell whether an error only follows from others: of the address, or of the only items."""
    kind = detail["type"]
    return kind == "default_factory_not_called" or (kind == "too_short" and bool(detail["input"]))


def _message(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "too_short":
        return "found none, expected at least one"
    if kind == "too_long":
        size = detail["ctx"]
        return f"found {size['actual_length']}, expected at most {size['max_length']}"
    return f"found {describe(detail['input'])}, expected {_SHAPES.get(kind, kind)}"
