"""Binding: is the evidence for this key, for this connection, for this question?

A nonce alone ties evidence to a question, a key alone to whoever holds that key; only the exporter
ties it to the connection on which it came (CVE-2026-33697). Every comparison takes the same time
whatever it finds.
"""

import hashlib
import hmac
from typing import Final

from attestation.checks import Check, failed, not_made, passed
from attestation.claims import Claims
from attestation.expectation import EXPORTER, Expectation
from attestation.policy import Binding, FreshnessMode, Policy
from attestation.statement import REPORT_DATA, Statement, report_data

KEY: Final = "key_binding"
EXPORTER_CHECK: Final = "exporter"
NONCE: Final = "nonce"
BOUND_DATA: Final = "bound_data"
PUBLIC_KEY: Final = "public_key"

_SHA256_MULTIHASH = b"\x12\x20"
_NITRIDING = 2 * (len(_SHA256_MULTIHASH) + 32)
_SHOWN = 32


def bind(
    claims: Claims, statement: Statement, policy: Policy, expectation: Expectation
) -> tuple[Check, ...]:
    """Return a check for each thing that evidence can be bound to, made or not made."""
    by_exporter = bound_by_exporter(policy, expectation)
    checks = [_key(claims, statement, policy, expectation)]
    if by_exporter or policy.freshness.mode is FreshnessMode.EXPORTER:
        checks.append(_exporter(claims, expectation.exporter))
    if expectation.nonce is not None or policy.freshness.mode is FreshnessMode.NONCE:
        checks.append(_nonce(claims, statement, expectation.nonce))
    if expectation.bound_data is not None:
        checks.append(_equal(BOUND_DATA, claims.bound_data, expectation.bound_data))
    if expectation.public_key is not None:
        checks.append(_equal(PUBLIC_KEY, claims.public_key, expectation.public_key))
    return tuple(checks)


def bound_by_exporter(policy: Policy, expectation: Expectation) -> bool:
    """Say whether the signed bytes must have the form that ends in an exporter."""
    asked = expectation.live or "freshness" in policy.named or expectation.exporter is not None
    return policy.freshness.mode is FreshnessMode.EXPORTER and asked


def _key(claims: Claims, statement: Statement, policy: Policy, expectation: Expectation) -> Check:
    spki, bound, binding = expectation.spki, claims.bound_data, policy.binding
    if spki is None:
        return not_made(KEY, "no key to compare with")
    if binding is Binding.NITRIDING:
        return _nitriding(bound, expectation.certificate)
    if statement.buffer is not None:
        if statement.buffer.is_for(spki):
            return passed(KEY, _fingerprint(spki))
        return failed(KEY, f"key {statement.buffer.key_digest.hex()}", _fingerprint(spki))
    if binding is Binding.EVERVAULT:
        return _equal(KEY, bound, spki)
    if binding is Binding.DSTACK:
        return _equal(KEY, bound, hashlib.sha512(b"ratls-cert:" + spki).digest())
    if bound_by_exporter(policy, expectation):
        # The exporter behind it is compared apart.
        return _equal(KEY, bound, report_data(spki, bound[-EXPORTER:]))
    digest = hashlib.sha256(spki).digest()
    return _equal(KEY, bound, digest if len(bound) == len(digest) else report_data(spki))


def _nitriding(bound: bytes, certificate: bytes | None) -> Check:
    """Two multihashes: of the certificate, and of an application's key."""
    if certificate is None:
        return not_made(KEY, "no certificate to compare with")
    if len(bound) != _NITRIDING:
        return failed(KEY, f"{len(bound)} bytes", f"{_NITRIDING}: two SHA-256 multihashes")
    expected = _SHA256_MULTIHASH + hashlib.sha256(certificate).digest()
    return _equal(KEY, bound[: len(expected)], expected)


def _exporter(claims: Claims, exporter: bytes | None) -> Check:
    name, bound = EXPORTER_CHECK, claims.bound_data
    if exporter is None or len(exporter) != EXPORTER or not any(exporter):
        return not_made(name, "this connection has no exporter value (TLS 1.3 has)")
    if len(bound) != REPORT_DATA:
        return failed(name, f"{len(bound)} bytes", f"{REPORT_DATA}: a digest and the exporter")
    return _equal(name, bound[-EXPORTER:], exporter)


def _nonce(claims: Claims, statement: Statement, nonce: bytes | None) -> Check:
    """Every nonce that is signed, in the document's own field or the claims, must be the one."""
    if not nonce:
        return not_made(NONCE, "no nonce was asked for")
    buffer = statement.buffer
    signed = [one for one in (claims.nonce, buffer.nonce if buffer else None) if one is not None]
    if not signed:
        return failed(NONCE, "no nonce", nonce.hex()[: 2 * _SHOWN])
    checks = [_equal(NONCE, one, nonce) for one in signed]
    return next((check for check in checks if check.expected), checks[0])


def _equal(name: str, found: bytes | None, expected: bytes) -> Check:
    if found is None:
        return failed(name, "nothing", _shown(expected))
    if hmac.compare_digest(found, expected):
        return passed(name)
    return failed(name, _shown(found), _shown(expected))


def _shown(data: bytes) -> str:
    return f"{len(data)} bytes {data[:_SHOWN].hex()}".strip()


def _fingerprint(spki: bytes) -> str:
    return f"key {hashlib.sha256(spki).hexdigest()}"
