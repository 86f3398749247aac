"""The story checks what it says: with a fault in the balancer's place it fails.

That it is good from end to end on a working balancer, `l4proxy demo --once` shows: cli/test_demo.
"""

import pytest

from l4proxy.demo import story
from l4proxy.demo.policy import IMAGE
from l4proxy.demo.stage import WRONG, Stage
from l4proxy.demo.story import STEPS, Check, Found, Seen, tell


async def told(ready: Stage, *titles: str) -> list[Check]:
    """What these steps find."""
    steps = {title: STEPS[title] for title in titles}
    return [check async for check in tell(ready, steps)]


async def test_who_is_served_against_the_rules_is_a_fault(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door that lets an unknown name in, and an enclave that is not the wrong one, are found."""
    wrong = still.enclave(WRONG)
    monkeypatch.setattr(wrong, "_image", IMAGE)
    await wrong.start(still.tasks)
    checks = await told(still, "unknown name", "wrong enclave")
    await wrong.kill()
    assert [check.good for check in checks] == [False, False]


async def test_counts_that_do_not_agree_are_a_fault(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the balancer counts is waited for, and not for ever."""
    monkeypatch.setattr(story, "_COUNTED_SECONDS", 0.0)

    async def status(_: Stage) -> dict[str, dict[str, int]]:
        return {"connections": {"refused": 7}}

    monkeypatch.setattr(Stage, "status", status)
    (check,) = await told(still, "all counted")
    assert not check.good
    assert "7 of 0 connections refused" in check.found


async def test_a_step_that_breaks_is_the_last(still: Stage) -> None:
    """A balancer that is gone ends the story with a line, not a traceback."""

    async def never(_: Seen) -> Found:
        raise AssertionError

    steps = {title: STEPS[title] for title in ("proved, or no traffic",)} | {"never": never}
    (check,) = [check async for check in tell(still, steps)]
    assert not check.good
    assert "AdminUnavailable" in check.found
