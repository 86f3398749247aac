"""A chain of certificates, walked from a pinned root down to the key that signed evidence.

Each question of RFC 5280 §6.1 that the vendors' chains put is one check, in the order in which they
depend on each other. Time comes last: "expired" is only said of a chain that is genuine.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from attestation.checks import Check, Outcome, failed, passed
from attestation.x509 import (
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    Certificate,
    KeyUsage,
    SignatureAlgorithm,
    signed,
)

MAX_CERTIFICATES: Final = 8
"""Certificates of a chain, the root included: Nitro's has 5, the others' 3. Each costs a check."""

# What a chain's certificate may demand to be understood: the two that are.
_UNDERSTOOD = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What one vendor's chains must be.

    Attributes:
        roots: SHA-256 of the DER of each root that is trusted: 32 bytes each.
        algorithms: How certificates below the root may be signed.
        leaf_usage: What the last certificate's key usage must allow; None where the vendor's last
            certificate has no such extension, and it may then be absent.

    """

    roots: frozenset[bytes]
    algorithms: frozenset[SignatureAlgorithm]
    leaf_usage: KeyUsage | None = None


def walk(chain: Sequence[Certificate], now: float, rules: ChainRules) -> tuple[Check, ...]:
    """Return the checks of a chain up to the first that failed; it holds if none did.

    Args:
        chain: The root first, the certificate that signs evidence last.
        now: The time at which it must hold, seconds since the epoch, UTC.
        rules: What it must be.

    """
    questions: tuple[Callable[[], Check], ...] = (
        lambda: _length(chain),
        lambda: _root(chain, rules),
        lambda: _names(chain),
        lambda: _authorities(chain),
        lambda: _path_lengths(chain),
        lambda: _leaf(chain[-1], rules),
        lambda: _extensions(chain),
        lambda: _signatures(chain, rules),
        lambda: _validity(chain, now),
    )
    checks: list[Check] = []
    for question in questions:
        checks.append(question())
        if checks[-1].outcome is Outcome.FAILED:
            break
    return tuple(checks)


def holds(checks: Iterable[Check]) -> bool:
    """Say whether every check passed: one that was not made does not count as passed."""
    return all(check.outcome is Outcome.PASSED for check in checks)


def valid_until(chain: Iterable[Certificate]) -> float:
    """Return when the first of these certificates ends, seconds since the epoch, UTC."""
    return min(certificate.not_after for certificate in chain)


def _length(chain: Sequence[Certificate]) -> Check:
    name, size = "chain_length", len(chain)
    if 1 < size <= MAX_CERTIFICATES:
        return passed(name, str(size))
    return failed(name, f"{size} certificates", f"2 to {MAX_CERTIFICATES}")


def _root(chain: Sequence[Certificate], rules: ChainRules) -> Check:
    name, found = "chain_root", chain[0].fingerprint
    if found in rules.roots:
        return passed(name, found.hex())
    return failed(name, f"root {found.hex()}", "a pinned root")


def _names(chain: Sequence[Certificate]) -> Check:
    name = "chain_names"
    for depth, (issuer, child) in enumerate(pairwise(chain), 1):
        if child.issuer != issuer.subject:
            return failed(
                name, f"certificate {depth} names another issuer", "the one before it in the chain"
            )
    return passed(name)


def _authorities(chain: Sequence[Certificate]) -> Check:
    """Every certificate but the last may sign certificates, and says so critically."""
    name = "chain_authorities"
    for depth, certificate in enumerate(chain[:-1]):
        constraints, usage = certificate.basic_constraints, certificate.key_usage
        if constraints is None or not constraints.ca:
            return failed(name, f"certificate {depth} is no CA", "CA:TRUE in each issuer")
        if not certificate.extensions[BASIC_CONSTRAINTS].critical:
            return failed(name, f"certificate {depth} has it not critical", "critical constraints")
        if usage is None or KeyUsage.KEY_CERT_SIGN not in usage:
            return failed(name, f"certificate {depth} may not sign any", "keyCertSign in issuers")
    return passed(name)


def _path_lengths(chain: Sequence[Certificate]) -> Check:
    """No CA has more CAs below it than it allows (RFC 5280 §4.2.1.9)."""
    name = "chain_path_length"
    for depth, certificate in enumerate(chain[:-1]):
        below = len(chain) - 2 - depth
        constraints = certificate.basic_constraints
        allowed = constraints.path_length if constraints else None
        if allowed is not None and below > allowed:
            return failed(name, f"{below} CAs below certificate {depth}", f"at most {allowed}")
    return passed(name)


def _leaf(leaf: Certificate, rules: ChainRules) -> Check:
    """The last certificate signs evidence and never certificates."""
    name = "chain_leaf"
    constraints, usage = leaf.basic_constraints, leaf.key_usage
    if constraints and (constraints.ca or constraints.path_length is not None):
        return failed(name, "the last certificate is a CA", "CA:FALSE, no path length")
    if usage is None:
        if rules.leaf_usage is None:
            return passed(name)
        return failed(name, "the last certificate has no key usage", str(rules.leaf_usage.name))
    wanted = rules.leaf_usage or KeyUsage.DIGITAL_SIGNATURE
    if wanted not in usage:
        return failed(name, "the last certificate may not sign evidence", str(wanted.name))
    return passed(name)


def _extensions(chain: Sequence[Certificate]) -> Check:
    """Nothing critical is left unread (RFC 5280 §4.2)."""
    name = "chain_extensions"
    for depth, certificate in enumerate(chain):
        for identifier, extension in certificate.extensions.items():
            if extension.critical and identifier not in _UNDERSTOOD:
                return failed(
                    name,
                    f"certificate {depth} has {identifier} critical",
                    "only basic constraints and key usage",
                )
    return passed(name)


def _signatures(chain: Sequence[Certificate], rules: ChainRules) -> Check:
    """Each certificate is signed by the one before it; the root stands by its fingerprint."""
    name = "chain_signatures"
    for depth, (issuer, child) in enumerate(pairwise(chain), 1):
        if child.signature_algorithm not in rules.algorithms:
            algorithms = ", ".join(sorted(known.name for known in rules.algorithms))
            return failed(
                name, f"certificate {depth} is signed by {child.signature_algorithm}", algorithms
            )
        if not signed(issuer, child):
            return failed(
                name, f"certificate {depth} is not signed by the one before it", "its signature"
            )
    return passed(name)


def _validity(chain: Sequence[Certificate], now: float) -> Check:
    """Every certificate is valid at that time; both of its ends belong to it."""
    name = "certificate_validity"
    for depth, certificate in enumerate(chain):
        if certificate.not_before <= now <= certificate.not_after:
            continue
        if now < certificate.not_before:
            start = _moment(certificate.not_before)
            return failed(name, f"certificate {depth} not yet valid", f"a time from {start} on")
        end = _moment(certificate.not_after)
        return failed(name, f"certificate {depth} expired", f"a time until {end}")
    return passed(name, f"until {_moment(valid_until(chain))}")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
