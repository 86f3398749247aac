"""The spare descriptor: there is one, and there is one again after it was given up."""

import os

import pytest

from l4proxy.dataplane.spare import Spare
from tests.l4proxy.dataplane.loopback import open_descriptors


def test_a_spare_is_one_descriptor_that_comes_and_goes() -> None:
    """However often it is given up or taken back, there is never more than one."""
    before = open_descriptors()
    spare = Spare()
    for _ in range(3):
        assert open_descriptors() == before + 1
        spare.take_back()
        assert open_descriptors() == before + 1
        spare.give_up()
        spare.give_up()
        assert open_descriptors() == before
        spare.take_back()
    spare.give_up()


def test_a_spare_that_cannot_be_had_is_had_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """When others took the last descriptor there is none for a while, and no error."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _fail)
        spare = Spare()
        spare.give_up()
    before = open_descriptors()
    spare.take_back()
    assert open_descriptors() == before + 1
    spare.give_up()


def _fail(*_: object) -> int:
    raise OSError(24, "Too many open files")
