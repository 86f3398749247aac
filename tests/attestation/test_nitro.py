"""Nitro: what genuine documents do is accepted, and claims are what it says."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from attestation.checks import Outcome, first_failure
from attestation.claims import Claims
from attestation.errors import PolicyError
from attestation.evidence import EvidenceKind
from attestation.nitro import MAX_CLOCK_SKEW, MAX_DOCUMENT_BYTES, Nitro
from tests.attestation.nitro_documents import (
    GOOD,
    HOUR,
    INSTANCE,
    NOW,
    ORDER,
    PCRS,
    H,
    evidence,
    indefinite,
    parts,
    verify,
    with_signature,
    without,
)
from tests.fuzz.mutations import mutations

KIND = H.kind


def accepted(document: bytes, now: float = NOW) -> Claims:
    """Return the claims of a document that must be genuine."""
    verified = verify(document, now)
    assert first_failure(verified.checks) is None
    assert verified.claims is not None
    return verified.claims


@pytest.mark.parametrize(
    "document",
    [
        with_signature(lambda s: s[:95] + bytes([s[95] ^ 1])),
        H.sign(cbor2.dumps(H.fields()), key=ec.generate_private_key(ec.SECP384R1())),
        cbor2.dumps([*parts()[:2], cbor2.dumps(H.fields(nonce=b"other")), parts()[3]]),
    ],
    ids=["a bit of it", "another key's", "another payload's"],
)
def test_a_signature_of_something_else_is_refused(document: bytes) -> None:
    """A signature holds only for these bytes and the last certificate's key."""
    verified = verify(document)
    assert verified.claims is None
    assert verified.checks[-1].found == "COSE: the signature is not the signer's"


ACCEPTED = {
    "tag 18": b"\xd2" + GOOD,
    "indefinite map": H.sign(indefinite(H.fields())),
    "the other of two equal signatures": with_signature(
        lambda s: s[:48] + (ORDER - int.from_bytes(s[48:])).to_bytes(48)
    ),
    "unknown fields": H.document(boot_count=3, more={"a": [1, None, True, "text"]}),
    "optional fields null": H.document(user_data=None, nonce=None, public_key=None),
    "optional fields left out": without("user_data", "nonce", "public_key"),
    "the largest fields": H.document(
        user_data=bytes(512), nonce=bytes(512), public_key=bytes(1024)
    ),
    "as far from the future as clocks differ": H.document(timestamp=(NOW + MAX_CLOCK_SKEW) * 1000),
}


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_genuine_documents_do_is_accepted(document: bytes) -> None:
    """The forms that genuine documents have, or may have, are no fault."""
    accepted(document)


def test_claims_are_those_of_the_document() -> None:
    """Each claim is a field of the document, as it stands there."""
    pcrs = {**{index: bytes(48) for index in range(32)}, **PCRS, 16: b"m" * 48}
    claims = accepted(H.document(pcrs=pcrs, public_key=b"", user_data=b"data", nonce=None))
    assert claims.kind == "nitro"
    assert claims.measurements == {f"pcr{index}": pcr for index, pcr in pcrs.items()}
    assert (claims.bound_data, claims.nonce, claims.public_key) == (b"data", None, b"")
    assert (claims.signed_at, claims.valid_until) == (NOW, NOW + HOUR)
    assert claims.chip_id == INSTANCE.encode()
    assert claims.manifest_register == b"m" * 48
    assert (claims.debug, claims.simulated) == (False, False)


def test_what_is_not_there_is_not_claimed() -> None:
    """A register of zeros holds no manifest, and no user data is nothing bound."""
    claims = accepted(H.document(user_data=None, pcrs={**PCRS, 16: bytes(48)}))
    assert claims.manifest_register is None
    assert claims.bound_data == b""


@pytest.mark.parametrize("zeros", [{0}, {1}, {2}, {0, 1, 2}])
def test_zeros_in_a_register_of_the_image_are_debug(zeros: set[int]) -> None:
    """Debug is one of PCR0 to PCR2 zero, though the instance's register is not."""
    pcrs = {**PCRS, 4: b"i" * 48, **dict.fromkeys(zeros, bytes(48))}
    assert accepted(H.document(pcrs=pcrs)).debug


