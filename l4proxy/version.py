"""The version of this distribution, which `pyproject.toml` states too."""

from typing import Final

VERSION: Final = "0.1.0"
