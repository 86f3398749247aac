"""The payload of a Nitro document: nine fields, each as genuine documents have it."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.nitro_document import parse_document
from tests.attestation.nitro_documents import GOOD, INSTANCE, NOW, H, chain_of, indefinite

FIELDS = H.fields()
PAYLOAD = cbor2.dumps(FIELDS)


@pytest.mark.parametrize("payload", [PAYLOAD, indefinite(FIELDS)], ids=["definite", "indefinite"])
def test_fields_are_read_as_they_stand(payload: bytes) -> None:
    """Both forms of the map hold the same document."""
    document = parse_document(payload)
    assert document.module_id == FIELDS["module_id"]
    assert document.signed_at == NOW
    assert document.pcrs == FIELDS["pcrs"]
    assert [*document.certificates] == chain_of(GOOD)
    assert (document.public_key, document.user_data, document.nonce) == (
        None,
        b"user data",
        b"nonce",
    )
    assert not document.debug


@pytest.mark.parametrize("payload", [PAYLOAD, indefinite(FIELDS)], ids=["definite", "indefinite"])
def test_every_prefix_is_refused(payload: bytes) -> None:
    """A payload that is cut short anywhere is refused."""
    for size in range(len(payload)):
        with pytest.raises(MalformedEvidence, match="payload"):
            parse_document(payload[:size])


@pytest.mark.parametrize(
    ("module_id", "instance"),
    [
        (f"{INSTANCE}-enc0123456789abcdef", INSTANCE),
        ("module", "module"),
    ],
)
def test_an_enclave_knows_its_instance(module_id: str, instance: str) -> None:
    """The instance stands before the enclave's own name; another form is taken whole."""
    assert parse_document(cbor2.dumps(H.fields(module_id=module_id))).instance == instance


@pytest.mark.parametrize(
    "spoilt", [{"digest": "\x1b[2J"}, {"pcrs": {"\x1b[2J": bytes(48)}}], ids=["digest", "index"]
)
def test_a_refusal_moves_no_cursor(spoilt: dict[str, object]) -> None:
    """Nothing is signed yet: what stands there is shown without what a terminal obeys."""
    with pytest.raises(MalformedEvidence) as error:
        parse_document(cbor2.dumps(H.fields(**spoilt)))
    assert str(error.value).isprintable()


@given(st.binary(max_size=80))
def test_noise_is_refused(noise: bytes) -> None:
    """Bytes that are no payload are refused."""
    with pytest.raises(MalformedEvidence):
        parse_document(noise)
