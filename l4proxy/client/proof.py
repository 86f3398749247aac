"""The question for a proof, on the connection that it is to prove, and the answer.

Two ways: framed, unasked and first of all where ALPN has agreed on it; else over HTTP, on a
connection that goes on. What comes is bounded before it is read.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from attestation import (
    Evidence,
    Expectation,
    FreshnessMode,
    MalformedEvidence,
    Policy,
    read_certificate,
)
from l4proxy.agent.stream import Stream
from l4proxy.client.account import Basis
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Shown, Target
from l4proxy.client.tls import HTTP, Line
from l4proxy.evidence_wire import (
    ALPN,
    FRAME_HEADER,
    MAX_ANSWER,
    Answer,
    Question,
    frame_size,
    parse_answer,
)
from l4proxy.set_wire import MAX_SET, SET_ALPN, Entry, parse_set

MAX_HEAD_BYTES: Final = 8 * 1024
"""Bytes before an answer over HTTP: a status line and a dozen headers."""

NONCE: Final = 32
"""Bytes of a nonce: nobody guesses them, and every kind of TEE has room for them."""

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_OK = 200


class Proof(NamedTuple):
    """What came; none of it is judged.

    Attributes:
        evidence: Hostile.
        expectation: What this end of the connection knows.
        basis: What it would show.

    """

    evidence: Evidence
    expectation: Expectation
    basis: Basis


def protocols(policy: Policy, *, members: bool = False) -> tuple[str, ...]:
    """Return what is offered by ALPN on a connection that is to be proved.

    Args:
        policy: Says how.
        members: Whether the set of its peers is asked for.

    """
    if policy.freshness.mode is not FreshnessMode.EXPORTER:
        return (HTTP,)
    return (SET_ALPN, ALPN, HTTP) if members else (ALPN, HTTP)


async def take_proof(line: Line, shown: Shown, policy: Policy, target: Target) -> Proof:
    """Ask for a proof, as the policy wants it, and return what came.

    Args:
        line: The connection; nothing was said on it yet.
        shown: What was shown in its handshake, or in that of the session it goes on with.
        policy: Says how.
        target: Where it leads.

    Raises:
        NotAttested: Nothing came, or not what was asked for.

    """
    with _faults():
        return await _take(line, shown, policy, target)


async def take_set(line: Line) -> tuple[Entry, ...]:
    """Return the set that comes behind a framed proof, which the caller has judged.

    Raises:
        NotAttested: Nothing came, or what is no set.

    """
    with _faults():
        size = frame_size(await _exactly(line.stream, FRAME_HEADER, b""), MAX_SET)
        return parse_set(await _exactly(line.stream, size, b""))


@contextmanager
def _faults() -> Iterator[None]:
    """Say whose fault it is."""
    try:
        yield
    except MalformedEvidence as error:
        raise NotAttested(Fault.MALFORMED, str(error)) from error
    except OSError as error:
        if isinstance(error, NotAttested):
            raise
        reason = error.strerror or type(error).__name__
        raise NotAttested(Fault.TLS_FAILED, f"while it was to prove itself: {reason}") from error


async def _take(line: Line, shown: Shown, policy: Policy, target: Target) -> Proof:
    mode = policy.freshness.mode
    here = Expectation(shown.certificate, shown.chain, shown.spki)
    if mode is FreshnessMode.EXPORTER:
        exporter = line.exporter()
        if exporter is None:
            raise NotAttested(Fault.TLS_FAILED, "found TLS 1.2, expected 1.3: it has an exporter")
        framed = line.protocol in {ALPN, SET_ALPN}
        answer = await (
            _framed(line.stream) if framed else _ask(line.stream, Question(None), target)
        )
        expected = replace(here, exporter=answer.signed(exporter))
        return Proof(answer.evidence, expected, Basis.EXPORTER)
    carried = read_certificate(shown.certificate, policy.binding).evidence
    if mode is FreshnessMode.MAX_AGE and carried is not None:
        return Proof(carried, here, Basis.AGE)
    nonce = secrets.token_bytes(NONCE)
    answer = await _ask(line.stream, Question(nonce), target)
    expected = replace(here, nonce=answer.signed(nonce))
    return Proof(answer.evidence, expected, Basis.NONCE)


async def _framed(stream: Stream) -> Answer:
    size = frame_size(await _exactly(stream, FRAME_HEADER, b""))
    return parse_answer(await _exactly(stream, size, b""))


async def _ask(stream: Stream, question: Question, target: Target) -> Answer:
    host = target.server_name or target.host
    asked = f"GET {question.target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: l4proxy\r\n\r\n"
    await stream.write(asked.encode("ascii"))
    came = b""
    while _END not in came:
        if len(came) >= MAX_HEAD_BYTES:
            found = f"found {len(came)} bytes and no end of a head"
            raise MalformedEvidence(f"answer: {found}, expected one within {MAX_HEAD_BYTES}")
        came += await _some(stream, MAX_HEAD_BYTES - len(came))
    head, _, body = came.partition(_END)
    return parse_answer(await _exactly(stream, _length(head), body))


def _length(head: bytes) -> int:
    """Return how long the answer is that stands behind this head."""
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or int(status[1]) != _OK:
        found = "no HTTP/1.1" if status is None else f"status {int(status[1])}"
        raise NotAttested(Fault.NO_PROOF, f"found {found}, expected evidence")
    fields = [line.partition(b":") for line in lines]
    named = [(name.lower(), value.strip()) for name, _, value in fields]
    lengths = {value for name, value in named if name == b"content-length"}
    if len(lengths) != 1 or not _LENGTH.fullmatch(stated := lengths.pop()):
        raise MalformedEvidence("answer: found no length or several, expected one")
    if any(name == b"transfer-encoding" for name, _ in named):
        raise MalformedEvidence("answer: found a transfer encoding, expected a length alone")
    if any(name == b"connection" and b"close" in value.lower() for name, value in named):
        raise NotAttested(Fault.NO_PROOF, "found the end announced, expected to go on afterwards")
    if int(stated) > MAX_ANSWER:
        raise MalformedEvidence(f"answer: found {int(stated)} bytes, expected at most {MAX_ANSWER}")
    return int(stated)


async def _exactly(stream: Stream, size: int, came: bytes) -> bytes:
    """Return so many bytes, and not one that belongs to what follows."""
    body = bytearray(came)
    while len(body) < size:
        body += await _some(stream, size - len(body))
    if len(body) > size:
        raise MalformedEvidence(f"answer: found more than the {size} bytes that it says")
    return bytes(body)


async def _some(stream: Stream, most: int) -> bytes:
    data = await stream.read(most)
    if not data:
        raise NotAttested(Fault.NO_PROOF, "found the end of the connection, expected evidence")
    return data
