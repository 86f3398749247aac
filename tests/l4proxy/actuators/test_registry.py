"""Actuators that are installed: found, loaded, refused when broken."""

import pytest

from l4proxy.actuators.registry import installed_actuators
from l4proxy.config.section import Section
from l4proxy.plugins import BadPlugin, Group, installed
from tests.l4proxy.installing import Install, install

__all__ = ["install"]

GOOD = """
from l4proxy.config.section import Section
class Settings(Section): ...
class Tee:
    name, settings = "toy", Settings
    def make(self, settings, pool): ...
"""


def test_the_built_in_actuators_register_as_plug_ins_do() -> None:
    """Each is loaded by the name that it is registered by, with settings of its own."""
    ours = {one.name for one in installed(Group.ACTUATORS) if one.built_in}
    kinds = installed_actuators()
    assert ours >= {"agones", "command", "keda", "recommend-only", "webhook"}
    assert all(issubclass(kinds[name].settings, Section) for name in ours)
    assert type(kinds["recommend-only"]).__name__ == "RecommendOnly"


def test_one_object_makes_all_actuators_of_its_kind(install: Install) -> None:
    """So those that listen can share what they listen on."""
    install(GOOD, group=Group.ACTUATORS)
    kinds = installed_actuators()
    assert kinds["toy"] is kinds["toy"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (GOOD.replace("Settings\n", "dict\n"), "found settings <class 'dict'>, expected a pydant"),
        (GOOD.replace(", settings =", ", setting ="), "found settings None"),
        (GOOD.replace("(Section)", "(__import__('pydantic').BaseModel)"), "that take any key"),
        (GOOD.replace("make", "build"), "found no make(), expected that of ActuatorKind"),
        (GOOD.replace('"toy"', '"toi"'), "found the name 'toi'"),
    ],
)
def test_a_broken_plug_in_says_whose_fault_it_is(install: Install, code: str, said: str) -> None:
    """The distribution and the class are named, and what was found."""
    install(code, group=Group.ACTUATORS)
    with pytest.raises(BadPlugin) as caught:
        installed_actuators()["toy"]
    assert "the actuator toy of toy-tee 1.0 (toy_tee:Tee)" in str(caught.value)
    assert said in str(caught.value)
