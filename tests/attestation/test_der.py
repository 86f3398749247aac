"""DER: one form for each thing, read as it stands, and never past its end."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import der
from attestation.der import Element, Fields, Tag
from attestation.errors import MalformedEvidence


def element(tag: int, content: bytes) -> Element:
    """Return an element that holds less than 128 bytes."""
    return der.read_element(bytes([tag, len(content)]) + content)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_element_keeps_its_bytes(size: int) -> None:
    """Each length has one form, and the element stands as it was found."""
    digits = size.to_bytes(max(1, (size.bit_length() + 7) // 8))
    head = digits if size < 128 else bytes([0x80 + len(digits)]) + digits
    encoded = b"\x04" + head + b"x" * size
    found = der.read_element(b"before" + encoded + b"behind", len(b"before"))
    assert found == (Tag.OCTET_STRING, b"x" * size, encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "30",
        "0401",
        "0481",
        "048200",
        "04817f" + "00" * 127,
        "0482007f" + "00" * 127,
        "04820001" + "00",
        "0480" + "0000",
        "048401000000",
        "04ff",
        "1f0100",
        "bf1f00",
    ],
)
def test_another_form_is_refused(encoded: str) -> None:
    """Cut short, indefinite, a long form of a short length, a tag of several bytes: none is DER."""
    with pytest.raises(MalformedEvidence, match="DER"):
        der.read_element(bytes.fromhex(encoded))


def test_nothing_may_follow() -> None:
    """What must be alone is refused with company, and with another tag."""
    assert der.read_only(b"\x05\x00", Tag.NULL, "thing").tag == Tag.NULL
    with pytest.raises(MalformedEvidence, match="thing: 1 bytes follow"):
        der.read_only(b"\x05\x00\x00", Tag.NULL, "thing")
    with pytest.raises(MalformedEvidence, match="thing: found DER tag 0x05, expected 0x30"):
        der.read_only(b"\x05\x00", Tag.SEQUENCE, "thing")


def test_fields_are_read_in_order() -> None:
    """A field that is missing, of another tag, or left over is refused."""
    fields = Fields(element(Tag.SEQUENCE, bytes.fromhex("0201050101ff")), "thing")
    assert fields.take_if(Tag.NULL) is None
    assert der.integer(fields.take(Tag.INTEGER, Tag.NULL)) == 5
    with pytest.raises(MalformedEvidence, match="thing: field 1 has DER tag 0x01, expected 0x05"):
        fields.take(Tag.NULL)
    with pytest.raises(MalformedEvidence, match="thing: 1 fields more"):
        fields.end()
    flag = fields.take_if(Tag.BOOLEAN)
    assert flag is not None
    assert der.boolean(flag)
    fields.end()
    assert fields.take_if(Tag.BOOLEAN) is None
    with pytest.raises(MalformedEvidence, match="thing: ends after 2 fields"):
        fields.take()


@given(st.integers(-(2**500), 2**500))
def test_integers_have_one_form(number: int) -> None:
    """The shortest form is read; the same number with a byte more is refused."""
    size = ((number if number >= 0 else ~number).bit_length() + 8) // 8
    content = number.to_bytes(size, signed=True)
    assert der.integer(element(Tag.INTEGER, content)) == number
    assert der.integer(element(Tag.ENUMERATED, content)) == number
    with pytest.raises(MalformedEvidence, match="INTEGER"):
        der.integer(element(Tag.INTEGER, (b"\xff" if number < 0 else b"\x00") + content))


Reader = Callable[[Element], object]


@pytest.mark.parametrize(
    ("read", "tag", "content", "value"),
    [
        (der.boolean, Tag.BOOLEAN, "00", False),
        (der.octets, Tag.OCTET_STRING, "0102", b"\x01\x02"),
        (der.bits, Tag.BIT_STRING, "00", b""),
        (der.bits, Tag.BIT_STRING, "07ff80", b"\xff\x80"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "551d13", "2.5.29.19"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "2a8648ce3d040303", "1.2.840.10045.4.3.3"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "883703", "2.999.3"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "06092a", "0.6.9.42"),
        (der.seconds, Tag.UTC_TIME, b"700101000000Z".hex(), 0),
        (der.seconds, Tag.UTC_TIME, b"491231235959Z".hex(), 2_524_607_999),
        (der.seconds, Tag.UTC_TIME, b"500101000000Z".hex(), -631_152_000),
        (der.seconds, Tag.GENERALIZED_TIME, b"20500101000000Z".hex(), 2_524_608_000),
    ],
)
def test_values_are_read(read: Reader, tag: Tag, content: str, value: object) -> None:
    """Each kind of value is what its bytes say."""
    assert read(element(tag, bytes.fromhex(content))) == value


@pytest.mark.parametrize(
    ("read", "tag", "content"),
    [
        (der.boolean, Tag.BOOLEAN, "01"),
        (der.boolean, Tag.BOOLEAN, ""),
        (der.boolean, Tag.NULL, ""),
        (der.integer, Tag.INTEGER, ""),
        (der.integer, Tag.INTEGER, "01" * 65),
        (der.integer, Tag.NULL, "01"),
        (der.octets, Tag.BIT_STRING, "00"),
        (der.bits, Tag.BIT_STRING, ""),
        (der.bits, Tag.BIT_STRING, "01"),
        (der.bits, Tag.BIT_STRING, "0800"),
        (der.bits, Tag.BIT_STRING, "0101"),
        (der.bits, Tag.OCTET_STRING, "00"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, ""),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "5586"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "558001"),
        (der.object_identifier, Tag.OBJECT_IDENTIFIER, "55" + "81" * 63 + "01"),
        (der.object_identifier, Tag.NULL, "55"),
        (der.seconds, Tag.UTC_TIME, b"20500101000000Z".hex()),
        (der.seconds, Tag.GENERALIZED_TIME, b"500101000000Z".hex()),
        (der.seconds, Tag.INTEGER, b"500101000000Z".hex()),
        (der.seconds, Tag.UTC_TIME, b"700101000000+".hex()),
        (der.seconds, Tag.UTC_TIME, b"7001010000 0Z".hex()),
        (der.seconds, Tag.UTC_TIME, b"7001010000\xb20Z".hex()),
        (der.seconds, Tag.UTC_TIME, b"701301000000Z".hex()),
        (der.seconds, Tag.UTC_TIME, b"700230000000Z".hex()),
        (der.seconds, Tag.UTC_TIME, b"700101000060Z".hex()),
        (der.seconds, Tag.GENERALIZED_TIME, b"00000101000000Z".hex()),
    ],
)
def test_other_values_are_refused(read: Reader, tag: Tag, content: str) -> None:
    """A value in another form, or of another kind, is refused."""
    with pytest.raises(MalformedEvidence):
        read(element(tag, bytes.fromhex(content)))


@given(st.binary(max_size=80))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    """Whatever the bytes: elements that make them up to the last, or MalformedEvidence."""
    try:
        found = der.elements(noise)
    except MalformedEvidence:
        return
    assert b"".join(one.encoded for one in found) == noise
    for one in found:
        for read in (der.boolean, der.integer, der.bits, der.object_identifier, der.seconds):
            try:
                read(one)
            except MalformedEvidence:
                continue
