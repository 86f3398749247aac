"""Parts that are installed: found by metadata, loaded by name, refused when broken."""

import sys
from pathlib import Path

import pytest

from attestation import EvidenceKind, PolicyError, built_in_kinds, read_policy
from l4proxy import plugins
from l4proxy.config import ConfigError
from l4proxy.plugins import (
    MAX_DOCUMENT_BYTES,
    BadPlugin,
    Group,
    Installed,
    installed,
    installed_kinds,
)
from l4proxy.policy_file import parse_policy
from tests.l4proxy.installing import GOOD, Install, install

__all__ = ["install"]

RAISING = """
    @property
    def limit(self): raise OSError("disk")
"""


def test_the_built_in_kinds_register_as_plug_ins_do() -> None:
    """All of ours are found by metadata, and are what the package itself lists."""
    ours = [plugin for plugin in installed(Group.EVIDENCE) if plugin.built_in]
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
        ("raise SystemExit(3)", "found SystemExit: 3"),
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
    monkeypatch.setattr(plugins, "installed", lambda _: ())
    with pytest.raises(BadPlugin, match=r"found nothing registered in l4proxy\.evidence"):
        installed_kinds()


@pytest.mark.parametrize("group", Group)
def test_every_group_is_found_and_loaded_alike(install: Install, group: Group) -> None:
    """By metadata alone, in its own group only; what was loaded goes through the group's check."""
    install(group=group)
    parts = Installed(installed(group), lambda plugin, made: (str(plugin), type(made).__name__))
    assert parts["toy"] == (f"the {group.word} toy of toy-tee 1.0 (toy_tee:Tee)", "Tee")
    assert all("toy" not in {one.name for one in installed(other)} for other in {*Group} - {group})


@pytest.mark.parametrize("group", Group)
def test_no_group_lets_two_share_a_name(install: Install, group: Group) -> None:
    """Whatever it is for."""
    install(group=group)
    install(group=group, distribution="other-tee")
    parts = Installed(installed(group), lambda _, made: made)
    with pytest.raises(BadPlugin, match=f"the {group.word} toy: found it registered by"):
        parts["toy"]
