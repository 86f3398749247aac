"""The parent authority: takes a request with evidence in it, and gives a certificate chain.

By file: the request is written, and the chain is waited for. By HTTP: the request is posted, and
the answer is the chain.
"""

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from l4proxy.agent.certificates import (
    MAX_CHAIN_BYTES,
    BadCertificate,
    Credentials,
    Csr,
    TlsKey,
    read_chain,
)
from l4proxy.agent.fetch import BadAnswer, Bounds, Request, fetch

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks for the chain's file."""

HTTP_SECONDS: Final = 30.0
"""Seconds that an authority has over HTTP, from its name to the last byte: it checks evidence."""

_OK = 200

_log = logging.getLogger(__name__)


async def ask(source: Csr, key: TlsKey, request: bytes) -> Credentials:
    """Return the credentials that the authority gives for a request in PEM.

    By file it waits as long as it takes: somebody may have to carry the file. A file that is no
    such chain is told in the log, and another one waited for.

    Raises:
        BadCertificate: It refuses, or gives a chain that has ended or is for another key.
        OSError: It cannot be reached, or takes too long.

    """
    if source.url is not None:
        return _taken(key, await _post(source.url, source.ca, request))
    if source.request is None or source.answer is None:
        raise BadCertificate("csr: found neither url nor request and answer")
    # An old chain would be taken for the answer.
    source.answer.unlink(missing_ok=True)
    _place(source.request, request)
    _log.info("%s: a chain for %s is waited for", source.answer, source.request)
    return await _answered(source.answer, key)


async def _answered(answer: Path, key: TlsKey) -> Credentials:
    """Wait for a file with a chain; each other one is told once."""
    last = told = ""
    while True:
        try:
            return _taken(key, read_chain(answer))
        except FileNotFoundError:
            last = told = ""
        except (BadCertificate, OSError) as error:
            fault = str(error)
            # A chain that is half written is none yet: the next look finds the whole.
            if fault == last != told:
                _log.warning("%s: %s; another one is waited for", answer, fault)
                told = fault
            last = fault
        await asyncio.sleep(LOOK_SECONDS)


def _taken(key: TlsKey, chain: bytes) -> Credentials:
    credentials = key.with_chain(chain)
    if credentials.not_after <= time.time():
        ended = datetime.fromtimestamp(credentials.not_after, UTC)
        raise BadCertificate(f"chain: its first certificate ended at {ended:%Y-%m-%dT%H:%M:%SZ}")
    return credentials


def _place(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees a half of it."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    half.write_bytes(data)
    half.replace(path)


async def _post(url: str, ca: Path | None, request: bytes) -> bytes:
    posted = Request(url, request, "application/pkcs10", ca)
    try:
        answer = await fetch(posted, Bounds(HTTP_SECONDS, MAX_CHAIN_BYTES))
    except BadAnswer as error:
        raise BadCertificate(str(error)) from error
    if answer.status != _OK:
        raise BadCertificate(f"{url}: found status {answer.status}, expected {_OK}")
    return answer.content
