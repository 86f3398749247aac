"""Quotes, one at a time: questions that come while the TEE is busy share the next one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from attestation import AgentClaims, Evidence, Request, for_connection, in_report_data, in_user_data
from l4proxy.agent.attesters import Attester, TeeError
from l4proxy.agent.threads import begin
from l4proxy.agent.trouble import Trouble
from l4proxy.evidence_wire import Answer
from l4proxy.merkle import MAX_STEPS, grow

MAX_BATCH: Final = 1 << MAX_STEPS
"""Questions under one quote: more than there are connections."""


ANSWER_SECONDS: Final = 30.0
"""Seconds that a question may wait for its answer: six hundred quotes of 50 ms."""


@dataclass(eq=False, slots=True)
class _Asked:
    value: bytes
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What every quote speaks of.

    Attributes:
        spki: The TLS key, as it stands in the certificate.
        agent: What the agent states.
        manifest: The secondary manifest; None: there is none.

    """

    spki: bytes
    agent: AgentClaims
    manifest: bytes | None


@dataclass(slots=True)
class _Queue:
    """Questions of one sort, and what turns their root into a request."""

    request: Callable[[bytes], Request]
    waiting: list[_Asked] = field(default_factory=list)


class Quotes:
    """The TEE, asked by many and busy with one at a time.

    It keeps one question a connection, so connections bound it.
    """

    def __init__(self, attester: Attester, subject: Subject) -> None:
        """Ask one TEE about one key."""
        self._attester = attester
        self._subject = subject
        self._turn = asyncio.Lock()
        self._call: Future[Evidence] | None = None
        self._trouble = Trouble("evidence")
        self._nonces = _Queue(self._for_nonce)
        self._exporters = _Queue(
            lambda root: for_connection(subject.spki, subject.agent, root),
        )

    async def by_nonce(self, nonce: bytes) -> Answer:
        """Return evidence that signs a nonce.

        Raises:
            TeeError: The TEE gives none, or not in time.

        """
        return await self._answer(self._nonces, nonce)

    async def by_exporter(self, exporter: bytes) -> Answer:
        """Return evidence that signs the exporter value of one connection.

        Raises:
            TeeError: The TEE gives none, or not in time.

        """
        return await self._answer(self._exporters, exporter)

    async def for_certificate(self) -> Evidence:
        """Return evidence that signs the key alone, to be carried in its certificate.

        Raises:
            TeeError: The TEE gives none, or not in time.

        """
        async with self._in_time(), self._turn:
            return await self._quote(self._for_nonce(None))

    async def _answer(self, queue: _Queue, value: bytes) -> Answer:
        """Wait for the TEE; whose turn it is asks for all that wait by then."""
        asked = _Asked(value)
        queue.waiting.append(asked)
        try:
            async with self._in_time(), self._turn:
                return asked.answer or await self._serve(queue, asked)
        finally:
            # Whoever leaves early leaves nobody behind: the next in turn asks for those that wait.
            if asked in queue.waiting:
                queue.waiting.remove(asked)

    async def _serve(self, queue: _Queue, own: _Asked) -> Answer:
        batch = queue.waiting[:MAX_BATCH]
        root, ways = grow([asked.value for asked in batch])
        evidence = await self._quote(queue.request(root))
        for asked, way in zip(batch, ways, strict=True):
            asked.answer = Answer(evidence, way)
        served = set(map(id, batch))
        queue.waiting = [asked for asked in queue.waiting if id(asked) not in served]
        return own.answer or await self._serve(queue, own)

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound a wait for evidence, and tell what becomes of it."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except TimeoutError as error:
            late = TeeError(f"no evidence within {ANSWER_SECONDS:.0f} s")
            self._trouble.told(late)
            raise late from error
        except TeeError as error:
            self._trouble.told(error)
            raise
        self._trouble.over()

    async def _quote(self, request: Request) -> Evidence:
        if self._call is not None and not self._call.done():
            # A wait that was given up leaves its call behind, which ends before the next begins.
            with contextlib.suppress(TeeError):
                await asyncio.wrap_future(self._call)
        self._call = begin(partial(self._attester.quote, request))
        evidence = await asyncio.wrap_future(self._call)
        return replace(evidence, manifest=self._subject.manifest)

    def _for_nonce(self, nonce: bytes | None) -> Request:
        build = in_user_data if self._attester.signs_user_data else in_report_data
        return build(self._subject.spki, self._subject.agent, nonce)
