"""A proved connection keeps what the next one may resume."""

from l4proxy.client import Continuity
from tests.l4proxy.agent.parts import NAME
from tests.l4proxy.client.parts import HOST, SECRET, Server, client, serving


async def test_the_newest_ticket_is_kept() -> None:
    """Each connection goes on with what the one before it was given last."""
    async with serving(Server()) as server:
        asking = client()
        for standing in (Continuity.FRESH, Continuity.RESUMED, Continuity.RESUMED):
            connection = await asking.connect(HOST, server.port, NAME)
            assert connection.account.standing is standing
            await connection.stream.write(SECRET)
            await connection.stream.read()
            connection.close()


async def test_an_abort_keeps_nothing_new() -> None:
    """A connection that went wrong gives the next one no ticket of its own."""
    async with serving(Server()) as server:
        asking = client()
        for _ in range(2):
            connection = await asking.connect(HOST, server.port, NAME)
            connection.close(abort=True)
            assert connection.stream.socket.fileno() == -1
