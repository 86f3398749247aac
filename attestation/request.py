"""What the program in an enclave asks its TEE to sign: the other side of statement and binding."""

from typing import NamedTuple

from attestation.agent_claims import AgentClaims
from attestation.claims_buffer import build_claims_buffer
from attestation.statement import report_data


class Request(NamedTuple):
    """What goes into the TEE, and what must travel beside the evidence that comes out.

    Attributes:
        bound_data: User data (Nitro) or the 64 bytes of report data.
        nonce: For the document's own nonce field; None where there is none, or nothing to say.
        claims_buffer: Travels beside, where the TEE signs its digest alone.
        agent_claims: Travels beside.

    """

    bound_data: bytes
    nonce: bytes | None
    claims_buffer: bytes | None
    agent_claims: bytes


def in_user_data(spki: bytes, agent: AgentClaims, nonce: bytes | None = None) -> Request:
    """Return the request to a TEE that signs a few hundred bytes and a nonce: Nitro.

    Args:
        spki: The TLS key, as it stands in the certificate.
        agent: What the agent states.
        nonce: The verifier's.

    """
    claims = agent.encode()
    return Request(build_claims_buffer(spki, agent_claims=claims), nonce, None, claims)


def in_report_data(spki: bytes, agent: AgentClaims, nonce: bytes | None = None) -> Request:
    """Return the request to a TEE that signs 64 bytes: SEV-SNP, TDX."""
    claims = agent.encode()
    buffer = build_claims_buffer(spki, nonce=nonce, agent_claims=claims)
    return Request(report_data(buffer), None, buffer, claims)


def for_connection(spki: bytes, agent: AgentClaims, exporter: bytes) -> Request:
    """Return the request that binds to one connection, the same for every TEE.

    Args:
        spki: The TLS key, as it stands in the certificate.
        agent: What the agent states.
        exporter: The connection's exporter value, 32 bytes, taken inside the enclave.

    """
    claims = agent.encode()
    buffer = build_claims_buffer(spki, agent_claims=claims)
    return Request(report_data(buffer, exporter), None, buffer, claims)
