"""The secondary manifest: one form, one digest, and the register that stands for it."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.manifest import (
    MAX_MANIFEST,
    Difference,
    Manifest,
    diff,
    digest,
    extension,
    parse_field,
    parse_manifest,
    register_value,
)
from tests.attestation.enclaves import MANIFEST

_NAME = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
_DIGESTS = st.dictionaries(
    _NAME, st.binary(min_size=32, max_size=32).map(lambda raw: "sha256:" + raw.hex()), max_size=4
)
_MANIFESTS = st.builds(
    Manifest,
    service=_NAME,
    images=_DIGESTS,
    plugins=_DIGESTS,
    ports=st.sets(st.integers(1, 65535), max_size=4).map(lambda ports: tuple(sorted(ports))),
    metrics=st.sets(_NAME, max_size=4).map(lambda names: tuple(sorted(names))),
)


def _document(**fields: object) -> bytes:
    found = json.loads(MANIFEST.encode()) | fields
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


@given(_MANIFESTS)
def test_what_is_written_is_what_is_read(manifest: Manifest) -> None:
    """A manifest survives its encoding, and differs from itself in nothing."""
    assert parse_manifest(manifest.encode()) == manifest
    assert diff(manifest, manifest) == ()


@given(_MANIFESTS)
def test_each_field_can_be_demanded(manifest: Manifest) -> None:
    """A field that a policy writes out equals the field that a document has."""
    found = json.loads(manifest.encode())
    for name, value in manifest.fields().items():
        assert parse_field(name, found[name]) == value


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Hostile bytes raise nothing but MalformedEvidence."""
    with pytest.raises(MalformedEvidence):
        parse_manifest(data)


def test_every_prefix_is_refused() -> None:
    """A document that is cut short is none."""
    for end in range(len(MANIFEST.encode())):
        with pytest.raises(MalformedEvidence):
            parse_manifest(MANIFEST.encode()[:end])


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"[" * 60_000, "not JSON"),
        (b"\xc3\xa9", "not JSON in ASCII"),
        (b"{}", "expected an object of images"),
        (b"[]", "expected an object of images"),
        (_document(colour="red"), "expected an object of"),
        (_document(manifest=2), "not version 1"),
        (_document(manifest=True), "not version 1"),
        (_document(service=""), "service holds no name"),
        (_document(service="a\n"), "service holds no name"),
        (_document(service="a" * 257), "service holds no name"),
        (_document(images=[]), "images is no object"),
        (_document(images={"a": "sha256:11"}), "images holds no sha256"),
        (_document(images={"a": "sha256:" + "zz" * 32}), "images holds no sha256"),
        (_document(images={"a": "sha256:" + "AA" * 32}), "images holds no sha256"),
        (_document(images={"a": "11" * 32}), "images holds no sha256"),
        (_document(plugins={"": "sha256:" + "11" * 32}), "plugins holds no name"),
        (_document(ports=8443), "ports is no list"),
        (_document(ports=[0]), "ports is no list"),
        (_document(ports=[True]), "ports is no list"),
        (_document(ports=[8443.0]), "ports is no list"),
        (_document(ports=[9, 8]), "not in its one form"),
        (_document(ports=[8, 8]), "not in its one form"),
        (_document(metrics="load"), "metrics is no list"),
        (_document(metrics=["b", "a"]), "not in its one form"),
        (MANIFEST.encode() + b"\n", "not in its one form"),
        (MANIFEST.encode().replace(b"{", b'{"ports":[1],', 1), "not in its one form"),
        (b"x" * (MAX_MANIFEST + 1), "at most 65536"),
    ],
)
def test_a_wrong_document_is_refused(document: bytes, fault: str) -> None:
    """There is one form for one content, and an error names the field."""
    with pytest.raises(MalformedEvidence, match=fault):
        parse_manifest(document)


def test_a_field_that_no_manifest_has_cannot_be_demanded() -> None:
    """A demand that nothing can meet is found when the policy is read."""
    with pytest.raises(MalformedEvidence, match="no field 'colour'"):
        parse_field("colour", "red")


def test_the_digest_is_that_of_the_file() -> None:
    """`sha256sum` gives the digest that a policy names."""
    assert digest(MANIFEST.encode()) == hashlib.sha256(MANIFEST.encode()).digest()


def test_a_register_holds_what_one_extension_makes() -> None:
    """host_data is the digest; PCR16 and RTMR3 are zeros extended with it, once."""
    pinned = digest(MANIFEST.encode())
    assert register_value(pinned, 32) == pinned
    assert extension(pinned) == pinned + bytes(16)
    extended = hashlib.sha384(bytes(48) + pinned + bytes(16)).digest()
    assert register_value(pinned, 48) == extended
    assert register_value(pinned, 64) == b""


def test_a_difference_names_the_place_and_both_sides() -> None:
    """What changed between two deployments can be read line by line."""
    other = Manifest("app", {"app": "sha256:" + "33" * 32}, {}, (8443, 9443), ("load",))
    assert diff(MANIFEST, other) == (
        Difference("images.app", "sha256:" + "11" * 32, "sha256:" + "33" * 32),
        Difference("metrics.queue", "queue", ""),
        Difference("plugins.cache", "sha256:" + "22" * 32, ""),
        Difference("ports.9443", "", "9443"),
    )
