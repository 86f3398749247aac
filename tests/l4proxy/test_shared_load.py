"""The load table: what one process counts, every other one sees."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from l4proxy.limits import MAX_BACKENDS
from l4proxy.shared_load import MAX_LAID_OUT, TOTAL, SharedLoad, create
from routing import BackendIndex

ROWS = 3
FIRST, LAST = BackendIndex(0), BackendIndex(MAX_BACKENDS - 1)


@pytest.fixture
def memory() -> Iterator[int]:
    """The descriptor of a fresh table."""
    descriptor = create(ROWS)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def load(memory: int) -> Iterator[SharedLoad]:
    """A fresh table, mapped."""
    mapped = SharedLoad(memory, ROWS)
    yield mapped
    mapped.close()


def test_a_fresh_table_counts_nothing(load: SharedLoad) -> None:
    """Every cell begins at zero."""
    assert load.open_connections() == 0
    assert load.total_sessions((FIRST, LAST)) == 0


def test_two_mappings_see_each_other(load: SharedLoad, memory: int) -> None:
    """What is counted in one mapping is seen in the other, over all rows."""
    other = SharedLoad(memory, ROWS)
    with load.row(0) as mine, other.row(2) as theirs:
        mine[LAST] += 2
        theirs[LAST] += 1
        theirs[FIRST] += 4
        theirs[TOTAL] += 5
    with load.sessions_row(0) as mine, other.sessions_row(2) as theirs:
        mine[LAST] += 2
        theirs[FIRST] += 4
        theirs[LAST] += 1
    for view in (load, other):
        assert view.connections(LAST) == 3
        assert view.connections(FIRST) == view.sessions(FIRST) == 4
        assert view.sessions(LAST) == 3
        assert view.total_sessions((FIRST, LAST)) == 7
        assert view.total_sessions(()) == 0
        assert view.open_connections() == 5
    other.close()


def test_any_backends_are_added_up(load: SharedLoad) -> None:
    """In any order, however many sets of backends have been asked for before."""
    for number in range(ROWS):
        with load.sessions_row(number) as row:
            for index in range(8):
                row[index] = 1 << index
            row[LAST] = 1 << 8
    for asked in range(1 << 8):
        indices = [BackendIndex(index) for index in range(7, -1, -1) if asked >> index & 1]
        assert load.total_sessions((LAST, *indices)) == ROWS * (asked + (1 << 8))


def test_what_is_remembered_of_sets_of_backends_is_bounded(load: SharedLoad) -> None:
    """Pools that change for ever leave no more behind than that, and are added up all along."""
    half = tuple(map(BackendIndex, range(MAX_BACKENDS // 2)))
    with load.sessions_row(1) as row:
        row[LAST] = 3
    for last in range(20):
        assert load.total_sessions((LAST, *half[last:])) == 3
        kept = sum(map(len, load._readers))  # noqa: SLF001 - it shows nowhere else
        assert kept <= MAX_LAID_OUT


def test_another_process_sees_it_too(load: SharedLoad, memory: int) -> None:
    """The descriptor carries the table into a process that was started on it."""
    code = (
        "import sys; from l4proxy.shared_load import SharedLoad\n"
        f"load = SharedLoad(int(sys.argv[1]), {ROWS}); load.row(1)[7] += load.connections(7)"
    )
    with load.row(0) as row:
        row[7] = 5
    subprocess.run(
        [sys.executable, "-c", code, str(memory)], pass_fds=(memory,), check=True, timeout=30
    )
    assert load.connections(BackendIndex(7)) == 10


def test_a_row_is_cleared_alone(load: SharedLoad) -> None:
    """The connections of a worker that ended are gone, those of the others stay."""
    for number in range(ROWS):
        with load.row(number) as row:
            row[FIRST] = row[LAST] = row[TOTAL] = 1
    load.clear(1)
    assert load.connections(FIRST) == load.connections(LAST) == load.open_connections() == 2
    with load.row(1) as row:
        assert not any(row)


def test_cells_of_different_backends_are_apart(load: SharedLoad) -> None:
    """No two cells of any two rows are the same memory."""
    for number in range(ROWS):
        with load.row(number) as row:
            assert len(row) == MAX_BACKENDS + 1
            for index in range(len(row)):
                row[index] += 1
    assert {load.connections(BackendIndex(index)) for index in (0, 1, LAST)} == {ROWS}
    assert load.open_connections() == ROWS
