"""This machine, as planning and advice see it."""

from pathlib import Path

import pytest

from l4proxy.cli.machine import room, source_ports, this_machine
from l4proxy.config import parse_config
from l4proxy.config.lint import SOURCE_PORTS, Machine
from tests.l4proxy.cli.calls import CONFIG


def test_this_machine_has_cores_and_ports() -> None:
    """What is found is what a daemon could use."""
    found = this_machine()
    assert found.cores >= 1
    assert found.source_ports > 1


@pytest.mark.parametrize("text", ["32768 60999\n", "32768\t60999"])
def test_source_ports_are_counted(tmp_path: Path, text: str) -> None:
    """Both ends of the kernel's range belong to it."""
    path = tmp_path / "range"
    path.write_text(text)
    assert source_ports(path) == 28_232


def test_a_kernel_that_does_not_say_has_the_default(tmp_path: Path) -> None:
    """Without the kernel's word Linux's default is taken."""
    assert source_ports(tmp_path / "none") == SOURCE_PORTS


def test_room_is_what_configuration_and_machine_give() -> None:
    """The configured workers count, else the cores; without a descriptor limit there is plenty."""
    auto = parse_config(CONFIG, "auto")
    three = parse_config(f"{CONFIG}workers: 3\n", "three")
    assert room(auto, Machine(descriptors=1024, cores=2)).workers == 2
    assert room(three, Machine(descriptors=1024, cores=2)).workers == 3
    assert room(auto, Machine(descriptors=1024)).descriptors == 1024
    assert room(auto, Machine()).descriptors > 1_000_000
