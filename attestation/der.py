"""DER: reads what a certificate is made of, without ever writing it anew (X.690 §8, §10).

A certificate is hashed and verified as it stands, so each element keeps its own bytes. Only what
certificates use is read: tags of one byte, definite lengths in their shortest form. Nothing here
recurses: who reads goes as deep as they know the structure.
"""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, NamedTuple

from attestation.errors import MalformedEvidence

# The bits of a tag's number; all set announces a number in the bytes that follow (X.690 §8.1.2.4).
_NUMBER_BITS = 0x1F
# A length byte from here on counts the length's own bytes (X.690 §8.1.3.5).
_LONG_FORM = 0x80

MAX_LENGTH_BYTES: Final = 3
"""Bytes of a length: 16 MiB, far over every limit on what is read here."""


MAX_OID_BYTES: Final = 64
"""Bytes of an object identifier: those of vendors have about 12; a number of a long one is slow."""

MAX_INTEGER_BYTES: Final = 64
"""Bytes of an integer: serial numbers have up to 21, a coordinate of P-384 up to 49."""


class Tag(IntEnum):
    """The first byte of an element: what it holds (X.690 §8.1.2)."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    NULL = 0x05
    OBJECT_IDENTIFIER = 0x06
    ENUMERATED = 0x0A
    UTF8_STRING = 0x0C
    PRINTABLE_STRING = 0x13
    IA5_STRING = 0x16
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    SEQUENCE = 0x30
    SET = 0x31
    CONTEXT_0 = 0xA0
    CONTEXT_3 = 0xA3


class Element(NamedTuple):
    """One element: its tag, what it holds, and itself as it stands.

    Attributes:
        tag: The tag byte; a `Tag` where it is one that is known.
        content: The bytes that it holds.
        encoded: Tag, length and content, as they were found.

    """

    tag: int
    content: bytes
    encoded: bytes


def read_element(data: bytes, at: int = 0) -> Element:
    """Return the element that begins at `at`; others may follow it.

    Raises:
        MalformedEvidence: It is cut short, or not in DER's one form.

    """
    head = data[at : at + 2]
    if len(head) < len(b"TL"):
        raise MalformedEvidence(f"DER: an element is cut short at offset {at}")
    tag, length = head
    if tag & _NUMBER_BITS == _NUMBER_BITS:
        raise MalformedEvidence(f"DER: a tag of several bytes at offset {at}, expected one byte")
    start = at + len(head)
    if length >= _LONG_FORM:
        start, length = _long_length(data, start, length - _LONG_FORM)
    end = start + length
    if end > len(data):
        raise MalformedEvidence(f"DER: {length} bytes promised at offset {at}, {len(data)} in all")
    return Element(tag, data[start:end], data[at:end])


def _long_length(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Return where the content starts, and its length."""
    digits = data[at : at + size]
    if not 0 < size <= MAX_LENGTH_BYTES or len(digits) < size:
        raise MalformedEvidence(f"DER: a length of {size} bytes at offset {at}, expected 1 to 3")
    length = int.from_bytes(digits, "big")
    if digits[0] == 0 or length < _LONG_FORM:
        raise MalformedEvidence(f"DER: a length at offset {at} is not in its shortest form")
    return at + size, length


def read_only(data: bytes, tag: int, what: str) -> Element:
    """Return the one element that `data` is, with nothing behind it.

    Raises:
        MalformedEvidence: It is no such element, or bytes follow it.

    """
    element = read_element(data)
    if len(element.encoded) != len(data):
        raise MalformedEvidence(f"{what}: {len(data) - len(element.encoded)} bytes follow its end")
    return expect(element, tag, what)


def expect(element: Element, tag: int, what: str) -> Element:
    """Return `element` if it has that tag.

    Raises:
        MalformedEvidence: It has another.

    """
    if element.tag != tag:
        raise MalformedEvidence(f"{what}: found DER tag {element.tag:#04x}, expected {tag:#04x}")
    return element


def elements(content: bytes) -> tuple[Element, ...]:
    """Return the elements that stand in `content`, one behind the other, to its end.

    Raises:
        MalformedEvidence: One is cut short, or not in DER's one form.

    """
    found: list[Element] = []
    at = 0
    while at < len(content):
        element = read_element(content, at)
        found.append(element)
        at += len(element.encoded)
    return tuple(found)


class Fields:
    """Reads the fields of one SEQUENCE from front to back, as its definition lists them.

    Args:
        element: The SEQUENCE, or another element that holds elements.
        what: Its name in its specification, for error messages.

    Raises:
        MalformedEvidence: What it holds is no row of elements.

    """

    __slots__ = ("_at", "_fields", "_what")

    def __init__(self, element: Element, what: str) -> None:
        self._fields = elements(element.content)
        self._what = what
        self._at = 0

    def take(self, *tags: int) -> Element:
        """Return the next field, which has one of `tags`; any tag if none is named.

        Raises:
            MalformedEvidence: There is none, or it has another tag.

        """
        if self._at == len(self._fields):
            raise MalformedEvidence(f"{self._what}: ends after {self._at} fields")
        field = self._fields[self._at]
        if tags and field.tag not in tags:
            wanted = " or ".join(f"{tag:#04x}" for tag in tags)
            raise MalformedEvidence(
                f"{self._what}: field {self._at} has DER tag {field.tag:#04x}, expected {wanted}"
            )
        self._at += 1
        return field

    def take_if(self, tag: int) -> Element | None:
        """Return the next field if it has `tag`; else None, and nothing is read."""
        if self._at == len(self._fields) or self._fields[self._at].tag != tag:
            return None
        return self.take()

    def end(self) -> None:
        """Promise that every field was read.

        Raises:
            MalformedEvidence: Some are left.

        """
        left = len(self._fields) - self._at
        if left:
            raise MalformedEvidence(f"{self._what}: {left} fields more than it has")


