"""Ownership: does the certificate's chain end at the authority that the policy names?

Measurements say what runs; only a certificate says whose it is. cryptography's verifier walks the
chain by RFC 5280 §6, at a time that is handed to it; of the web's rules only those are kept that an
operator's own authority meets too.
"""

from datetime import UTC, datetime
from math import inf
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from attestation.checks import Check, failed, not_made, passed
from attestation.errors import MalformedEvidence
from attestation.expectation import Expectation
from attestation.policy import OwnershipDemand
from attestation.x509 import load_certificate

OWNERSHIP: Final = "ownership"

MAX_CHAIN: Final = 8
"""Certificates that may come with a server's own: public chains have 1 to 3."""

MAX_CHAIN_BYTES: Final = 256 * 1024
"""Bytes of them all: TLS stacks take about 100 KiB of certificates."""


class Owned(NamedTuple):
    """Whether the owner is the one that was named, and until when the chain says so."""

    check: Check
    valid_until: float = inf


def check_ownership(demand: OwnershipDemand, expectation: Expectation, now: float) -> Owned:
    """Return whether the connection's certificate is for that name and from that authority.

    Args:
        demand: The authority and the name.
        expectation: The certificate and those that came with it.
        now: Seconds since the epoch, UTC.

    """
    if expectation.certificate is None:
        return Owned(not_made(OWNERSHIP, "no certificate to look at"))
    presented = (expectation.certificate, *expectation.chain)
    if len(presented) > MAX_CHAIN or sum(map(len, presented)) > MAX_CHAIN_BYTES:
        expected = f"at most {MAX_CHAIN} of 256 KiB in all"
        return Owned(failed(OWNERSHIP, f"{len(presented)} certificates", expected))
    if not _is_for(expectation.certificate, expectation.spki):
        found = "a certificate that is not that of the key"
        return Owned(failed(OWNERSHIP, found, "the connection's own"))
    try:
        leaf, *others = [x509.load_der_x509_certificate(encoded) for encoded in presented]
        authority = x509.load_der_x509_certificate(demand.ca)
        verifier = (
            PolicyBuilder()
            .store(Store([authority]))
            .time(datetime.fromtimestamp(now, UTC))
            .max_chain_depth(MAX_CHAIN)
            .extension_policies(ca_policy=_authorities(), ee_policy=_servers())
            .build_server_verifier(x509.DNSName(demand.name))
        )
        chain = verifier.verify(leaf, others)
    except (VerificationError, ValueError, OverflowError, OSError, TypeError) as error:
        expected = f"{demand.name} from the named authority"
        # The text may quote names in hostile certificates.
        return Owned(failed(OWNERSHIP, ascii(str(error))[1:-1][:200], expected))
    until = min(certificate.not_valid_after_utc for certificate in chain)
    return Owned(passed(OWNERSHIP, demand.name), until.timestamp())


def _is_for(certificate: bytes, spki: bytes | None) -> bool:
    """Say whether the owner's certificate is that of the key that evidence is bound to."""
    try:
        return spki in {None, load_certificate(certificate).spki}
    except MalformedEvidence:
        return False


def _authorities() -> ExtensionPolicy:
    """The verifier itself asks that cA be asserted, and counts path lengths."""
    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _vouches_for_servers)
    )


def _servers() -> ExtensionPolicy:
    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _serves)
    )


def _signs_certificates(_: Policy, __: x509.Certificate, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _vouches_for_servers(
    _: Policy, __: x509.Certificate, found: x509.ExtendedKeyUsage | None
) -> None:
    """An authority for people's mail or for clients alone names no server."""
    for_servers = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if found is not None and for_servers.isdisjoint(found):
        raise ValueError("an issuer is not for servers")


def _serves(_: Policy, __: x509.Certificate, found: x509.ExtendedKeyUsage | None) -> None:
    if found is not None and ExtendedKeyUsageOID.SERVER_AUTH not in found:
        raise ValueError("the certificate is not for servers")
