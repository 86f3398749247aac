"""Routing keys: loaded from the files that the configuration names, or every mistake told."""

from pathlib import Path

import pytest

from l4proxy.config import ConfigError, parse_config
from l4proxy.config.effective import effective
from l4proxy.control.routing_keys import load_routing_keys
from l4proxy.routable import RoutingKey, RoutingKeys
from l4proxy.secret_file import write_secret
from routing import PoolName

TEXT = """
listeners: ["127.0.0.1:0"]
routes: {{app.example.com: app, api.example.com: api, off.example.com: off1, no.example.com: none}}
pools:
  app: {{backends: ["127.0.0.1:1"], sticky: {{routable_keys: [{0}/old, {0}/new]}}}}
  api: {{backends: ["127.0.0.1:1"], sticky: {{routable_keys: [{0}/new]}}}}
  off1: {{backends: ["127.0.0.1:1"], sticky: off}}
  none: ["127.0.0.1:1"]
"""
WHERE = Path("config.yaml")


def written(folder: Path, name: str) -> RoutingKey:
    """A fresh key in a file."""
    key = RoutingKey.fresh()
    write_secret(folder / name, key.line())
    return key


def test_each_pool_gets_its_keys(tmp_path: Path) -> None:
    """In the order of the configuration; pools without files have none."""
    old, new = written(tmp_path, "old"), written(tmp_path, "new")
    keys = load_routing_keys(WHERE, parse_config(TEXT.format(tmp_path), "keys"))
    assert keys == {PoolName("app"): RoutingKeys([old, new]), PoolName("api"): RoutingKeys([new])}


def test_every_mistake_is_told_and_no_secret(tmp_path: Path) -> None:
    """Which setting, which file, what was found and what was expected, but never what it holds."""
    key = written(tmp_path, "old")
    (tmp_path / "old").chmod(0o644)
    with pytest.raises(ConfigError) as found:
        load_routing_keys(WHERE, parse_config(TEXT.format(tmp_path), "keys"))
    start = "config.yaml: pools."
    first, second, third = str(found.value).splitlines()
    assert first == f"{start}api.sticky.routable_keys[0]: {tmp_path}/new: No such file or directory"
    assert second.startswith(f"{start}app.sticky.routable_keys[0]: {tmp_path}/old: found mode 0644")
    assert third == f"{start}app.sticky.routable_keys[1]: {tmp_path}/new: No such file or directory"
    assert key.secret.hex() not in str(found.value)


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    """What is no key file is none, and its content is not repeated."""
    write_secret(tmp_path / "old", b"hunter2\n")
    written(tmp_path, "new")
    with pytest.raises(ConfigError, match="no routing key, expected one line") as found:
        load_routing_keys(WHERE, parse_config(TEXT.format(tmp_path), "keys"))
    assert "hunter2" not in str(found.value)


def test_the_effective_configuration_names_files_only(tmp_path: Path) -> None:
    """Whoever reads it learns where the keys are, and nothing of them."""
    secrets = [written(tmp_path, name).secret.hex() for name in ("old", "new")]
    shown = effective(parse_config(TEXT.format(tmp_path), "keys"))
    assert f"{tmp_path}/old" in shown
    assert not any(secret in shown for secret in secrets)
