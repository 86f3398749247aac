"""What a configuration names is loaded whole."""

from pathlib import Path

import pytest

from l4proxy.config import ConfigError, parse_config
from l4proxy.control.named import load_named
from l4proxy.control.scaling import Workshop
from tests.l4proxy.control.scaling.stand import APP, configured

TEXT = 'listeners: ["127.0.0.1:0"]\nroutes: {a.b: app}\npools: {app: ["127.0.0.1:1"]}\n'
PATH = Path("config.yaml")


def test_a_plain_configuration_names_nothing() -> None:
    """Neither keys nor policies, neither telemetry nor actuators."""
    named = load_named(PATH, parse_config(TEXT, "plain"), Workshop())
    assert (named.keys, named.policies.pools, named.telemetry, named.actuators) == ({}, {}, {}, {})


def test_what_is_named_is_there() -> None:
    """And the actuators of before stay."""
    config = configured(more=", telemetry: {url: 'http://{host}:9/m'}")
    workshop = Workshop()
    named = load_named(PATH, config, workshop)
    assert [*named.telemetry, *named.actuators] == [APP, APP]
    again = load_named(PATH, config, workshop, named.actuators)
    assert again.actuators[APP] is named.actuators[APP]


def test_a_file_that_is_not_there_is_told() -> None:
    """With its pool."""
    text = TEXT.replace(
        '["127.0.0.1:1"]', '{backends: ["127.0.0.1:1"], attestation: {policy: none.yaml}}'
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        load_named(PATH, parse_config(text, "named"), Workshop())
