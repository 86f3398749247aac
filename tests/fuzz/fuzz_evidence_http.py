"""Fuzz target: the HTTP answer of an evidence endpoint, from a backend that may be anybody.

    python -m tests.fuzz.fuzz_evidence_http [CORPUS]        # needs Atheris

Whatever the bytes: they are a body within its bound or a BadAnswer, the same in every split.
"""

import asyncio

from l4proxy.control.attesting.ask import BadEvidenceAnswer, ask
from tests.fuzz.targets import fuzz

LIMIT = 1_000


class _Stream:
    """Brings some bytes in pieces, and then the end."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    async def send(self, data: bytes) -> None:
        """Hear the question."""

    async def receive(self) -> bytes:
        """Bring the next piece."""
        return self._pieces.pop(0) if self._pieces else b""


def check(data: bytes) -> None:
    """Hold the promises of the module for one input."""
    whole = _answered(data, max(1, len(data)))
    assert whole is None or len(whole) <= LIMIT
    # In pieces a body may be whole before what is too much behind it comes; it is never another.
    pieces = _answered(data, 7)
    assert whole is None or pieces == whole


def _answered(data: bytes, piece: int) -> bytes | None:
    try:
        return asyncio.run(ask(_Stream(data, piece), "a", "/", LIMIT))
    except BadEvidenceAnswer as error:
        said = str(error)
    assert 0 < len(said) < 200
    return None


if __name__ == "__main__":
    fuzz(check)