def boolean(element: Element) -> bool:
    """Return the truth that a BOOLEAN holds (X.690 §11.1).

    Raises:
        MalformedEvidence: It is none, or says it in another form.

    """
    content = expect(element, Tag.BOOLEAN, "BOOLEAN").content
    if content not in {b"\x00", b"\xff"}:
        raise MalformedEvidence(f"BOOLEAN: found {content[:4].hex()}, expected 00 or ff")
    return content == b"\xff"


def integer(element: Element) -> int:
    """Return the number that an INTEGER or ENUMERATED holds (X.690 §8.3).

    Raises:
        MalformedEvidence: It is none, it is empty, or not in its shortest form.

    """
    if element.tag != Tag.ENUMERATED:
        expect(element, Tag.INTEGER, "INTEGER")
    content = element.content
    if len(content) > MAX_INTEGER_BYTES:
        raise MalformedEvidence(f"INTEGER: {len(content)} bytes, expected at most 64")
    number = int.from_bytes(content, "big", signed=True)
    # The sign bit needs its own room: 127 fits in one byte, 128 does not.
    shortest = ((number if number >= 0 else ~number).bit_length() + 8) // 8
    if len(content) != shortest:
        raise MalformedEvidence(f"INTEGER: {len(content)} bytes, expected {shortest}")
    return number


def octets(element: Element) -> bytes:
    """Return the bytes that an OCTET STRING holds.

    Raises:
        MalformedEvidence: It is none.

    """
    return expect(element, Tag.OCTET_STRING, "OCTET STRING").content


def bits(element: Element) -> bytes:
    """Return the bytes of a BIT STRING, the unused bits of the last one zero (X.690 §8.6, §11.2).

    Raises:
        MalformedEvidence: It is none, or its unused bits are not zero.

    """
    content = expect(element, Tag.BIT_STRING, "BIT STRING").content
    unused, body = content[:1], content[1:]
    if not unused or unused[0] >= 8 or (unused[0] and not body):  # noqa: PLR2004 - bits of a byte
        raise MalformedEvidence("BIT STRING: its count of unused bits is wrong")
    if unused[0] and body[-1] & ((1 << unused[0]) - 1):
        raise MalformedEvidence("BIT STRING: its unused bits are not zero")
    return body


def object_identifier(element: Element) -> str:
    """Return an OBJECT IDENTIFIER in dotted form, as `1.2.840.10045.2.1` (X.690 §8.19).

    Raises:
        MalformedEvidence: It is none, cut short, or not in its shortest form.

    """
    content = expect(element, Tag.OBJECT_IDENTIFIER, "OBJECT IDENTIFIER").content
    if len(content) > MAX_OID_BYTES:
        raise MalformedEvidence(f"OBJECT IDENTIFIER: {len(content)} bytes, expected at most 64")
    if not content or content[-1] >= _LONG_FORM:
        raise MalformedEvidence("OBJECT IDENTIFIER: it is cut short")
    arcs: list[int] = []
    arc, fresh = 0, True
    for byte in content:
        if fresh and byte == _LONG_FORM:
            raise MalformedEvidence("OBJECT IDENTIFIER: an arc is not in its shortest form")
        arc = arc << 7 | byte & 0x7F
        fresh = byte < _LONG_FORM
        if fresh:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def seconds(element: Element) -> float:
    """Return a UTCTime or GeneralizedTime as seconds since the epoch (RFC 5280 §4.1.2.5).

    Raises:
        MalformedEvidence: It is neither, or no time to the second in UTC.

    """
    text = element.content.decode("latin-1")
    if element.tag == Tag.UTC_TIME and len(text) == len("YYMMDDHHMMSSZ"):
        # RFC 5280: a year from 50 on belongs to the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != Tag.GENERALIZED_TIME or len(text) != len("YYYYMMDDHHMMSSZ"):
        raise MalformedEvidence(f"time: found {text[:24]!r}, expected UTCTime or GeneralizedTime")
    if not (text.isascii() and text[:-1].isdecimal() and text.endswith("Z")):
        raise MalformedEvidence(f"time: found {text[:24]!r}, expected digits and Z")
    try:
        # Each part is two digits now: the ISO form, which refuses a 13th month and a leap second.
        moment = datetime.fromisoformat(f"{text[:8]}T{text[8:14]}").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedEvidence(f"time: {text} is no date") from error
    return moment.timestamp()
