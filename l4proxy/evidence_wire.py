"""Evidence on its way from the agent to whoever asks: the question, the answer, the frame.

Over HTTP one asks `GET /.well-known/attestation` with a nonce, or for the connection itself with
`binding=exporter`. Over any other protocol one asks by ALPN, and the answer comes framed before the
first byte of the application. The answer is a map in CBOR: `cmw`, the evidence and all that belongs
to it (RFC 9999), and `way`, the steps from what was asked to what was signed, as many questions may
share a quote.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from attestation import Evidence, MalformedEvidence, encode_cmw, parse_cmw
from attestation.cbor_maps import load_map, write_map
from l4proxy.merkle import HASH, MAX_STEPS, Step, Way, root_of

WELL_KNOWN: Final = "/.well-known/attestation"
"""Where evidence is asked for."""

WELL_KNOWN_MANIFEST: Final = WELL_KNOWN + "/manifest"
"""Where the secondary manifest is, in JSON, as its digest has it."""

ALPN: Final = "l4proxy-attest/1"
"""The protocol by which a client asks for a framed answer that is bound to the connection."""

MEDIA_TYPE: Final = "application/vnd.l4proxy.attestation+cbor"
"""Of an answer over HTTP."""

NONCE_SIZES: Final = range(16, 65)
"""Bytes of a nonce: fewer can be guessed, more say nothing more."""

MAX_QUERY: Final = 256
"""Characters of a question: the longest nonce has 128 digits."""

MAX_ANSWER: Final = 260 * 1024
"""Bytes of an answer: a wrapper of 256 KiB, and sixteen steps."""

FRAME_HEADER: Final = 4
"""Bytes before a framed answer: its length, big-endian."""

_EXPORTER = "exporter"


class BadQuestion(ValueError):
    """What was asked for is not among what can be: the asker's fault."""


@dataclass(frozen=True, slots=True)
class Question:
    """What evidence shall answer.

    Attributes:
        nonce: To be signed; None: the connection's exporter value shall be.

    """

    nonce: bytes | None

    @property
    def target(self) -> str:
        """The target of the HTTP request."""
        asked = f"binding={_EXPORTER}" if self.nonce is None else f"nonce={self.nonce.hex()}"
        return f"{WELL_KNOWN}?{asked}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent answers.

    Attributes:
        evidence: Hostile until it is judged.
        way: From what was asked for to what was signed.

    """

    evidence: Evidence
    way: Way = ()

    def signed(self, asked: bytes) -> bytes:
        """Return what the evidence must hold for this nonce, or this exporter value.

        It is what belongs into `Expectation.nonce` or `Expectation.exporter`: the value itself, or
        the root of the tree that it leads to.
        """
        return root_of(asked, self.way)


def parse_question(query: str) -> Question:
    """Return what the part of a target behind its `?` asks for.

    Raises:
        BadQuestion: It is neither one nonce of 16 to 64 bytes in hex, nor `binding=exporter`.

    """
    expected = "expected nonce=HEX of 16 to 64 bytes, or binding=exporter"
    if len(query) > MAX_QUERY:
        raise BadQuestion(f"a question of {len(query)} characters, {expected}")
    match parse_qsl(query, keep_blank_values=True):
        case [("binding", "exporter")]:
            return Question(None)
        case [("nonce", digits)]:
            try:
                nonce = bytes.fromhex(digits)
            except ValueError:
                nonce = b""
            if len(nonce) in NONCE_SIZES and len(digits) == 2 * len(nonce):
                return Question(nonce)
        case _:
            pass
    raise BadQuestion(expected)


def encode_answer(answer: Answer) -> bytes:
    """Return an answer's one encoding."""
    said: dict[str, object] = {"cmw": encode_cmw(answer.evidence)}
    if answer.way:
        said["way"] = [[step.left, step.other] for step in answer.way]
    return write_map(said)


def parse_answer(data: bytes) -> Answer:
    """Return what an answer holds; none of it is verified.

    Raises:
        MalformedEvidence: It is over its limit, or not in its form.

    """
    found = load_map(data, MAX_ANSWER, "answer")
    wrapped = found.pop("cmw", None)
    way = found.pop("way", [])
    if not isinstance(wrapped, bytes) or found:
        raise MalformedEvidence("answer: expected a map of cmw, and way where there is one")
    if not isinstance(way, list) or len(way) > MAX_STEPS:
        raise MalformedEvidence(f"answer: way is no list of at most {MAX_STEPS} steps")
    return Answer(parse_cmw(wrapped), tuple(map(_step, way)))


def frame(answer: bytes) -> bytes:
    """Return an encoded answer with its length before it."""
    return len(answer).to_bytes(FRAME_HEADER) + answer


def frame_size(header: bytes, limit: int = MAX_ANSWER) -> int:
    """Return how many bytes follow the four of a header.

    Raises:
        MalformedEvidence: None, or more than the limit.

    """
    size = int.from_bytes(header)
    if len(header) != FRAME_HEADER or not 0 < size <= limit:
        raise MalformedEvidence(f"frame: {size} bytes, expected 1 to {limit}")
    return size


def _step(found: object) -> Step:
    match found:
        case [bool(left), bytes(other)] if len(other) == HASH:
            return Step(left, other)
        case _:
            raise MalformedEvidence("answer: a step is no side and 32 bytes")
