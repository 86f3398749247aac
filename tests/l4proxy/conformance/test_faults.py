"""What a conformance test says: every fault of every promise, one a line."""

from collections.abc import AsyncIterator

import pytest

from l4proxy.conformance import NotConforming
from l4proxy.conformance.faults import check_promises


async def _kept(case: int) -> AsyncIterator[str]:
    if case > 1:
        yield "found two"


async def _broken(case: int) -> AsyncIterator[str]:
    yield f"found {case}"
    yield "expected none"


async def _raises(case: int) -> AsyncIterator[str]:
    yield "found something first"
    raise KeyError(case)


def test_every_fault_is_told() -> None:
    """A test that fails with it shows them all."""
    error = NotConforming(["name: none", "run: does not end"])
    assert isinstance(error, AssertionError)
    assert error.faults == ("name: none", "run: does not end")
    assert str(error) == "name: none\nrun: does not end"


async def test_every_promise_is_looked_at() -> None:
    """One that raises is broken, and the next one is looked at all the same."""
    await check_promises((_kept,), 1)
    with pytest.raises(NotConforming) as caught:
        await check_promises((_raises, _kept, _broken), 1)
    first = ("found something first", "raises: raised KeyError: 1")
    assert caught.value.faults == (*first, "found 1", "expected none")
