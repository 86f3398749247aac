"""What ships is what we mean to ship."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from importlib.metadata import EntryPoint
from pathlib import Path
from zipfile import ZipFile

import pytest

from attestation import built_in_kinds
from l4proxy.plugins import Group
from l4proxy.version import VERSION
from tests.house.repository import PACKAGES, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pure wheel of this checkout, built with nothing fetched and nothing compiled."""
    folder = tmp_path_factory.mktemp("wheel")
    _built(folder, L4PROXY_BUILD="pure")
    (built,) = folder.glob("*.whl")
    return built


def _built(folder: Path, **variables: str) -> str:
    command = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return _python(*command, environment={**os.environ, **variables})


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's contents as an installer lays them out."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(folder)]
    _python("-m", "pip", "--disable-pip-version-check", "install", *options, str(wheel))
    return folder


def test_the_four_packages_ship_and_nothing_else(wheel: Path) -> None:
    """The wheel's top-level names are the four packages and its own metadata."""
    tops = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_each_package_says_that_it_is_typed(wheel: Path) -> None:
    """A type checker that meets the installed packages reads their annotations."""
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(ZipFile(wheel).namelist())


def test_the_licence_ships(wheel: Path) -> None:
    """The wheel carries the licence text."""
    assert any(name.endswith("/licenses/LICENSE") for name in ZipFile(wheel).namelist())


def test_the_command_is_an_entry_point(installed: Path) -> None:
    """Installing brings the command `l4proxy`."""
    (metadata,) = installed.glob("l4proxy-*.dist-info")
    assert "l4proxy = l4proxy.cli:main" in (metadata / "entry_points.txt").read_text()
    assert callable(EntryPoint("l4proxy", "l4proxy.cli:main", "console_scripts").load())


def test_the_kinds_of_tee_are_entry_points(installed: Path) -> None:
    """Installing registers the built-in kinds as a plug-in's would be, each by its own name."""
    (metadata,) = installed.glob("l4proxy-*.dist-info")
    text = (metadata / "entry_points.txt").read_text()
    found = {point.name: point.load()().name for point in _registered(text, Group.EVIDENCE)}
    assert found == {kind.name: kind.name for kind in built_in_kinds()}


@pytest.mark.parametrize("group", Group)
def test_every_built_in_part_can_be_loaded(installed: Path, group: Group) -> None:
    """Each group has some, and each is registered by the name that it calls itself."""
    (metadata,) = installed.glob("l4proxy-*.dist-info")
    points = _registered((metadata / "entry_points.txt").read_text(), group)
    assert points
    assert [point.load()().name for point in points] == [point.name for point in points]


def test_the_extra_for_tdx_is_offered(installed: Path) -> None:
    """The words of a check that was not made lead to something: l4proxy[tdx]."""
    (metadata,) = installed.glob("l4proxy-*.dist-info")
    assert "Provides-Extra: tdx" in (metadata / "METADATA").read_text()


def test_the_installed_packages_need_no_checkout(installed: Path, tmp_path: Path) -> None:
    """From an empty folder the command runs out of the installed files."""
    script = "import l4proxy.cli as cli; print(cli.__file__)"
    said = _python("-c", script, cwd=tmp_path, environment={"PYTHONPATH": str(installed)})
    assert Path(said.strip()).is_relative_to(installed)


def test_the_pure_wheel_is_anybodys(wheel: Path) -> None:
    """It fits any Python on any machine, and its sources have the twins in C beside them."""
    assert wheel.name.endswith("-py3-none-any.whl")
    names = set(ZipFile(wheel).namelist())
    twins = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("l4proxy/dataplane/*.[ch]")}
    assert twins
    assert twins <= names


def test_without_a_compiler_the_wheel_is_pure_and_says_so(tmp_path: Path) -> None:
    """Nobody has to ask for it."""
    said = _built(tmp_path, L4PROXY_BUILD="", CC="no-such-compiler")
    assert "l4proxy is built pure: found no C compiler (no-such-compiler)" in said
    assert [path.name for path in tmp_path.glob("*-py3-none-any.whl")]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"L4PROXY_BUILD": "compiled", "CC": "no-such-compiler"},
            "L4PROXY_BUILD=compiled: found no C compiler (no-such-compiler)",
        ),
        ({"L4PROXY_BUILD": "fast"}, "L4PROXY_BUILD: found 'fast', expected 'pure' or 'compiled'"),
    ],
)
def test_a_build_that_cannot_be_made_is_refused(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    """What is demanded is made, or nothing."""
    with pytest.raises(AssertionError) as refused:
        _built(tmp_path, **variables)
    assert message in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_there_is_one_version(wheel: Path) -> None:
    """The version that the command tells is the one that installers see."""
    assert wheel.name.startswith(f"l4proxy-{VERSION}-")


def test_every_folder_of_python_is_type_checked() -> None:
    """A folder at the root that holds Python stands in mypy's list of files."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.name for path in ROOT.glob("[!.]*/*.py")}
    assert folders == set(settings["tool"]["mypy"]["files"])


def _registered(text: str, group: Group) -> list[EntryPoint]:
    """The parts of a group in the text of a distribution's entry points."""
    parser = ConfigParser(delimiters="=")
    parser.read_string(text)
    return [EntryPoint(name, value, group) for name, value in parser[group].items()]


def _python(*arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] = os.environ) -> str:
    """Run Python and return what it printed, which is the message when it fails."""
    command = [sys.executable, *arguments]
    run = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr
