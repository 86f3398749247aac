"""`l4proxy plugins`: what is installed, told without importing any of it."""

import json
from importlib.metadata import EntryPoint

import pytest

from l4proxy.cli import main
from l4proxy.plugins import Group, Plugin, installed
from l4proxy.version import VERSION

Captured = pytest.CaptureFixture[str]


def test_the_built_in_kinds_are_listed(capsys: Captured) -> None:
    """In a table for people, in a document for scripts."""
    assert main(["plugins"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("nitro", "sev-snp", "tdx", "simulated", "built in"))
    assert main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["evidence"]
    assert {row["version"] for row in rows if row["built_in"]} == {VERSION}


def test_a_kind_that_two_register_is_told(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither can be used, and both are named."""
    point = EntryPoint("nitro", "other:Tee", "l4proxy.evidence")
    other = Plugin(Group.EVIDENCE, "nitro", "other:Tee", "other-tee", "1.0", point)
    both = {Group.EVIDENCE: (*installed(Group.EVIDENCE), other)}
    monkeypatch.setattr("l4proxy.plugins.installed", lambda group: both.get(group, ()))
    assert main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["evidence"]
    unusable = [(row["kind"], row["distribution"]) for row in rows if not row["usable"]]
    assert unusable == [("nitro", "l4proxy"), ("nitro", "other-tee")]
    monkeypatch.setenv("COLUMNS", "140")
    main(["plugins"])
    assert capsys.readouterr().out.count("unusable: registered twice") == 2
