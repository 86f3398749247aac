"""CRC32C, the checksum of iSCSI, SCTP and the PROXY protocol (RFC 3720 appendix B.4)."""

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli's, its bits reversed
_ONES: Final = 0xFFFFFFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(_remainder(byte) for byte in range(256))


def crc32c(data: bytes | bytearray) -> int:
    """Return the checksum, 32 bits; some 60 ns a byte: for headers, not for streams."""
    register = _ONES
    for byte in data:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 0xFF]
    return register ^ _ONES
