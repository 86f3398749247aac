"""Keys and certificates for tests of the agent."""

import time
from types import MappingProxyType

from attestation import Evidence
from l4proxy.agent.certificates import Credentials, SelfSigned, TlsKey, obtain_key
from tests.l4proxy.agent.parts import NAME

EVIDENCE = Evidence("simulated", b"document", MappingProxyType({}))


def made_key() -> TlsKey:
    """A key made here."""
    return obtain_key(SelfSigned((NAME,)))


def credentials(key: TlsKey | None = None) -> Credentials:
    """A certificate signed by itself, for an hour."""
    now = time.time()
    return (key or made_key()).self_signed((NAME,), EVIDENCE, (now, now + 3600))
