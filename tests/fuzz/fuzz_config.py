"""Fuzz target: the text of a configuration.

    python -m tests.fuzz.fuzz_config [CORPUS]        # needs Atheris

Whatever the text: it is a configuration, or a ConfigError has something to say. The same text
gives the same answer.
"""

from l4proxy.config import Config, ConfigError, parse_config
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    text = data.decode("utf-8", "replace")
    first = _read(text)
    assert first == _read(text)
    assert isinstance(first, Config) or first.startswith("fuzz.yaml")


def _read(text: str) -> Config | str:
    try:
        return parse_config(text, "fuzz.yaml")
    except ConfigError as error:
        return str(error)


if __name__ == "__main__":
    fuzz(check)
