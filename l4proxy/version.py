"""The version of this distribution, as in `pyproject.toml`, and which build of it runs."""

import importlib.util
from typing import Final

VERSION: Final = "0.1.0"


def build() -> str:
    """Return `compiled` where what every connection runs is machine code, otherwise `pure`."""
    spec = importlib.util.find_spec("l4proxy.dataplane.engine")
    is_source = spec is not None and (spec.origin or "").endswith(".py")
    return "pure" if is_source else "compiled"
