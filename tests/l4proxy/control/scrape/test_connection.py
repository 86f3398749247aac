"""One connection to one backend: what is held of it, and when it ends."""

import asyncio
from collections.abc import Callable

import pytest

from l4proxy.config.telemetry import Place
from l4proxy.control.scrape.answer import MAX_PAGE_BYTES
from l4proxy.control.scrape.connection import (
    PageConnection,
    ScrapeError,
    Terms,
    ask,
    connect,
    page_context,
)
from l4proxy.control.scrape.source import ScrapeFault
from tests.l4proxy.control.scrape.pages import PAGE, Exporter, always, answer_of, exporter, key_in
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate

QUESTION = b"GET / HTTP/1.1\r\n\r\n"


async def connected(
    backend: Exporter, room: asyncio.Semaphore | None = None, *, tls: bool = False
) -> PageConnection:
    """A connection to a backend whose key nobody minds."""
    terms = Terms(page_context() if tls else None, None, room or asyncio.Semaphore())
    place = Place(backend.address.host, backend.address.port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await connect(place, terms, lambda _key: None)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to come."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


async def test_the_key_of_the_other_end_is_known(certificate: Certificate) -> None:
    """Over TLS, before anything is asked; in the clear there is none."""
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        secure = await connected(backend, tls=True)
        assert secure.key == key_in(certificate.chain.read_bytes())
        secure.close()
    async with exporter(always(answer_of(PAGE))) as backend:
        plain = await connected(backend)
        assert plain.key == b""
        plain.close()
        plain.close()


async def test_a_key_that_is_not_accepted_ends_the_connection(certificate: Certificate) -> None:
    """And the key is told."""
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        terms = Terms(page_context(), None, asyncio.Semaphore())
        place = Place(backend.address.host, backend.address.port)
        with pytest.raises(ScrapeError) as caught:
            await connect(place, terms, lambda _key: ScrapeFault.WRONG_KEY)
    assert caught.value.fault is ScrapeFault.WRONG_KEY
    assert str(caught.value) == key_in(certificate.chain.read_bytes()).hex()


async def test_what_nobody_asked_for_ends_an_idle_connection() -> None:
    """Sent behind an answer, it would be read as the next."""
    told = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(answer_of(PAGE))
        await told.wait()
        writer.write(answer_of(b"queue 9\n"))

    async with exporter(script) as backend:
        connection = await connected(backend)
        assert await ask(connection, QUESTION) == PAGE
        assert connection.open
        told.set()
        await until(lambda: not connection.open)
        with pytest.raises(ScrapeError) as caught:
            await ask(connection, QUESTION)
    assert caught.value.fault is ScrapeFault.UNREACHABLE
    assert connection.silent


async def test_large_pages_take_turns() -> None:
    """One that has no room is not read on, and comes whole when there is."""
    page = b"# " + b"x" * (MAX_PAGE_BYTES - 3) + b"\n"
    room = asyncio.Semaphore(1)
    async with exporter(always(answer_of(page))) as backend:
        connection = await connected(backend, room)
        await room.acquire()
        asking = asyncio.get_running_loop().create_task(ask(connection, QUESTION))
        await until(lambda: not connection.silent)
        done, _ = await asyncio.wait([asking], timeout=0.05)
        assert not done
        room.release()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await asking == page
        connection.close()


async def test_who_goes_in_the_middle_was_not_silent() -> None:
    """So that nobody takes it for a connection that had ended before."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(answer_of(PAGE)[:-3])
        await writer.drain()
        raise ConnectionResetError

    async with exporter(script) as backend:
        connection = await connected(backend)
        with pytest.raises(ScrapeError) as caught:
            await ask(connection, QUESTION)
    assert caught.value.fault is ScrapeFault.UNREACHABLE
    assert not connection.open


async def test_a_question_that_is_given_up_ends_the_connection() -> None:
    """Its answer would come when something else is asked."""

    async def script(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with exporter(script) as backend:
        connection = await connected(backend)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await ask(connection, QUESTION)
        assert not connection.open
