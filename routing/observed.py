"""Observed tokens: who issued the session ids and tickets that passed in the clear?

A backend of TLS 1.2 or older shows what it issues. One bounded table per worker keeps it; what one
worker observes the others are told (`Observation`).
"""

from collections import Counter, deque
from hashlib import blake2b
from typing import NamedTuple, NewType

from routing.backend import BackendName, PoolName
from routing.state import SeenTokens

MAX_TOKENS = 32_768
"""Tokens kept in each worker: those that some thousands of clients hold at once take 12 MB."""

LIFETIME_SECONDS = 7_200.0
"""How long a token is kept: what OpenSSL gives a session. One that lives longer falls back to the
client's network; resuming does not extend it (RFC 5246 §F.1.4), so it is not kept longer either."""

NETWORK_SHARE = 1 / 16
"""Of the table, what tokens of one client network may take: an office's worth, never the whole."""

# Dropped for one that is added, so that the end of many at once stops nobody for milliseconds.
_MOST_DROPPED = 8

# The longest token that is kept as it is: a session id. A longer one is hashed to one byte more, so
# that neither passes for the other.
_LONGEST_KEPT = 32
_DIGEST_BYTES = _LONGEST_KEPT + 1

TokenKey = NewType("TokenKey", bytes)
"""What stands for a token in the table: at most 33 bytes, of which no ticket can be made again."""


class Observation(NamedTuple):
    """One token that was seen issued.

    Attributes:
        pool: Where the backend belongs.
        key: What stands for the token.
        owner: The backend that issued it.
        network: The client's, whose share of the table it takes (`Client.prefix`).
        seen_at: When, in seconds of `State.now`.

    """

    pool: PoolName
    key: TokenKey
    owner: BackendName
    network: bytes
    seen_at: float


def key_of(token: bytes) -> TokenKey:
    """Return what stands for a token: itself if it is short, else its hash."""
    if len(token) <= _LONGEST_KEPT:
        return TokenKey(token)
    return TokenKey(blake2b(token, digest_size=_DIGEST_BYTES).digest())


class ObservedTokens(SeenTokens):
    """The table. Implements `routing.SeenTokens`.

    What lives in it stays: a full table, or one in which the client's network has its share, takes
    no more, and nobody takes over a token that another backend issued. So a flood costs the flooded
    worker its newest tokens, never those that clients hold already.

    Attributes:
        full: Tokens that were not taken because the table was full.
        over_share: Tokens that were not taken because their network had its share.

    """

    __slots__ = ("_found", "_lifetime", "_networks", "_oldest", "_room", "full", "over_share")

    def __init__(self, room: int = MAX_TOKENS, lifetime: float = LIFETIME_SECONDS) -> None:
        """Know nothing yet.

        Args:
            room: Tokens that it may hold, at least 1.
            lifetime: Seconds for which each is kept.

        """
        self._room = room
        self._lifetime = lifetime
        self._found: dict[tuple[PoolName, TokenKey], Observation] = {}
        self._oldest: deque[Observation] = deque()
        self._networks: Counter[bytes] = Counter()
        self.full = 0
        self.over_share = 0

    def __len__(self) -> int:
        return len(self._found)

    def owner(self, pool: PoolName, token: bytes, now: float, /) -> BackendName | None:
        """Return the backend of a pool that was seen to issue a token, while that is remembered."""
        found = self._found.get((pool, key_of(token)))
        if found is None or self._is_over(found, now):
            return None
        return found.owner

    def add(self, seen: Observation, now: float) -> bool:
        """Keep a token, if it is new and there is room; return whether it is kept now, and new."""
        self._drop(now)
        if (seen.pool, seen.key) in self._found or self._is_over(seen, now):
            return False
        if len(self._found) >= self._room:
            self.full += 1
            return False
        if self._networks[seen.network] >= max(1, self._room * NETWORK_SHARE):
            self.over_share += 1
            return False
        self._found[seen.pool, seen.key] = seen
        self._oldest.append(seen)
        self._networks[seen.network] += 1
        return True

    def _is_over(self, seen: Observation, now: float) -> bool:
        return now - seen.seen_at >= self._lifetime

    def _drop(self, now: float) -> None:
        """Forget some of those whose time is over: more than are added, so that none stays."""
        for _ in range(_MOST_DROPPED):
            if not self._oldest or not self._is_over(self._oldest[0], now):
                return
            seen = self._oldest.popleft()
            del self._found[seen.pool, seen.key]
            self._networks[seen.network] -= 1
            if not self._networks[seen.network]:
                del self._networks[seen.network]