@pytest.mark.parametrize("now", [NOW - HOUR, NOW + HOUR])
def test_both_ends_of_a_certificate_belong_to_it(now: int) -> None:
    """The first and the last second are inside, one second more is not."""
    document = H.document(timestamp=(NOW - HOUR) * 1000)
    accepted(document, now)
    outside = now + (1 if now > NOW else -1)
    assert verify(document, outside).checks[-1].name == "certificate_validity"


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_is_days_off_refuses(days: int) -> None:
    """A document lives hours: a wrong clock admits nothing."""
    assert verify(GOOD, NOW + days * 24 * HOUR).claims is None


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf")])
def test_no_time_at_all_refuses(now: float) -> None:
    """A clock that gives no number admits nothing, and raises nothing."""
    assert verify(GOOD, now).claims is None


def test_another_partition_is_trusted_only_by_name() -> None:
    """A root that is not pinned is refused, and accepted where its fingerprint is handed in."""
    assert Nitro().verify(evidence(GOOD), NOW).claims is None
    assert KIND.verify(evidence(GOOD), NOW).claims is not None


@given(mutations([GOOD]))
def test_changed_documents_never_raise(document: bytes) -> None:
    """A document with bytes changed, cut out or put in is refused, never an exception."""
    assert document == GOOD or verify(document).claims is None


@given(mutations([cbor2.dumps(H.fields())]))
def test_changed_payloads_never_raise(payload: bytes) -> None:
    """Neither does a payload, its certificates included, that is changed and then signed."""
    verified = verify(H.sign(payload))
    assert (verified.claims is None) is (first_failure(verified.checks) is not None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from([*H.fields()]), VALUES)
def test_fields_of_any_type_never_raise(name: str, value: object) -> None:
    """A field may hold whatever CBOR can say."""
    verified = verify(H.document(**{name: value}))
    assert (verified.claims is None) is (first_failure(verified.checks) is not None)


@given(st.binary(max_size=64))
def test_noise_never_raises(noise: bytes) -> None:
    """Bytes that nobody signed are refused."""
    assert verify(noise).claims is None


PIN = "01" * 48
ZEROS = "00" * 48


@pytest.mark.parametrize("index", [0, "0"])
def test_a_set_pins_registers(index: int | str) -> None:
    """Registers are numbers, or the same as text; each is a check of its own."""
    demands = KIND.demands({"pcrs": {index: PIN, 3: "07" * 48}}, ("accept", 0, "nitro"))
    assert (demands.kind, demands.allows_debug_values) == ("nitro", False)
    checks = demands.appraise(accepted(H.document(pcrs=PCRS)))
    assert [(check.name, check.outcome) for check in checks] == [
        ("pcr0", Outcome.PASSED),
        ("pcr3", Outcome.FAILED),
    ]
    assert (checks[1].found, checks[1].expected) == ("none", "07" * 48)


@pytest.mark.parametrize(("pcr", "allows"), [(PIN, False), (ZEROS, True)])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_set_of_zeros_says_so(index: int, pcr: str, allows: bool) -> None:
    """Zeros in a register of the image are what every debug enclave has."""
    demands = KIND.demands({"pcrs": {0: PIN, index: pcr}}, ())
    assert demands.allows_debug_values is allows


def test_a_set_may_want_no_measurement_if_it_says_so() -> None:
    """The word `insecure_any_measurement` lets a set pin nothing, which then stands in results."""
    demands = KIND.demands({"insecure_any_measurement": True}, ())
    (check,) = demands.appraise(accepted(GOOD))
    assert str(check) == "any_measurement: passed"


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        {"pcrs": None},
        {"pcrs": {}},
        {"pcrs": [PIN]},
        {"pcrs": {0: PIN, "0": PIN}},
        {"pcrs": {32: PIN}},
        {"pcrs": {"00": PIN}},
        {"pcrs": {True: PIN}},
        {"pcrs": {0: PIN[2:]}},
        {"pcrs": {0: PIN[:-1] + "x"}},
        {"pcrs": {0: 1}},
        {"pcrs": {1: PIN}},
        {"pcrs": {3: PIN, 4: PIN, 16: PIN}},
        {"pcrs": {8: ZEROS}},
        {"pcr": {0: PIN}},
        {"pcrs": {0: PIN}, "product": "Milan"},
        {"pcrs": {0: PIN}, "insecure_any_measurement": "yes"},
    ],
)
def test_a_set_that_pins_no_code_is_an_error(found: object) -> None:
    """A set in another shape, or one that any code would meet, is the operator's mistake."""
    with pytest.raises(PolicyError) as caught:
        KIND.demands(found, ("accept", 0, "nitro"))
    assert caught.value.path[:3] == ("accept", 0, "nitro")


def test_it_is_a_kind() -> None:
    """It has all that a kind of evidence has."""
    kind: EvidenceKind = Nitro()
    assert (kind.name, kind.signs_time, kind.limit) == ("nitro", True, MAX_DOCUMENT_BYTES)
