"""Certificates come, and come again before they or the evidence in them end."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from attestation import Evidence, MalformedEvidence, built_in_kinds, read_certificate
from attestation.policy import Binding
from attestation.x509 import split_pem
from l4proxy.agent import parent
from l4proxy.agent.certificates import (
    MAX_CHAIN,
    BadCertificate,
    Credentials,
    Csr,
    SelfSigned,
    Source,
    TlsKey,
    obtain_key,
)
from l4proxy.agent.quotes import Quotes
from l4proxy.agent.trouble import Trouble

DAY: Final = 86_400.0
"""Seconds that a self-signed certificate lives whose evidence has no end of its own."""

RETRY_SECONDS: Final = 30.0
"""Seconds until a renewal that failed is tried again, and a file read again that is the same."""

SHORTEST_SECONDS: Final = 1.0
"""Seconds between two renewals at the least: an authority that gives less is not worn out."""

_KINDS = {kind.name: kind for kind in built_in_kinds()}

_log = logging.getLogger(__name__)

Install = Callable[[Credentials], Awaitable[None]]


class Issuer(NamedTuple):
    """What certificates are made from.

    Attributes:
        source: The way.
        key: The TLS key, which stays.
        quotes: Where evidence comes from.

    """

    source: Source
    key: TlsKey
    quotes: Quotes

    async def issue(self) -> Credentials:
        """Return fresh credentials.

        Raises:
            BadCertificate: The authority, or the file, gives none for this key.
            TeeError: The TEE gives no evidence.
            OSError: The authority cannot be reached, or a file cannot be read.

        """
        source = self.source
        if isinstance(source, SelfSigned):
            evidence = await self.quotes.for_certificate()
            now = time.time()
            return self.key.self_signed(source.names, evidence, (now, end_of(evidence, now)))
        if isinstance(source, Csr):
            evidence = await self.quotes.for_certificate()
            return await parent.ask(source, self.key, self.key.request(source.names, evidence))
        given = obtain_key(source)
        if given.spki != self.key.spki or given.given is None:
            raise BadCertificate("another key was given: restart the agent to use it")
        return given.given


def end_of(evidence: Evidence, now: float) -> float:
    """Return when evidence ends, as its own signers say; a day from now if they do not.

    Args:
        evidence: Our own.
        now: Seconds since the epoch, UTC.

    """
    kind = _KINDS.get(evidence.kind)
    claims = None if kind is None else kind.verify(evidence, now).claims
    return now + DAY if claims is None else min(claims.valid_until, now + DAY)


def delay(credentials: Credentials, renew: float, now: float) -> float:
    """Return the seconds until credentials shall be renewed: half of what is left.

    Args:
        credentials: Those in use.
        renew: Most seconds, if there is evidence in the certificate.
        now: Seconds since the epoch, UTC.

    """
    end, most = credentials.not_after, float("inf")
    leaf = split_pem(credentials.chain, MAX_CHAIN)[0]
    try:
        evidence = read_certificate(leaf, Binding.CLAIMS_BUFFER).evidence
    except MalformedEvidence:
        evidence = None
    if evidence is not None:
        end, most = min(end, end_of(evidence, now)), renew
    return max(min((end - now) / 2, most), SHORTEST_SECONDS)


async def keep_fresh(
    issuer: Issuer, install: Install, credentials: Credentials, renew: float
) -> None:
    """Renew for ever; what cannot be renewed is tried again, and stays in use meanwhile.

    Args:
        issuer: Makes new ones.
        install: Puts them to use.
        credentials: Those in use.
        renew: Most seconds that evidence in a certificate is used.

    """
    ended = Trouble("certificate")
    wait = delay(credentials, renew, time.time())
    while True:
        if credentials.not_after <= time.time():
            ended.told(OSError("its time is over, and clients that look will refuse it"))
        await asyncio.sleep(wait)
        try:
            renewed = await issuer.issue()
            if renewed == credentials:
                # A file that nobody has replaced yet: there is nothing to put to use.
                wait = max(RETRY_SECONDS, delay(credentials, renew, time.time()))
                continue
            await install(renewed)
        except (OSError, ValueError) as error:
            _log.warning("certificate: cannot be renewed: %s", error)
            wait = min(2 * wait, RETRY_SECONDS)
        else:
            _log.info("certificate: renewed")
            credentials = renewed
            ended.over()
            wait = delay(credentials, renew, time.time())
