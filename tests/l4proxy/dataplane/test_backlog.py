"""What is kept for slow readers: never more than the budget, and the longest wait gives way."""

from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane.backlog import Backlog
from tests.l4proxy.dataplane.room import nothing


class Reader:
    """Somebody's slow reader; giving up releases, as a relay's end does, its other half too."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.other: Reader | None = None
        self.ended = 0

    def keep(self, size: int) -> None:
        """Keep so many bytes."""
        self.backlog.keep(self, size)

    def give_up(self) -> None:
        """End."""
        self.ended += 1
        self.backlog.release(self)
        if self.other is not None:
            self.backlog.release(self.other)


def test_the_one_that_waited_longest_gives_way() -> None:
    """First the first, then the second, as many as it takes; the newest stays."""
    backlog = Backlog(100)
    first, second, third = (Reader(backlog) for _ in range(3))
    first.keep(50)
    second.keep(50)
    third.keep(10)
    assert [reader.ended for reader in (first, second, third)] == [1, 0, 0]
    assert backlog.kept == 60
    third.keep(90)
    assert [reader.ended for reader in (first, second, third)] == [1, 1, 0]
    assert backlog.kept == 90


def test_keeping_less_takes_no_new_place() -> None:
    """A size replaces the one before; the place is that of the first byte until all is gone."""
    backlog = Backlog(100)
    first, second = Reader(backlog), Reader(backlog)
    first.keep(50)
    second.keep(40)
    first.keep(10)
    assert backlog.kept == 50
    second.keep(95)
    assert (first.ended, second.ended) == (1, 0)
    backlog.release(second)
    backlog.release(second)
    assert nothing(backlog)


def test_one_alone_beyond_the_budget_ends_itself() -> None:
    """Nobody else has to go for what no budget has room for."""
    backlog = Backlog(100)
    reader = Reader(backlog)
    reader.keep(101)
    assert reader.ended == 1
    assert nothing(backlog)


def test_a_full_budget_is_no_excess() -> None:
    """The limit itself may be kept."""
    backlog = Backlog(100)
    reader = Reader(backlog)
    reader.keep(100)
    assert reader.ended == 0


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200)), max_size=40),
    st.booleans(),
)
def test_the_sum_is_never_beyond_the_limit(
    limit: int, steps: list[tuple[int, int]], pairs: bool
) -> None:
    """After any steps, 0 being a release: the sum is right, in bounds, and all of it comes back."""
    backlog = Backlog(limit)
    readers = [Reader(backlog) for _ in range(6)]
    if pairs:
        for number, reader in enumerate(readers):
            reader.other = readers[number ^ 1]
    for number, size in steps:
        if size:
            readers[number].keep(size)
        else:
            backlog.release(readers[number])
        assert 0 <= backlog.kept <= limit
    for reader in readers:
        backlog.release(reader)
    assert nothing(backlog)
