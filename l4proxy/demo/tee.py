"""The simulated TEE of a demo's server: it answers for the server's key, as slowly as a real one.

It proves nothing, and says so; what a demo shows is what becomes of evidence, good and bad.
"""

import asyncio
import time
from collections.abc import Mapping

from attestation import (
    QUOTE_SECONDS,
    AgentClaims,
    KeyOrigin,
    SimulatedTee,
    TicketKeys,
    in_user_data,
)
from l4proxy.evidence_wire import (
    MEDIA_TYPE,
    WELL_KNOWN,
    Answer,
    BadQuestion,
    encode_answer,
    parse_question,
)

IMAGE = b"l4proxy demo, the image that was reviewed"
"""What the policy accepts."""

OTHER_IMAGE = b"l4proxy demo, another image"
"""What the wrong enclave runs."""

_AGENT = AgentClaims(key_origin=KeyOrigin.INSIDE, ticket_keys=TicketKeys.INSIDE)


class DemoTee:
    """One simulated enclave, and the TLS key that was made in it."""

    def __init__(self, image: bytes, spki: bytes) -> None:
        """Load an image.

        Args:
            image: What it runs.
            spki: The key, as it stands in the certificate.
        """
        self._tee = SimulatedTee(image)
        self._spki = spki
        self._quoting = asyncio.Lock()

    async def answer(self, target: str) -> bytes:
        """Return the HTTP answer to what was asked for."""
        path, _, query = target.partition("?")
        try:
            nonce = parse_question(query).nonce if path == WELL_KNOWN else None
        except BadQuestion:
            nonce = None
        if nonce is None:
            return _http("404 Not Found", b"")
        async with self._quoting:  # one at a time, as a real one
            await asyncio.sleep(QUOTE_SECONDS)
            evidence = self._tee.evidence(in_user_data(self._spki, _AGENT, nonce), time.time())
        return _http("200 OK", encode_answer(Answer(evidence)))


def policy() -> Mapping[str, object]:
    """Return what the balancer of a demo accepts, as a policy's file says it."""
    registers = SimulatedTee(IMAGE).registers()
    return {
        "accept": [{"simulated": {"pcrs": {n: registers[n].hex() for n in (0, 1, 2)}}}],
        "allow_simulated": True,
        "freshness": {"mode": "nonce"},
        "ticket_keys": "inside",
    }


def _http(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
