"""Fuzz target: a Nitro document, its payload, and a certificate, from a peer that may be anybody.

    python -m tests.fuzz.fuzz_nitro [CORPUS]        # needs Atheris

Whatever the bytes: nothing is raised but what is promised, and nothing unsigned is genuine.
"""

from contextlib import suppress

from attestation.errors import MalformedEvidence
from attestation.nitro import Nitro
from attestation.nitro_document import parse_document
from attestation.x509 import load_certificate, load_public_key, split_pem
from tests.attestation.nitro_documents import GOOD, NOW, H, evidence
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    assert Nitro().verify(evidence(data), NOW).claims is None
    if data.removeprefix(b"\xd2") != GOOD:
        assert H.kind.verify(evidence(data), NOW).claims is None
    # Behind a good signature, where most of the parser lies.
    verified = H.kind.verify(evidence(H.sign(data)), NOW)
    assert verified.claims is None or parse_document(data).signed_at == verified.claims.signed_at
    with suppress(MalformedEvidence):
        certificate = load_certificate(data)
        assert certificate.tbs in data
        assert certificate.spki in certificate.tbs
        load_public_key(certificate.spki)
    with suppress(MalformedEvidence):
        assert len(split_pem(data, 3)) in range(1, 4)


if __name__ == "__main__":
    fuzz(check)
