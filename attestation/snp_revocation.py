"""AMD's revocation list: whether the CA between root and endorsement key has been withdrawn.

The root (ARK) signs one list for each product, in the form of RFC 5280 §5.1. A VCEK has no serial
number of its own, so a chip is refused by an allow-list of chips, never by this list.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA384

from attestation import der
from attestation.checks import Check, failed, not_made, passed, unreadable
from attestation.der import Element, Fields, Tag
from attestation.errors import MalformedEvidence
from attestation.x509 import Certificate, load_public_key

REVOCATION = "revocation"
"""The name of the check."""


class Revocation(NamedTuple):
    """What a list says: the check, and until when it says it (seconds since the epoch, UTC)."""

    check: Check
    valid_until: float


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list as it stands.

    Attributes:
        tbs: What is signed: tag, length and content.
        issuer: The issuer's name, as DER.
        this_update: When it was issued, seconds since the epoch, UTC.
        next_update: When its successor is due.
        serials: The certificates that it revokes.
        signature: RSASSA-PSS by the issuer.

    """

    tbs: bytes
    issuer: bytes
    this_update: float
    next_update: float
    serials: frozenset[int]
    signature: bytes


def load_list(encoded: bytes) -> RevocationList:
    """Return the list that DER bytes are; nothing of it is trusted yet.

    Raises:
        MalformedEvidence: They are none, name no next update, or demand more than is read here.
    """
    outer = Fields(der.read_only(encoded, Tag.SEQUENCE, "revocation list"), "revocation list")
    tbs, algorithm = outer.take(Tag.SEQUENCE), outer.take(Tag.SEQUENCE)
    signature = der.bits(outer.take(Tag.BIT_STRING))
    outer.end()
    inner = Fields(tbs, "TBSCertList")
    inner.take_if(Tag.INTEGER)
    if inner.take(Tag.SEQUENCE).encoded != algorithm.encoded:
        raise MalformedEvidence("revocation list of two signature algorithms, expected one")
    issuer = inner.take(Tag.SEQUENCE)
    # A list that names no successor would be good for ever.
    times = der.seconds(inner.take()), der.seconds(inner.take(Tag.UTC_TIME, Tag.GENERALIZED_TIME))
    revoked, extensions = inner.take_if(Tag.SEQUENCE), inner.take_if(Tag.CONTEXT_0)
    inner.end()
    _refuse_critical(extensions)
    rows = der.elements(revoked.content) if revoked else ()
    serials = (der.integer(Fields(row, "revoked certificate").take(Tag.INTEGER)) for row in rows)
    return RevocationList(tbs.encoded, issuer.encoded, *times, frozenset(serials), signature)


def _refuse_critical(extensions: Element | None) -> None:
    """A critical extension changes what the list says: only the user keys, only the changes."""
    if extensions is None:
        return
    for row in der.elements(der.read_only(extensions.content, Tag.SEQUENCE, "Extensions").content):
        fields = Fields(row, "Extension")
        name = der.object_identifier(fields.take(Tag.OBJECT_IDENTIFIER))
        critical = fields.take_if(Tag.BOOLEAN)
        if critical and der.boolean(critical):
            raise MalformedEvidence(f"revocation list with {name} critical, expected none")


def check_revocation(encoded: bytes | None, chain: Sequence[Certificate], now: float) -> Revocation:
    """Return whether a chain (root first, and known to hold) is free of revoked certificates.

    Args:
        encoded: The root's list, DER; None where none came, and then the check is not made.
        chain: Root, CA, endorsement key.
        now: Seconds since the epoch, UTC.

    """
    if encoded is None:
        return Revocation(not_made(REVOCATION, "no revocation list came with it"), math.inf)
    try:
        found = load_list(encoded)
    except MalformedEvidence as error:
        return Revocation(unreadable(REVOCATION, error, "a revocation list in DER"), now)
    return Revocation(_judge(found, chain, now), found.next_update)


def _judge(found: RevocationList, chain: Sequence[Certificate], now: float) -> Check:
    if not _is_signed(found, chain[0]):
        return failed(REVOCATION, "a list that the root did not sign", "the root's own list")
    if now < found.this_update:
        return failed(REVOCATION, "a list not yet issued", "a list that is current")
    if now > found.next_update:
        return failed(REVOCATION, "a list that has expired", "a list that is current")
    if chain[1].serial in found.serials:
        return failed(REVOCATION, "the endorsement key's issuer is revoked", "one that is not")
    return passed(REVOCATION)


def _is_signed(found: RevocationList, root: Certificate) -> bool:
    if found.issuer != root.subject:
        return False
    try:
        key = load_public_key(root.spki)
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        pss = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
        key.verify(found.signature, found.tbs, pss, SHA384())
    except (InvalidSignature, MalformedEvidence):
        return False
    return True
