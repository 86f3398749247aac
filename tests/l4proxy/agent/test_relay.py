"""Promises of `l4proxy.agent.relay`: all bytes, in order, until both have said theirs."""

import asyncio

import pytest

from l4proxy.agent.relay import relay
from l4proxy.agent.stream import Stream
from tests.l4proxy.agent.test_stream import BULK, plain

LONG = 20.0


async def _hear(stream: Stream) -> bytes:
    data = bytearray()
    while part := await stream.read():
        data += part
    return bytes(data)


async def test_bytes_go_both_ways_to_both_ends() -> None:
    """What was read before comes first; one half may end long before the other."""
    async with (
        plain() as (client, outer),
        plain() as (inner, application),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(relay(outer, inner, b"first ", LONG))
        await client.write(b"question")
        await client.end()
        assert await _hear(application) == b"first question"
        tasks.create_task(application.write(BULK)).add_done_callback(
            lambda _: tasks.create_task(application.end())
        )
        assert await _hear(client) == BULK


async def test_silence_ends_it() -> None:
    """A connection on which nothing is said for too long is given up."""
    async with plain() as (client, outer), plain() as (inner, application):
        with pytest.raises(ExceptionGroup) as raised:
            await relay(outer, inner, b"", 0.05)
        assert raised.group_contains(TimeoutError, match="nothing was said")
        assert client is not application


async def test_words_put_the_end_off() -> None:
    """As long as something is said it goes on."""
    async with (
        plain() as (client, outer),
        plain() as (inner, application),
        asyncio.TaskGroup() as tasks,
    ):
        relaying = tasks.create_task(relay(outer, inner, b"", 0.4))
        for _ in range(8):
            await client.write(b"x")
            assert await application.read() == b"x"
            await asyncio.sleep(0.1)
        assert not relaying.done()
        await client.end()
        await application.end()


async def test_a_reset_ends_both_sides() -> None:
    """What breaks one side is raised, for the other to be closed."""
    async with plain() as (client, outer), plain() as (inner, _):
        client.close(abort=True)
        with pytest.raises(ExceptionGroup) as raised:
            await relay(outer, inner, b"", LONG)
        assert raised.group_contains(ConnectionResetError)


async def test_what_the_client_sends_may_be_counted() -> None:
    """Each piece of it, the first too, and nothing of what the application says."""
    heard: list[bytes] = []
    async with (
        plain() as (client, outer),
        plain() as (inner, application),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(relay(outer, inner, b"first", LONG, heard.append))
        await client.write(b"second")
        await client.end()
        assert await _hear(application) == b"firstsecond"
        await application.write(b"answer")
        await application.end()
        assert await _hear(client) == b"answer"
    assert heard == [b"first", b"second"]
