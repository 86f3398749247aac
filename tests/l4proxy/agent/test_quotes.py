"""Promises of `l4proxy.agent.quotes`: one quote at a time, shared by those that wait for it."""

import asyncio
import threading
import time
from types import MappingProxyType

import pytest

from attestation import AgentClaims, Evidence, Expectation, KeyOrigin, Request, parse_claims_buffer
from l4proxy.agent import quotes as module
from l4proxy.agent.attesters import Simulated, TeeError
from l4proxy.agent.quotes import Quotes, Subject
from tests.l4proxy.agent.parts import IMAGE, PATIENCE, policy, verdict

SPKI = b"0Y-a key"
SUBJECT = Subject(SPKI, AgentClaims(key_origin=KeyOrigin.INSIDE), None)


class Counting:
    """A TEE that counts, and waits until it may answer."""

    def __init__(self, *, signs_user_data: bool = True, fails: int = 0) -> None:
        self.signs_user_data = signs_user_data
        self.fails = fails
        self.asked: list[Request] = []
        self.may = threading.Event()
        self.busy = 0

    def seal(self, manifest: bytes | None) -> None:
        """Do nothing."""

    def quote(self, request: Request) -> Evidence:
        """Answer, one at a time."""
        self.busy += 1
        assert self.busy == 1
        self.asked.append(request)
        assert self.may.wait(PATIENCE)
        self.busy -= 1
        if len(self.asked) <= self.fails:
            raise TeeError("broken")
        return Evidence("x", b"d", MappingProxyType({}), request.claims_buffer)


def nonces(count: int) -> list[bytes]:
    """Different nonces."""
    return [bytes([number]) * 32 for number in range(count)]


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_wait_share_one_quote() -> None:
    """While one is made the others gather, and the next answers them all."""
    tee = Counting()
    quotes = Quotes(tee, SUBJECT)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(quotes.by_nonce(nonce)) for nonce in nonces(1)]
        await _settle()
        asked += [tasks.create_task(quotes.by_nonce(nonce)) for nonce in nonces(20)[1:]]
        await _settle()
        tee.may.set()
    assert len(tee.asked) == 2
    assert tee.asked[0].nonce == nonces(1)[0]
    for nonce, task in zip(nonces(20)[1:], asked[1:], strict=True):
        assert task.result().signed(nonce) == tee.asked[1].nonce


async def test_nonces_and_exporters_never_share() -> None:
    """What was asked as a nonce is not signed where an exporter stands."""
    tee = Counting()
    tee.may.set()
    quotes = Quotes(tee, SUBJECT)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        for value in nonces(4):
            tasks.create_task(quotes.by_nonce(value))
            tasks.create_task(quotes.by_exporter(value))
    for request in tee.asked:
        assert (request.nonce is None) == (len(request.bound_data) == 64)


async def test_who_leaves_leaves_nobody_behind() -> None:
    """If the one whose turn it is gives up, the others still get their answer."""
    tee = Counting()
    quotes = Quotes(tee, SUBJECT)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        leader = tasks.create_task(quotes.by_nonce(b"l" * 32))
        await _settle()
        followers = [tasks.create_task(quotes.by_nonce(nonce)) for nonce in nonces(3)]
        gone = tasks.create_task(quotes.by_nonce(b"g" * 32))
        await _settle()
        leader.cancel()
        gone.cancel()
        tee.may.set()
    assert all(task.result().evidence.kind == "x" for task in followers)


async def test_a_failure_is_told_to_its_asker_alone() -> None:
    """A quote that fails is tried again by the next in turn."""
    tee = Counting(fails=1)
    tee.may.set()
    quotes = Quotes(tee, SUBJECT)
    async with asyncio.timeout(PATIENCE):
        first, second = await asyncio.gather(
            quotes.by_nonce(b"a" * 32), quotes.by_nonce(b"b" * 32), return_exceptions=True
        )
    assert isinstance(first, TeeError)
    assert not isinstance(second, BaseException)


async def test_a_tee_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks hears so in time, and the next is answered once the TEE is."""
    tee = Counting()
    quotes = Quotes(tee, SUBJECT)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    with pytest.raises(TeeError, match="no evidence within 0 s"):
        await quotes.by_nonce(b"a" * 32)
    monkeypatch.setattr(module, "ANSWER_SECONDS", PATIENCE)
    tee.may.set()
    assert (await quotes.by_nonce(b"b" * 32)).evidence.kind == "x"


async def test_a_tee_of_64_bytes_signs_the_nonce_in_the_buffer() -> None:
    """SEV-SNP and TDX have no field for a nonce."""
    tee = Counting(signs_user_data=False)
    tee.may.set()
    answer = await Quotes(tee, SUBJECT).by_nonce(b"n" * 32)
    assert answer.evidence.claims_buffer is not None
    assert parse_claims_buffer(answer.evidence.claims_buffer).nonce == b"n" * 32
    assert len(tee.asked[0].bound_data) == 64


async def test_the_manifest_travels_with_the_evidence() -> None:
    """Who judges a register needs the document that it stands for."""
    tee = Counting()
    tee.may.set()
    subject = Subject(SPKI, AgentClaims(), b"{}")
    assert (await Quotes(tee, subject).for_certificate()).manifest == b"{}"


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_shared_quotes_are_accepted(count: int) -> None:
    """Each asker's own exporter leads to what the simulated TEE signed; another's does not."""
    tee = Simulated(IMAGE.encode())
    tee.seal(None)
    quotes, values = Quotes(tee, SUBJECT), nonces(count + 1)[1:]
    async with asyncio.timeout(PATIENCE):
        await quotes.by_exporter(b"x" * 32)
        answers = await asyncio.gather(*map(quotes.by_exporter, values))
    for value, answer in zip(values, answers, strict=True):
        mine = Expectation(spki=SPKI, exporter=answer.signed(value))
        assert verdict(answer, mine, time.time()).accepted
        other = Expectation(spki=SPKI, exporter=answer.signed(b"y" * 32))
        refused = verdict(answer, other, time.time(), policy())
        assert refused.reason is not None
        assert refused.reason.name == "exporter"


async def test_evidence_for_a_certificate_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An agent whose TEE hangs says so, and does not wait in silence; no calls pile up."""
    tee = Counting()
    quotes = Quotes(tee, SUBJECT)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.02)
    for _ in range(3):
        with pytest.raises(TeeError, match="no evidence within 0 s"):
            await quotes.for_certificate()
    assert len(tee.asked) == 1
    assert caplog.text.count("no evidence within") == 1
    monkeypatch.setattr(module, "ANSWER_SECONDS", PATIENCE)
    tee.may.set()
    assert (await quotes.for_certificate()).kind == "x"
    assert "works again" in caplog.text
