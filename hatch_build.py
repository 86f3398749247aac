"""The compiled build: the same wheel, with the modules that every connection runs as machine code.

    pip install .                          # compiled, where a C compiler and Python's headers are
    L4PROXY_BUILD=pure pip install .       # pure Python
    L4PROXY_BUILD=compiled pip install .   # compiled, or an error that says what is missing

What performance is promised for is what an ordinary installation gives. mypyc compiles the modules
as they stand, by the types that mypy has checked; two that do nothing but call the kernel have a
twin in C beside them (why: docs/design.md, "Two builds"). The result fits one version of Python on
one kind of machine. The sources ship too. An editable installation is pure: its sources change.
A compiler that is there and fails is an error, not a silent loss of half the speed.
"""

import os
import shlex
import shutil
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PATTERNS = ("sni/[a-z]*.py", "routing/[a-z]*.py", "l4proxy/dataplane/[a-z]*.py")
"""What a connection runs."""

BESIDE = ("first_flight", "limits", "refusal", "shared_load", "shared_sessions", "snapshot")
"""Of `l4proxy`, what those hold in their hands."""

INTERPRETED = {"sni/server_name.py"}
"""Modules that stay as they are: mypyc has no subclass of str, and a name is parsed once, then
remembered. So do `__init__` and `__main__`: what they say runs once."""

VARIABLE = "L4PROXY_BUILD"
"""The environment variable that demands one of the builds."""

GROUP = "l4proxy.compiled"
"""Where the machine code of all modules is: the file beside each source only leads there."""


class CompilingHook(BuildHookInterface):  # type: ignore[type-arg] # a subclass without options
    """Compiles for a wheel; an editable install and a source distribution are left alone."""

    def dependencies(self) -> list[str]:
        """Return what the compiled build needs beyond the pure one."""
        return ["mypy>=2.4,<2.5", "setuptools>=65,<83"] if _why_pure() is None else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Compile, and add the results to what the wheel holds."""
        self._folder: Path | None = None
        if self.target_name != "wheel" or version == "editable":
            return
        if why := _why_pure():
            self.app.display_warning(f"l4proxy is built pure: {why}")
            return
        self._folder = Path(tempfile.mkdtemp(prefix="l4proxy-compiled-"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] = {
            str(built): str(built.relative_to(self._folder / "lib"))
            for built in _compile(self._folder, *_modules(Path(self.root)))
        }

    def finalize(self, _version: str, _build_data: dict[str, object], _artifact: str) -> None:
        """Remove what was made on the way."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


def _why_pure() -> str | None:
    """Return why nothing is to be compiled; None: it is.

    Raises:
        SystemExit: The compiled build is demanded and cannot be made, or nobody knows the build.
    """
    demanded = os.environ.get(VARIABLE, "")
    if demanded not in {"", "pure", "compiled"}:
        raise SystemExit(f"{VARIABLE}: found {demanded!r}, expected 'pure' or 'compiled'")
    if demanded == "pure":
        return f"{VARIABLE} says so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    missing = [f"no C compiler ({compiler})"] if shutil.which(compiler) is None else []
    missing += [] if headers.exists() else [f"no headers of Python ({headers})"]
    if missing and demanded:
        raise SystemExit(f"{VARIABLE}=compiled: found {' and '.join(missing)}")
    return f"found {' and '.join(missing)}" if missing else None


def _modules(root: Path) -> tuple[list[str], list[str]]:
    """Return the modules to compile, and those that have a twin in C, which is built instead."""
    found = [path for pattern in PATTERNS for path in sorted(root.glob(pattern))]
    found += [root / "l4proxy" / f"{name}.py" for name in BESIDE]
    names = {path.relative_to(root).as_posix(): path for path in found}
    twins = [name for name, path in names.items() if path.with_suffix(".c").exists()]
    return [name for name in names if name not in INTERPRETED.union(twins)], twins


def _compile(folder: Path, modules: list[str], twins: list[str]) -> list[Path]:
    # Only here: an ordinary build has neither.
    from mypyc.build import mypycify  # noqa: PLC0415 - see above
    from setuptools import Distribution, Extension  # noqa: PLC0415 - see above

    options = ["--config-file=", f"--cache-dir={folder / 'types'}", "--ignore-missing-imports"]
    extensions = mypycify(
        [*options, *modules],
        opt_level="3",
        debug_level="0",
        target_dir=str(folder / "c"),
        group_name=GROUP,
    )
    extensions += [
        Extension(
            twin.removesuffix(".py").replace("/", "."),
            [f"{twin.removesuffix('.py')}.c"],
            extra_compile_args=["-Wall", "-Wextra"],
        )
        for twin in twins
    ]
    command = Distribution({"name": "l4proxy", "ext_modules": extensions}).get_command_obj(
        "build_ext"
    )
    command.build_lib = str(folder / "lib")
    command.build_temp = str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return sorted((folder / "lib").rglob("*.so"))
