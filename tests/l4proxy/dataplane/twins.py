"""Twins in C, built for a test as the compiled build does it, and loaded beside the pure module."""

import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

DATAPLANE = Path(__file__).parents[3] / "l4proxy" / "dataplane"

PURE, IN_C = "pure", "in C"
"""The twins: a test's parameters."""


class Call(Protocol):
    """A function of a twin, for arguments that no type allows."""

    def __call__(self, *arguments: object) -> object:
        """Call it."""


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="twins-")  # goes with the process


@functools.cache
def built(name: str) -> ModuleType:
    """Build and load the twin in C of a module; `CFLAGS` may add to how, such as a sanitizer.

    A skip says so where it cannot be built.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    include = Path(sysconfig.get_path("include"))
    if compiler is None:
        pytest.skip("no C compiler (cc, gcc) is here to build the twin in C")
    if not (include / "Python.h").exists():
        pytest.skip(f"the headers of Python are not here to build the twin in C ({include})")
    target = Path(_folder().name) / f"{name}.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-isystem", str(include)]
    flags += shlex.split(os.environ.get("CFLAGS", ""))
    command = [compiler, *flags, str(DATAPLANE / f"{name}.c"), "-o", str(target)]
    subprocess.run(command, check=True)
    # The last part of the name says which function makes the module.
    spec = importlib.util.spec_from_file_location(f"twin_in_c.{name}", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
