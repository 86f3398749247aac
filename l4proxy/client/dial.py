"""From a name to a connected socket."""

import asyncio
import socket
from functools import partial

from l4proxy.agent.threads import in_thread
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Target


async def dial(target: Target) -> socket.socket:
    """Return a connected socket that does not block: to the first address that answers.

    Raises:
        NotAttested: None does.

    """
    loop = asyncio.get_running_loop()
    reason = "the name has no address"
    try:
        # A resolver that hangs keeps nobody from ending.
        found = await in_thread(
            partial(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
        )
    except OSError as error:
        raise _unreachable(target, error.strerror or str(error)) from error
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise _unreachable(target, reason)


def _unreachable(target: Target, reason: str) -> NotAttested:
    return NotAttested(Fault.UNREACHABLE, f"{target}: {reason}")
