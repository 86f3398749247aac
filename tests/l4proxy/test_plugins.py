"""Kinds of TEE that are installed: found by metadata, loaded by name, refused when broken."""

import sys
from pathlib import Path
from typing import Protocol

import pytest

from attestation import EvidenceKind, PolicyError, built_in_kinds, read_policy
from l4proxy import plugins
from l4proxy.config import ConfigError
from l4proxy.plugins import (
    MAX_DOCUMENT_BYTES,
    BadPlugin,
    InstalledKinds,
    installed,
    installed_kinds,
)
from l4proxy.policy_file import parse_policy

GOOD = """
class Tee:
    name, signs_time, limit = "toy", False, 100
    def verify(self, evidence, now): ...
    def demands(self, found, path): ...
"""

RAISING = """
    @property
    def limit(self): raise OSError("disk")
"""


class Install(Protocol):
    """Lays out a distribution as an installer does; the newest stands in front."""

    def __call__(
        self, code: str = GOOD, *, name: str = "toy", distribution: str = "toy-tee"
    ) -> None:
        """Leaves it importable, and its metadata found."""
        ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lays out distributions below a folder of the test."""

    def lay_out(code: str = GOOD, *, name: str = "toy", distribution: str = "toy-tee") -> None:
        folder = tmp_path / distribution
        module = distribution.replace("-", "_")
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (metadata / "entry_points.txt").write_text(f"[l4proxy.evidence]\n{name} = {module}:Tee\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)

    return lay_out


def test_the_built_in_kinds_register_as_plug_ins_do() -> None:
    """All of ours are found by metadata, and are what the package itself lists."""
    ours = [plugin for plugin in installed() if plugin.built_in]
    expected = {kind.name: type(kind) for kind in built_in_kinds()}
    assert {plugin.name: type(plugin.load()) for plugin in ours} == expected


def test_the_kinds_are_those_that_are_registered() -> None:
    """The mapping that policies are read with has their names, and loads each once."""
    kinds = installed_kinds()
    assert set(kinds) >= {"nitro", "sev-snp", "simulated", "tdx"}
    assert len(kinds) == len(list(kinds))
    assert kinds["nitro"] is kinds["nitro"]
    with pytest.raises(KeyError):
        kinds["no-such-kind"]


def test_a_plug_in_is_loaded_when_it_is_named(install: Install) -> None:
    """Not by listing it, nor by asking whether it is there; and then it is the author's class."""
    install("raise SystemError('imported')")
    kinds = installed_kinds()
    assert "toy" in kinds
    assert "toy_tee" not in sys.modules
    read_policy({"accept": [{"sev-snp": {"measurement": "11" * 48}}]}, kinds, lambda _: b"")
    with pytest.raises(BadPlugin, match="imported"):
        kinds["toy"]


def test_a_good_plug_in_is_a_kind(install: Install) -> None:
    """Its attributes are those that it has."""
    install()
    kind: EvidenceKind = installed_kinds()["toy"]
    assert (kind.name, kind.signs_time, kind.limit) == ("toy", False, 100)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "has no attribute 'Tee'"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("class Tee:\n    def __init__(self, key): ...", "missing 1 required positional argument"),
        ("Tee = 3", "'int' object is not callable"),
        (GOOD.replace('"toy"', '"other"'), "found the name 'other'"),
        (GOOD.replace('"toy"', "b''"), "found name of bytes, expected str"),
        (GOOD.replace("False", "0"), "found signs_time of int, expected bool"),
        (GOOD.replace("100", "True"), "found limit of bool, expected int"),
        (GOOD.replace("100", "0"), "found a limit of 0, expected 1 to"),
        (GOOD.replace("100", str(MAX_DOCUMENT_BYTES + 1)), "expected 1 to 131072 bytes"),
        (GOOD.replace("verify", "verity"), "found no verify()"),
        (GOOD.replace("demands", "demand"), "found no demands()"),
        (GOOD + RAISING, "limit raises OSError: disk"),
    ],
)
def test_a_broken_plug_in_says_whose_fault_it_is(install: Install, code: str, said: str) -> None:
    """The distribution, its version and the class are named, and what was found."""
    install(code)
    with pytest.raises(BadPlugin) as caught:
        installed_kinds()["toy"]
    assert "the kind toy of toy-tee 1.0 (toy_tee:Tee)" in str(caught.value)
    assert said in str(caught.value)


def test_a_name_that_no_policy_could_write_is_refused(install: Install) -> None:
    """Even if the plug-in itself says the same."""
    install(GOOD.replace('"toy"', '"Toy Tee"'), name="Toy Tee")
    with pytest.raises(BadPlugin, match="of a-z, 0-9 and -"):
        installed_kinds()["Toy Tee"]


def test_a_plug_in_takes_no_other_kinds_place(install: Install) -> None:
    """A name that two have stands for neither: which one it is may not depend on a path."""
    install(name="nitro")
    kinds = installed_kinds()
    with pytest.raises(BadPlugin, match=r"registered by l4proxy .* and toy-tee 1\.0, expected one"):
        kinds["nitro"]
    assert kinds["tdx"].name == "tdx"


def test_a_broken_plug_in_is_a_mistake_in_the_policy_that_names_it(install: Install) -> None:
    """With line and column, like every other mistake; other policies never hear of it."""
    install("")
    text = "accept:\n  - toy: {}\n"
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, Path("policy.yaml"), installed_kinds())
    (mistake,) = caught.value.mistakes
    assert mistake.line == 2
    assert "toy-tee 1.0" in mistake.message


def test_a_kind_that_is_not_installed_is_a_mistake() -> None:
    """It is told what is."""
    with pytest.raises(PolicyError, match="expected one of nitro, sev-snp, simulated, tdx"):
        read_policy({"accept": [{"sgx": {}}]}, installed_kinds(), lambda _: b"")


def test_without_ours_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that lacks the built-in kinds is of another version: said, and not worked around."""
    monkeypatch.setattr(plugins, "installed", lambda: ())
    with pytest.raises(BadPlugin, match="install again"):
        installed_kinds()
    assert dict(InstalledKinds(())) == {}
