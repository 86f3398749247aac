"""The cells of the shared load that are this worker's to write, and what stands in them.

Nobody else writes them, so they are not read back: a number kept here costs less than one taken out
of shared memory.
"""


class _Cell:
    """One number, and a view of the shared memory that it is written to."""

    __slots__ = ("count", "shared")

    def __init__(self, shared: "memoryview[int]") -> None:
        self.count = 0
        self.shared = shared


class Cells:
    """One row of cells, by index; others see each change at once."""

    __slots__ = ("_cells", "_row")

    def __init__(self, row: "memoryview[int]") -> None:
        """Begin with nought in each cell of a row of the shared load."""
        self._row = row
        self._cells: list[_Cell | None] = [None] * len(row)

    def more(self, index: int) -> None:
        """Count one more."""
        cell = self._cells[index] or self._begin(index)
        cell.count += 1
        cell.shared[0] = cell.count

    def less(self, index: int) -> None:
        """Count one less."""
        cell = self._cells[index] or self._begin(index)
        cell.count -= 1
        cell.shared[0] = cell.count

    def _begin(self, index: int) -> _Cell:
        # A view of one number: compiled, its constant index is not made for each write.
        cell = self._cells[index] = _Cell(self._row[index : index + 1])
        return cell
