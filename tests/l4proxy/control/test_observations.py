"""What waits for a worker: in order, in batches, never more than there is room for."""

from l4proxy.control.observations import MAX_WAITING, Outbox
from l4proxy.messages import MAX_OBSERVED, Observed, decode, encode
from routing import BackendName, Observation, PoolName, TokenKey


def rows(count: int, seen_at: float = 1.0) -> list[Observation]:
    """So many tokens, the longest that there are."""
    return [
        Observation(
            PoolName("p" * 63),
            TokenKey(number.to_bytes(33, "big")),
            BackendName("b" * 63),
            bytes(108),
            seen_at,
        )
        for number in range(count)
    ]


def test_nothing_is_said_where_nothing_waits() -> None:
    """An empty outbox has no message."""
    outbox = Outbox()
    assert outbox.take() is None
    outbox.put([], 1.0)
    assert outbox.take() is None


def test_tokens_leave_in_order_and_in_batches() -> None:
    """Each message is one that the other side takes."""
    outbox = Outbox()
    outbox.put(rows(3), 1.0)
    outbox.put(rows(MAX_OBSERVED), 1.0)
    first, second = outbox.take(), outbox.take()
    assert first == Observed(tuple([*rows(3), *rows(MAX_OBSERVED)][:MAX_OBSERVED]))
    assert second == Observed(tuple(rows(MAX_OBSERVED)[-3:]))
    assert outbox.take() is None
    assert decode(encode(first)) == first


def test_what_has_no_room_is_left_out_and_counted() -> None:
    """What waits already stays; when it has left there is room again."""
    outbox = Outbox()
    for _ in range(3):
        outbox.put(rows(MAX_WAITING - 1), 1.0)
    assert outbox.left_out == 2 * (MAX_WAITING - 1) - 1
    taken = 0
    while (message := outbox.take()) is not None:
        taken += len(message.rows)
    assert taken == MAX_WAITING
    outbox.put(rows(1), 1.0)
    assert outbox.take() == Observed(tuple(rows(1)))


def test_nobody_has_seen_the_future() -> None:
    """A token that would be remembered for ever counts as seen now."""
    outbox = Outbox()
    outbox.put([*rows(1, 3.0), *rows(1, 1e300)], 5.0)
    assert outbox.take() == Observed((*rows(1, 3.0), *rows(1, 5.0)))
