"""Nitro: each fault of a document is refused, by its own name."""

from typing import NamedTuple

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier

from attestation.checks import Outcome
from attestation.nitro import MAX_CLOCK_SKEW, MAX_DOCUMENT_BYTES
from tests.attestation.nitro_documents import (
    GOOD,
    NAMES,
    NOW,
    ORDER,
    PCRS,
    H,
    Hypervisor,
    Wish,
    ca,
    indefinite,
    issue,
    issue_chain,
    parts,
    signer,
    verify,
    wishes,
    with_payload,
    with_signature,
    without,
)


class Mutant(NamedTuple):
    """A document with one fault: the check that must fail, and what it must say was found."""

    document: bytes
    check: str
    found: str


def form(document: bytes, found: str) -> Mutant:
    """Return a mutant that is refused before any signature is looked at."""
    return Mutant(document, "form", found)


def field(found: str, **changes: object) -> Mutant:
    """Return a mutant whose payload is signed, with a wrong field."""
    return form(H.document(**changes), found)


ENVELOPES = {
    "empty": form(b"", "COSE: premature end"),
    "over 24 KiB": Mutant(bytes(MAX_DOCUMENT_BYTES + 1), "document_size", "24577 bytes"),
    "1 MiB": Mutant(bytes(2**20), "document_size", "1048576 bytes"),
    "10,000 arrays deep": form(b"\x81" * 10_000 + b"\x00", "nesting depth"),
    "no CBOR": form(b"\xff", "break code"),
    "a number": form(b"\x05", "found int"),
    "another tag": form(b"\xd1" + GOOD, "a tag d1"),
    "a long tag": form(b"\xd8\x3d" + GOOD, "a tag d83d"),
    "tag 18 twice": form(b"\xd2\xd2" + GOOD, "semantic tag 18"),
    "five parts": form(cbor2.dumps([*parts(), 0]), "expected [bytes, map, bytes, bytes]"),
    "detached": form(cbor2.dumps([*parts()[:2], None, parts()[3]]), "expected [bytes, map"),
    "a byte behind": form(GOOD + b"\x00", "COSE: 1 bytes follow"),
    "cut short": form(GOOD[:-1], "COSE: premature end"),
    "indefinite": form(b"\x9f" + GOOD[1:] + b"\xff", "indefinite"),
    "a long length": form(GOOD[:1] + b"\x58\x04" + GOOD[2:], "COSE: its CBOR is not"),
    "ES256": form(H.sign(b"\xa0", cbor2.dumps({1: -7})), "header a10126"),
    "ES512": form(H.sign(b"\xa0", cbor2.dumps({1: -36})), "header a1013823"),
    "no algorithm": form(H.sign(b"\xa0", b""), "header nothing"),
    "unprotected algorithm": form(H.sign(b"\xa0", b"\xa0", {1: -35}), "header a0,"),
    "two algorithms": form(H.sign(b"\xa0", unprotected={1: -7}), "unprotected headers"),
    "signature of 95": form(with_signature(lambda s: s[:-1]), "signature of 95"),
    "signature of 97": form(with_signature(lambda s: s + b"\x00"), "signature of 97"),
    "DER signature": form(with_signature(lambda s: b"\x30\x66" + s), "signature of 98"),
}
PAYLOADS = {
    "over 16 KiB": field("expected at most 16384", padding=bytes(16 * 1024)),
    "no map": form(H.sign(b"\x80"), "payload: found list"),
    "a byte behind": form(with_payload(lambda p: p + b"\x00"), "payload: 1 bytes follow"),
    "a byte behind an indefinite map": form(
        H.sign(indefinite(H.fields()) + b"\xf6\xf6"), "payload: 2 bytes follow"
    ),
    "pcrs twice": form(
        with_payload(lambda p: b"\xaa" + p[1:] + b"\x64pcrs\xa0"), "Duplicate map key: 'pcrs'"
    ),
    "indefinite inside": form(
        with_payload(lambda p: p.replace(b"\x49user data", b"\x5f\x49user data\xff")), "payload: "
    ),
    "a long number": form(
        with_payload(lambda p: p.replace(b"\x45nonce", b"\x58\x05nonce")), "payload: its CBOR"
    ),
    "a tag": field("semantic tag 37", module_id=cbor2.CBORTag(37, bytes(16))),
    "shared values": field("semantic tag 28", extra=cbor2.CBORTag(28, [])),
    "NitroTPM": form(H.document(nitrotpm_pcrs=H.fields()["pcrs"]), "NitroTPM"),
    "no pcrs": form(without("pcrs"), "pcrs: found nothing"),
    "pcrs null": field("pcrs: found nothing", pcrs=None),
    "pcrs a list": field("pcrs: found list", pcrs=list(PCRS.values())),
    "no register": field("PCR0 is missing", pcrs={}),
    "PCR0 left out": field("PCR0 is missing", pcrs={1: PCRS[1], 2: PCRS[2]}),
    "PCR1 left out": field("PCR1 is missing", pcrs={0: PCRS[0], 2: PCRS[2]}),
    "PCR2 left out": field("PCR2 is missing", pcrs={0: PCRS[0], 1: PCRS[1]}),
    "PCR 32": field("index 32", pcrs={**PCRS, 32: bytes(48)}),
    "PCR -1": field("index -1", pcrs={**PCRS, -1: bytes(48)}),
    "PCR 0.0": field("index 0.0", pcrs={0.0: PCRS[0], 1: PCRS[1], 2: PCRS[2]}),
    "PCR true": field("index True", pcrs={0: PCRS[0], True: PCRS[1], 2: PCRS[2]}),
    "PCR as text": field("index zero", pcrs=PCRS | {"zero": PCRS[0]}),
    "PCR of 32 bytes": field("PCR0 has 32 bytes", pcrs={**PCRS, 0: bytes(32)}),
    "PCR of 47 bytes": field("PCR2 has 47 bytes", pcrs={**PCRS, 2: bytes(47)}),
    "PCR null": field("PCR1 is nothing", pcrs={**PCRS, 1: None}),
    "no digest": form(without("digest"), "digest: found None"),
    "digest SHA256": field("digest: found SHA256", digest="SHA256"),
    "no module": form(without("module_id"), "module_id: found nothing"),
    "module empty": field("module_id: found str", module_id=""),
    "module null": field("module_id: found nothing", module_id=None),
    "no timestamp": form(without("timestamp"), "timestamp: found nothing"),
    "timestamp 0": field("timestamp: found int", timestamp=0),
    "timestamp -1": field("timestamp: found int", timestamp=-1),
    "timestamp a float": field("timestamp: found float", timestamp=NOW * 1000.0),
    "timestamp true": field("timestamp: found bool", timestamp=True),
    "no certificate": form(without("certificate"), "certificate: found nothing"),
    "certificate null": field("certificate: found nothing", certificate=None),
    "certificate empty": field("certificate: 0 bytes", certificate=b""),
    "certificate of 1,025": field("certificate: 1025 bytes", certificate=bytes(1025)),
    "certificate noise": field("certificate: found DER tag", certificate=b"\x31\x00"),
    "certificate and more": field(
        "certificate: 1 bytes follow", certificate=H.chain[-1].der + b"\x00"
    ),
    "no cabundle": form(without("cabundle"), "cabundle: found nothing"),
    "cabundle empty": field("cabundle: found list", cabundle=[]),
    "cabundle bytes": field("cabundle: found bytes", cabundle=b"root"),
    "cabundle of null": field("cabundle: found nothing", cabundle=[None]),
    "cabundle of 1,025": field("cabundle: 1025 bytes", cabundle=[bytes(1025)]),
    "public key of 1,025": field("public_key: 1025 bytes", public_key=bytes(1025)),
    "public key text": field("public_key: found str", public_key="key"),
    "user data of 513": field("user_data: 513 bytes", user_data=bytes(513)),
    "user data a number": field("user_data: found int", user_data=1),
    "nonce of 513": field("nonce: 513 bytes", nonce=bytes(513)),
    "nonce a list": field("nonce: found list", nonce=[]),
}


