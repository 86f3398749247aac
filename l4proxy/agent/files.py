"""Key, certificate and ticket key as files, for an application that ends TLS itself."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from l4proxy.agent.certificates import Credentials
from l4proxy.secret_file import write_secret

KEY: Final = "server.key"
CERTIFICATE: Final = "server.crt"
TICKET_KEY: Final = "ticket.key"

RELOAD_SECONDS: Final = 30.0
"""Seconds that the command may take which makes the application read its files again."""

_log = logging.getLogger(__name__)


def hand_over(directory: Path, credentials: Credentials, ticket_key: bytes) -> None:
    """Write the three files, each whole at any moment and readable by its owner alone.

    The key comes last but one and the certificate last, so that where there is a certificate there
    is all that belongs to it.

    Raises:
        OSError: One cannot be written.

    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    named = {TICKET_KEY: ticket_key, KEY: credentials.key, CERTIFICATE: credentials.chain}
    for name, data in named.items():
        half = directory / f".{name}.{secrets.token_hex(4)}"
        write_secret(half, data)
        try:
            half.replace(directory / name)
        except OSError:
            # Each attempt would leave another copy of a secret.
            half.unlink()
            raise


async def reload(command: Sequence[str]) -> None:
    """Run the command that makes the application read its files again; the log hears of a fault."""
    if not command:
        return
    try:
        running = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                status = await running.wait()
        except (TimeoutError, asyncio.CancelledError):
            # Each renewal would leave another one running, and an agent that ends its last one.
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            raise
    except OSError as error:
        _log.warning("reload: %s: %s", command[0], error.strerror or "still running: ended")
        return
    if status:
        _log.warning("reload: %s: exit status %d", command[0], status)
