"""Which key each backend has proved."""

import pytest

from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.control.scrape.keys import FRESH_SECONDS, AttestedKeys
from routing import BackendName, PoolName

POOL, ONE = PoolName("app"), BackendName("one")


@pytest.mark.parametrize("state", TrustState)
def test_only_a_trusted_key_is_one(state: TrustState) -> None:
    """What is refuted, expired or not yet proved is no key."""
    keys = AttestedKeys(lambda _pool: {ONE: Trust(state, key=b"k" * 32)})
    assert keys(POOL, ONE) == (b"k" * 32 if state is TrustState.TRUSTED else b"")
    assert keys(POOL, BackendName("other")) == b""


def test_the_attestor_is_asked_once_a_second() -> None:
    """However many backends there are; what has changed is known a second later."""
    now, asked = [100.0], list[PoolName]()
    trusts = {ONE: Trust(TrustState.TRUSTED, key=b"k" * 32)}

    def trusts_of(pool: PoolName) -> dict[BackendName, Trust]:
        asked.append(pool)
        return dict(trusts)

    keys = AttestedKeys(trusts_of, lambda: now[0])
    assert all(keys(POOL, ONE) for _ in range(5))
    trusts.clear()
    assert keys(POOL, ONE)
    now[0] += FRESH_SECONDS
    assert not keys(POOL, ONE)
    assert asked == [POOL, POOL]