def chained(check: str, found: str, **changes: Wish) -> Mutant:
    """Return a mutant whose chain differs; it begins at the trusted root all the same."""
    chain = [H.chain[0]]
    for wish in wishes(**changes)[1:]:
        chain.append(issue(wish, chain[-1]))
    return Mutant(Hypervisor(chain).document(), check, found)


def bundled(check: str, found: str, *links: int) -> Mutant:
    """Return a mutant whose bundle has these of its certificates."""
    return Mutant(H.document(cabundle=[H.chain[at].der for at in links]), check, found)


def _own_root() -> bytes:
    """Return a document of a whole chain that somebody made, with all the right names."""
    return Hypervisor(issue_chain(wishes())).document()


def _foreign_branch() -> bytes:
    """Return a document of a chain that somebody made, with the trusted root put before it."""
    own = issue_chain(wishes())
    return Hypervisor([H.chain[0], *own[1:]]).document()


def _leaf_as_ca() -> bytes:
    """Return a document that is signed by a key which only a genuine leaf vouches for."""
    return Hypervisor([*H.chain, issue(Wish("below", signer()), H.chain[-1])]).document()


def _nine_long() -> bytes:
    chain = [H.chain[0]]
    for depth in range(8):
        chain.append(issue(Wish(f"authority {depth}", ca(None)), chain[-1]))
    return Hypervisor(chain).document()


UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
NO_USAGE = [(x509.BasicConstraints(ca=False, path_length=None), True)]
CHAINS = {
    "own root": Mutant(_own_root(), "chain_root", "root "),
    "no root": bundled("chain_root", "root ", 1, 2, 3),
    "root alone": bundled("chain_names", "certificate 1 names", 0),
    "one left out": bundled("chain_names", "certificate 2 names", 0, 1, 3),
    "two swapped": bundled("chain_names", "certificate 1 names", 0, 2, 1, 3),
    "another issuer's name": chained(
        "chain_names", "certificate 3 names", instance=Wish(NAMES[3], ca(0), issuer_name="other")
    ),
    "nine": Mutant(_nine_long(), "chain_length", "9 certificates"),
    "leaf as CA": Mutant(_leaf_as_ca(), "chain_authorities", "certificate 4 is no CA"),
    "no constraints": chained(
        "chain_authorities", "certificate 2 is no CA", zone=Wish(NAMES[2], ca(1)[1:])
    ),
    "constraints not critical": chained(
        "chain_authorities", "certificate 2 has it", zone=Wish(NAMES[2], ca(1, critical=False))
    ),
    "no keyCertSign": chained(
        "chain_authorities", "certificate 2 may not", zone=Wish(NAMES[2], ca(1, sign=False))
    ),
    "no key usage": chained(
        "chain_authorities", "certificate 3 may not", instance=Wish(NAMES[3], ca(0)[:1])
    ),
    "path length": chained(
        "chain_path_length", "1 CAs below certificate 2", zone=Wish(NAMES[2], ca(0))
    ),
    "leaf is a CA": chained("chain_leaf", "the last certificate is a CA", leaf=Wish("x", ca(None))),
    "leaf may not sign": chained(
        "chain_leaf", "may not sign evidence", leaf=Wish("x", signer(sign=False))
    ),
    "leaf without usage": chained("chain_leaf", "has no key usage", leaf=Wish("x", NO_USAGE)),
    "unknown critical": chained(
        "chain_extensions",
        "certificate 3 has 1.3.6.1.4.1.99999.1",
        instance=Wish(NAMES[3], [*ca(0), (UNKNOWN, True)]),
    ),
    "SHA-256": chained(
        "chain_signatures",
        "certificate 3 is signed by 1.2.840.10045.4.3.2",
        instance=Wish(NAMES[3], ca(0), weak=True),
    ),
    "foreign branch": Mutant(
        _foreign_branch(), "chain_signatures", "certificate 1 is not signed by"
    ),
    "P-256 below": chained(
        "chain_signatures",
        "certificate 4 is not signed by",
        instance=Wish(NAMES[3], ca(0), curve=ec.SECP256R1()),
    ),
    "region expired": chained(
        "certificate_validity", "certificate 1 expired", region=Wish(NAMES[1], ca(2), end=-1)
    ),
    "leaf expired": chained(
        "certificate_validity", "certificate 4 expired", leaf=Wish("x", signer(), end=-1)
    ),
    "region not yet": chained(
        "certificate_validity", "certificate 1 not yet", region=Wish(NAMES[1], ca(2), start=1)
    ),
    "leaf not yet": chained(
        "certificate_validity", "certificate 4 not yet", leaf=Wish("x", signer(), start=1)
    ),
    "from the future": Mutant(
        H.document(timestamp=(NOW + MAX_CLOCK_SKEW) * 1000 + 1), "document_time", "300 seconds"
    ),
    "P-256 leaf": chained(
        "signature", "key is not P-384", leaf=Wish("x", signer(), curve=ec.SECP256R1())
    ),
    "r is 0": Mutant(with_signature(lambda s: bytes(48) + s[48:]), "signature", "r or s"),
    "s is n": Mutant(with_signature(lambda s: s[:48] + ORDER.to_bytes(48)), "signature", "r or s"),
}
MUTANTS = {**ENVELOPES, **{f"payload {name}": m for name, m in PAYLOADS.items()}, **CHAINS}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_each_fault_is_refused_by_its_name(mutant: Mutant) -> None:
    """A document with one fault fails in the check of that fault, and nothing is claimed."""
    verified = verify(mutant.document)
    assert verified.claims is None
    last = verified.checks[-1]
    assert (last.name, last.outcome) == (mutant.check, Outcome.FAILED)
    assert mutant.found in last.found
    assert all(check.outcome is Outcome.PASSED for check in verified.checks[:-1])


def test_faults_are_told_apart() -> None:
    """More than a hundred faults have more than eighty names: only equal ones share theirs."""
    names = {
        (check.name, check.found)
        for mutant in MUTANTS.values()
        for check in verify(mutant.document).checks[-1:]
    }
    assert len(MUTANTS) >= 100
    assert len(names) >= 80
