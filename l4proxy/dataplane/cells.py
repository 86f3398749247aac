"""The cells of the shared load that are this worker's to write, and what stands in them.

Nobody else writes them, so they are not read back: a number kept here costs less than one taken out
of shared memory.
"""


class Cells:
    """One row of cells, by index; others see each change at once."""

    __slots__ = ("_counts", "_shared")

    def __init__(self, shared: "memoryview[int]") -> None:
        """Begin with nought in each cell of a row of the shared load."""
        self._shared = shared
        self._counts = [0] * len(shared)

    def more(self, index: int) -> None:
        """Count one more."""
        counts = self._counts
        counts[index] = count = counts[index] + 1
        self._shared[index] = count

    def less(self, index: int) -> None:
        """Count one less."""
        counts = self._counts
        counts[index] = count = counts[index] - 1
        self._shared[index] = count
