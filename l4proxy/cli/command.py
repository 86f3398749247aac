"""What every command is made of, and what its exit status says."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of `l4proxy`, the same for every command."""

    FINE = 0
    """Done."""

    FAILED = 1
    """Refused, or it did not work."""

    UNUSABLE = 2
    """The input cannot be used: a configuration, a file or an argument. Nothing was started."""

    ABSENT = 3
    """What was to be tested is not on this machine; nothing is wrong."""


EXITS = "exit status: 0 fine, 1 failed or refused, 2 unusable input"


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: What is typed.
        summary: One line, without a full stop, in lower case.
        more: What `--help` adds behind the arguments; it ends with an example.
        configure: Adds the arguments to the command's parser.
        run: Does it. Imports what only this command needs, so that the others start quickly.

    """

    name: str
    summary: str
    more: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Exit]
