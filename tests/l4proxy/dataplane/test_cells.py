"""Cells: what a worker counts is seen by all at once."""

import os

from l4proxy.dataplane.cells import Cells
from l4proxy.shared_load import SharedLoad, create
from routing import BackendIndex


def test_each_change_is_seen_at_once() -> None:
    """More and less of one index leave the others as they are."""
    memory = create(2)
    load = SharedLoad(memory, 2)
    os.close(memory)
    cells = Cells(load.row(0))
    cells.more(3)
    cells.more(4)
    assert [load.connections(BackendIndex(index)) for index in (2, 3, 4)] == [0, 1, 1]
    cells.less(3)
    cells.less(4)
    assert [load.connections(BackendIndex(index)) for index in (2, 3, 4)] == [0, 0, 0]
