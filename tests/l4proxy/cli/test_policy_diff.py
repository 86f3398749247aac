"""Differences of policies: in what they say, whatever the order."""

import json
from pathlib import Path

import pytest

from l4proxy.cli.policy_diff import compare, tell
from l4proxy.config import ConfigError
from tests.attestation.enclaves import TEE, measured
from tests.l4proxy.cli.evidence import policy

ANOTHER = {"sev-snp": {"measurement": "11" * 48}}


def test_the_same_in_another_order_is_the_same(tmp_path: Path) -> None:
    """Sets have no order, nor have keys."""
    left = policy(tmp_path, "left.yaml", accept=[measured(TEE), ANOTHER], ticket_keys="inside")
    right = policy(tmp_path, "right.yaml", ticket_keys="inside", accept=[ANOTHER, measured(TEE)])
    assert compare(left, right) == ()


def test_each_difference_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set as a whole, other keys by their place, with what each side says."""
    left = policy(tmp_path, "left.yaml", accept=[measured(TEE)], freshness={"mode": "nonce"})
    right = policy(
        tmp_path, "right.yaml", accept=[measured(TEE), ANOTHER], freshness={"mode": "exporter"}
    )
    changes = compare(left, right)
    added, freshness = changes
    assert (added.left, json.loads(added.right)) == ("", ANOTHER)
    assert freshness == ("freshness.mode", '"nonce"', '"exporter"')
    tell(changes, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told[1:] == ['- freshness.mode: "nonce"', '+ freshness.mode: "exporter"']
    assert told[0].startswith("+ accept.")
    tell(changes, as_json=True)
    assert json.loads(capsys.readouterr().out)["changes"][1]["path"] == "freshness.mode"


def test_what_is_no_policy_is_compared_with_nothing(tmp_path: Path) -> None:
    """Both are read as policies first."""
    with pytest.raises(ConfigError):
        compare(policy(tmp_path), policy(tmp_path, "right.yaml", accept=[]))
