"""Evidence of AWS Nitro Enclaves, from the Nitro Security Module: `/dev/nsm`.

One ioctl takes a request in CBOR and gives a response in CBOR (linux/nsm.h; the messages are those
of aws-nitro-enclaves-nsm-api, src/api/mod.rs). The driver takes one request at a time and waits for
it up to two minutes.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attestation import Evidence, MalformedEvidence, Request
from attestation.cbor import load_cbor
from attestation.cbor_maps import text_keys, write_map
from attestation.manifest import digest, extension, register_value
from attestation.nitro import KIND, MANIFEST_PCR
from l4proxy.agent.attesters.attester import TeeError

DEVICE: Final = Path("/dev/nsm")

MAX_REQUEST_BYTES: Final = 0x1000
"""Bytes of a request: the driver refuses more."""

MAX_RESPONSE_BYTES: Final = 0x3000
"""Bytes of a response: the driver has no more to give."""

# _IOWR(0x0A, 0, struct nsm_raw), whose two iovecs are 32 bytes.
_NSM_RAW = 0xC0200A00
_PCR = 48

Exchange = Callable[[bytes], bytes]
"""A request in CBOR to a response in CBOR."""


class _Iovec(ctypes.Structure):
    _fields_ = (("address", ctypes.c_uint64), ("length", ctypes.c_uint64))


class NsmRaw(ctypes.Structure):
    """`struct nsm_raw`: where the request lies, and where there is room for the response."""

    _fields_ = (("request", _Iovec), ("response", _Iovec))


class Nsm:
    """The Nitro Security Module of this enclave."""

    def __init__(self, exchange: Exchange) -> None:
        """Use one, through `open_device` or what stands for it."""
        self._exchange = exchange

    @property
    def signs_user_data(self) -> bool:
        """True: up to 512 bytes, and a nonce beside them."""
        return True

    def seal(self, manifest: bytes | None) -> None:
        """Extend PCR16 with the manifest's digest, once, and lock it.

        Raises:
            TeeError: It holds something else, or the module refuses.

        """
        found = text_keys(self._ask("DescribePCR", {"index": MANIFEST_PCR}), "NSM")
        data, locked = found.get("data"), found.get("lock") is True
        sealed = bytes(_PCR) if manifest is None else register_value(digest(manifest), _PCR)
        fresh = data == bytes(_PCR) and not locked
        if data != sealed and not fresh:
            raise TeeError(f"PCR{MANIFEST_PCR}: it holds something else than this manifest")
        if data != sealed and manifest is not None:
            extended = extension(digest(manifest))
            self._ask("ExtendPCR", {"index": MANIFEST_PCR, "data": extended})
        if not locked:
            self._ask("LockPCR", {"index": MANIFEST_PCR})

    def quote(self, request: Request) -> Evidence:
        """Return an attestation document.

        Raises:
            TeeError: The module gives none.

        """
        asked = {"user_data": request.bound_data, "nonce": request.nonce, "public_key": None}
        found = text_keys(self._ask("Attestation", asked), "NSM")
        document = found.get("document")
        if not isinstance(document, bytes):
            raise TeeError("NSM: a response without a document")
        return Evidence(
            kind=KIND,
            document=document,
            endorsements=MappingProxyType({}),
            claims_buffer=request.claims_buffer,
            agent_claims=request.agent_claims,
        )

    def _ask(self, what: str, arguments: Mapping[str, object]) -> object:
        """Return what the response to a request holds under its name."""
        request = write_map({what: dict(arguments)})
        if len(request) > MAX_REQUEST_BYTES:
            raise TeeError(f"NSM: a request of {len(request)} bytes, at most {MAX_REQUEST_BYTES}")
        try:
            response = load_cbor(self._exchange(request), "NSM")
        except MalformedEvidence as error:
            raise TeeError(str(error)) from error
        # A response without content, as that of LockPCR, is its name alone.
        if response == what:
            return {}
        match response:
            case {"Error": reason}:
                raise TeeError(f"NSM: {what}: {str(reason)[:60]}")
            case dict() if what in response:
                return response[what]
            case _:
                raise TeeError(f"NSM: {what}: the response is to something else")


def open_device(device: Path = DEVICE) -> Nsm:
    """Return the module behind a device file, which stays open.

    Raises:
        TeeError: There is no such device: this is no Nitro enclave.

    """
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        why = "this is no Nitro enclave" if error.errno == errno.ENOENT else error.strerror
        raise TeeError(f"{device}: {why}; there is no other TEE to fall back to") from error
    return Nsm(lambda request: _ioctl(descriptor, request))


def _ioctl(descriptor: int, request: bytes) -> bytes:
    asked = ctypes.create_string_buffer(request, len(request))
    room = ctypes.create_string_buffer(MAX_RESPONSE_BYTES)
    raw = NsmRaw(
        _Iovec(ctypes.addressof(asked), len(request)),
        _Iovec(ctypes.addressof(room), MAX_RESPONSE_BYTES),
    )
    try:
        fcntl.ioctl(descriptor, _NSM_RAW, raw)
    except OSError as error:
        raise TeeError(f"NSM: {error.strerror}") from error
    return room.raw[: raw.response.length]
