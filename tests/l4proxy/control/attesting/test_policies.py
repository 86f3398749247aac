"""The policies that a configuration names."""

from pathlib import Path

import pytest

from attestation import FreshnessMode
from l4proxy.config import ConfigError, parse_config
from l4proxy.control.attesting.policies import Policies, load_policies
from routing import PoolName
from tests.l4proxy.config.texts import LEAST, with_pool
from tests.l4proxy.control.attesting.enclave import write_policy


def load(folder: Path, block: str) -> Policies:
    """The policies of a pool with this block."""
    path = folder / "config.yaml"
    return load_policies(path, parse_config(with_pool(f"attestation: {block}"), path))


def test_a_policy_lies_beside_its_configuration(tmp_path: Path) -> None:
    """A relative path begins there, an absolute one where it says."""
    write_policy(tmp_path / "app.yaml")
    for path in ("app.yaml", str(tmp_path / "app.yaml")):
        found = load(tmp_path, f"{{policy: {path}}}")
        assert found.pools[PoolName("app")].freshness.mode is FreshnessMode.EXPORTER
        assert "nitro" in found.kinds


def test_a_pool_without_attestation_has_none(tmp_path: Path) -> None:
    """Nothing is asked of it."""
    assert not load_policies(tmp_path / "config.yaml", parse_config(LEAST, "x")).pools


def test_a_mistake_in_a_policy_is_one_of_the_configuration(tmp_path: Path) -> None:
    """With the policy's own file, line and column."""
    (tmp_path / "app.yaml").write_text("accept: []\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "{policy: app.yaml}")
    assert str(caught.value).startswith(f"{tmp_path}/app.yaml:1:9: accept: ")


@pytest.mark.parametrize("mode", ["exporter", "nonce"])
def test_a_certificate_answers_no_question(tmp_path: Path, mode: str) -> None:
    """What was made before anybody connected cannot be fresh for a connection."""
    write_policy(tmp_path / "app.yaml", freshness={"mode": mode})
    with pytest.raises(ConfigError, match=r"pools\.app.attestation\.evidence: found certificate"):
        load(tmp_path, "{policy: app.yaml, evidence: certificate}")
    write_policy(tmp_path / "app.yaml", freshness={"max_age": "30m"})
    assert load(tmp_path, "{policy: app.yaml, evidence: certificate}").pools
