"""How every fuzz target is handed to Atheris."""

import sys
from collections.abc import Callable
from importlib import import_module


def fuzz(check: Callable[[bytes], None]) -> None:
    """Hand a target to Atheris, which never returns."""
    atheris = import_module("atheris")  # installed only where fuzzing runs
    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
