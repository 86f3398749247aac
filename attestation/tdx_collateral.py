"""Intel's word on a platform's security version: TCB info, QE identity and revocation lists.

The judgement is dcap-qvl's, an optional extra. Without it, or without collateral, it is not made.
Collateral is the JSON that dcap-qvl reads: the texts of Intel's service, signatures and lists in
hexadecimal; issuer chains in PEM.
"""

import importlib
import json
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from attestation.checks import Check, failed, not_made, passed

COLLATERAL: Final = "collateral"
"""The endorsement that holds the collateral."""

COLLATERAL_BYTES: Final = 64 * 1024
"""Most bytes of collateral: genuine ones have 16,000 to 21,000."""

TCB: Final = "tcb"
"""The name of the check: does the collateral know the platform, and what does it say?"""

VALIDITY: Final = "collateral_validity"
"""The name of the check when it fails for the time alone: newer collateral may mend it."""

_LIBRARY = "dcap_qvl"
# What dcap-qvl refuses for the guest's own attributes, whatever the platform: a policy may allow
# them, so that the refusal is no word on the platform.
_NOT_OF_THE_PLATFORM = (
    "Debug mode is enabled",
    "SEPT_VE_DISABLE is not enabled",
    "TD migration is enabled",
)
_OF_ANOTHER_TIME = ("expired", "in the future")
_LONGEST_WORDS = 160


@dataclass(frozen=True, slots=True)
class TcbJudgement:
    """What Intel's collateral says of a quote's platform.

    Attributes:
        check: Whether the collateral could be used, and knows the platform.
        status: Intel's word, as `UpToDate`; None unless the check passed.
        advisories: Intel's advisories that apply, as `INTEL-SA-01036`.
        valid_until: When the collateral's first part ends, seconds since the epoch, UTC.

    """

    check: Check
    status: str | None = None
    advisories: tuple[str, ...] = ()
    valid_until: float = math.inf


def judge_tcb(quote: bytes, root: bytes, collateral: bytes | None, now: float) -> TcbJudgement:
    """Return what collateral says of the platform that made a quote.

    Args:
        quote: A quote whose signatures hold, without bytes after its end.
        root: The root certificate that it chains to, DER, known to be pinned.
        collateral: What came with it; None where nothing came.
        now: Seconds since the epoch, UTC.

    """
    if collateral is None:
        return TcbJudgement(not_made(TCB, "no collateral came with the quote"))
    if len(collateral) > COLLATERAL_BYTES:
        found = f"collateral of {len(collateral)} bytes"
        return TcbJudgement(failed(TCB, found, f"at most {COLLATERAL_BYTES}"))
    library = _library()
    if library is None:
        return TcbJudgement(
            not_made(TCB, "dcap-qvl is not installed; the extra is called tdx: l4proxy[tdx]")
        )
    return _judge(library, quote, root, collateral, int(now))


def _library() -> ModuleType | None:
    try:
        return importlib.import_module(_LIBRARY)
    except ImportError:
        return None


def _judge(
    library: ModuleType, quote: bytes, root: bytes, collateral: bytes, now: int
) -> TcbJudgement:
    try:
        claims = library.QuoteVerifier(root).verify_with_policy(
            quote,
            library.QuoteCollateralV3.from_json(collateral.decode()),
            now,
            library.QuotePolicy.claims_only(now),
        )
        return _read(json.loads(claims.to_json()))
    except BaseException as error:
        # A panic in Rust is no Exception; nothing but a panic may be taken for one.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        return TcbJudgement(_refusal(error))


def _read(claims: object) -> TcbJudgement:
    """Return what dcap-qvl's claims say; KeyError or TypeError where they say it otherwise."""
    match claims:
        case {
            "tcb": {"status": str(status), "advisory_ids": list(advisories)},
            "earliest_expiration_date": int(ends),
            "qe_iden_earliest_expiration_date": int(identity_ends),
        }:
            return TcbJudgement(
                passed(TCB, status),
                status,
                tuple(map(str, advisories)),
                float(min(ends, identity_ends)),
            )
        case _:
            return TcbJudgement(failed(TCB, "claims in another form", "those of dcap-qvl 0.7"))


def _refusal(error: BaseException) -> Check:
    words = ascii(str(error).removeprefix("Verification failed: "))[1:-1][:_LONGEST_WORDS]
    if words in _NOT_OF_THE_PLATFORM:
        return not_made(TCB, f"dcap-qvl judges no such guest: {words}")
    if any(word in words.lower() for word in _OF_ANOTHER_TIME):
        return failed(VALIDITY, words, "collateral that is current")
    return failed(TCB, words or type(error).__name__, "collateral that knows this platform")
