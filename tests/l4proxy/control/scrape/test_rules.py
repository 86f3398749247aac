"""How backends tell of their load is read from the configuration, whole or not at all."""

from pathlib import Path

import pytest

from l4proxy.config import ConfigError, parse_config
from l4proxy.control.scrape.rules import load_telemetry
from l4proxy.scaling import CPU, MetricName
from routing import PoolName

PATH = Path("config.yaml")
APP = PoolName("app")
TEXT = """
listeners: ["127.0.0.1:0"]
routes: {{app.example.com: app}}
pools:
  api: ["127.0.0.1:1"]
  app:
    backends: ["127.0.0.1:1"]
    telemetry: {telemetry}
    scaling: {{custom: {{queue: {{metric: app_queue_depth, target: 10}}}}}}
"""


def test_pools_with_telemetry_have_rules() -> None:
    """With the gauges that scaling needs besides, and the name that backends have in TLS."""
    config = parse_config(TEXT.format(telemetry="{url: 'http://{host}:9/m'}"), "rules")
    rules = load_telemetry(PATH, config)
    assert list(rules) == [APP]
    assert {CPU, MetricName("app_queue_depth")} <= rules[APP].wanted.keys()
    assert (rules[APP].server_name, rules[APP].attested) == ("app.example.com", False)


def test_what_cannot_work_is_told() -> None:
    """With its pool."""
    config = parse_config(TEXT.format(telemetry="{url: 'https://{host}:9/m', ca: /none}"), "rules")
    with pytest.raises(ConfigError) as caught:
        load_telemetry(PATH, config)
    assert "config.yaml: pools.app.telemetry: " in str(caught.value)
    assert "No such file" in str(caught.value)
