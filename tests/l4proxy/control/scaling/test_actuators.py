"""Actuators are made all at once, and stay where the same are chosen."""

from pathlib import Path

import pytest

from l4proxy.actuators.recommend_only import RecommendOnly
from l4proxy.actuators.webhook import Webhook
from l4proxy.config import ConfigError, parse_config
from l4proxy.control.scaling.actuators import Workshop
from tests.l4proxy.control.scaling.stand import APP, configured

PATH = Path("config.yaml")
HOOK = "{actuator: {webhook: {url: 'http://127.0.0.1:9/hook'}}}"


def test_each_scaled_pool_has_one() -> None:
    """By the name that it chooses; pools that are not scaled have none."""
    text = 'listeners: ["127.0.0.1:0"]\nroutes: {a.b: app}\npools: {app: ["127.0.0.1:1"]}\n'
    assert Workshop().make(PATH, parse_config(text, "plain")) == {}
    made = Workshop().make(PATH, configured())
    assert isinstance(made[APP].actuator, RecommendOnly)


def test_over_a_reload_it_stays_if_the_same_is_chosen() -> None:
    """So what it serves goes on; with other settings it is another one."""
    workshop = Workshop()
    before = workshop.make(PATH, configured(HOOK))
    assert workshop.make(PATH, configured(HOOK), before)[APP] is before[APP]
    other = configured(HOOK.replace(":9/", ":10/"))
    assert workshop.make(PATH, other, before)[APP] is not before[APP]


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the pool that asks for it."""
    hook = HOOK.replace("url:", f"secret_file: {tmp_path}/none, url:")
    config = configured(hook)
    with pytest.raises(ConfigError) as caught:
        Workshop().make(PATH, config)
    assert "config.yaml: pools.app.scaling.actuator: " in str(caught.value)


def test_a_plug_in_that_fails_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its code raises, the configuration that names it is refused, and nothing ends."""

    def fail(*_: object) -> None:
        raise KeyError("theirs")

    monkeypatch.setattr(Webhook, "make", fail)
    with pytest.raises(ConfigError, match="the actuator webhook: KeyError: 'theirs'"):
        Workshop().make(PATH, configured(HOOK))
