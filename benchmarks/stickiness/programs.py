"""Where the client libraries are: Debian's, and an environment of their own from PyPI."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

CLIENTS = Path(__file__).parents[1] / ".bench_cache" / "clients" / "bin"
"""What `make bench-clients` fetches."""


def python_with() -> str:
    """The Python that has the libraries, if they were fetched; else this one."""
    own = CLIENTS / "python"
    return str(own) if own.exists() else sys.executable


@cache
def here(what: str) -> bool:
    """Whether a program is here, or what an `import …` of Python's names."""
    if not what.startswith("import "):
        return shutil.which(what) is not None
    run = subprocess.run([python_with(), "-c", what], capture_output=True, check=False)
    return run.returncode == 0
