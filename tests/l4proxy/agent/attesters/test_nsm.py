"""Promises of `l4proxy.agent.attesters.nsm`: the messages are those of the device's own library.

There is no device here: a fake answers as AWS's library encodes it. That a real one does so too is
for those to see who have one.
"""

import ctypes
import hashlib
from pathlib import Path

import cbor2
import pytest

from attestation import AgentClaims, KeyOrigin, in_user_data
from attestation.manifest import digest, register_value
from l4proxy.agent.attesters import Nsm, TeeError
from l4proxy.agent.attesters.nsm import MAX_RESPONSE_BYTES, NsmRaw, open_device

REQUEST = in_user_data(b"0Ykey", AgentClaims(key_origin=KeyOrigin.INSIDE), b"n" * 32)
MANIFEST = b'{"manifest":1}'


class Device:
    """What AWS's library does with PCR16."""

    def __init__(self, pcr: bytes = bytes(48), *, locked: bool = False) -> None:
        self.pcr = pcr
        self.locked = locked
        self.asked: list[object] = []

    def __call__(self, request: bytes) -> bytes:
        """Answer one request."""
        asked = cbor2.loads(request)
        self.asked.append(asked)
        match asked:
            case {"DescribePCR": {"index": 16}}:
                return cbor2.dumps({"DescribePCR": {"lock": self.locked, "data": self.pcr}})
            case {"ExtendPCR": {"index": 16, "data": bytes(data)}} if not self.locked:
                self.pcr = hashlib.sha384(self.pcr + data).digest()
                return cbor2.dumps({"ExtendPCR": {"data": self.pcr}})
            case {"LockPCR": {"index": 16}}:
                self.locked = True
                return cbor2.dumps("LockPCR")
            case {"Attestation": {"user_data": _, "nonce": _, "public_key": None}}:
                return cbor2.dumps({"Attestation": {"document": b"document"}})
            case _:
                return cbor2.dumps({"Error": "InvalidOperation"})


def test_a_document_is_asked_for() -> None:
    """User data and nonce go in, the document comes out, and what belongs to it goes beside."""
    device = Device()
    evidence = Nsm(device).quote(REQUEST)
    assert (evidence.kind, evidence.document) == ("nitro", b"document")
    assert evidence.agent_claims == REQUEST.agent_claims
    assert device.asked == [
        {
            "Attestation": {
                "user_data": REQUEST.bound_data,
                "nonce": b"n" * 32,
                "public_key": None,
            }
        }
    ]


def test_the_manifest_is_extended_once_and_locked() -> None:
    """PCR16 holds what a policy expects, and nobody changes it after."""
    device = Device()
    Nsm(device).seal(MANIFEST)
    assert device.locked
    assert device.pcr == register_value(digest(MANIFEST), 48)
    Nsm(device).seal(MANIFEST)
    assert device.pcr == register_value(digest(MANIFEST), 48)


def test_an_agent_that_died_in_between_locks_after_all() -> None:
    """Extended but not locked is mended, not extended twice."""
    device = Device(register_value(digest(MANIFEST), 48))
    Nsm(device).seal(MANIFEST)
    assert device.locked
    assert device.pcr == register_value(digest(MANIFEST), 48)


def test_without_a_manifest_the_register_is_locked_all_the_same() -> None:
    """Else code that comes later could claim one."""
    device = Device()
    Nsm(device).seal(None)
    assert device.locked
    assert device.pcr == bytes(48)


@pytest.mark.parametrize("device", [Device(b"x" * 48), Device(bytes(48), locked=True)])
def test_a_register_that_holds_something_else_is_told(device: Device) -> None:
    """Somebody was there before: the agent does not start."""
    with pytest.raises(TeeError, match="PCR16: it holds something else"):
        Nsm(device).seal(MANIFEST)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (cbor2.dumps({"Error": "InvalidArgument"}), "Attestation: InvalidArgument"),
        (cbor2.dumps({"GetRandom": {}}), "something else"),
        (cbor2.dumps({"Attestation": {}}), "without a document"),
        (cbor2.dumps({"Attestation": {"document": "text"}}), "without a document"),
        (b"\xff", "NSM"),
        (b"", "NSM"),
    ],
)
def test_other_responses_are_told(response: bytes, message: str) -> None:
    """An error of the module, and what is no response to the request."""
    with pytest.raises(TeeError, match=message):
        Nsm(lambda _: response).quote(REQUEST)


def test_a_request_over_the_drivers_bound_is_not_made() -> None:
    """The driver would refuse it in fewer words."""
    with pytest.raises(TeeError, match="at most 4096"):
        Nsm(Device()).quote(REQUEST._replace(bound_data=bytes(4096)))


def test_no_device_is_told(tmp_path: Path) -> None:
    """Outside an enclave there is a clear word, and nothing else is tried."""
    with pytest.raises(TeeError, match="this is no Nitro enclave; there is no other TEE"):
        open_device(tmp_path / "nsm")


def test_the_ioctl_carries_both_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The struct holds where the request lies, and room for the response; its length comes back."""

    def ioctl(descriptor: int, number: int, raw: NsmRaw) -> int:
        assert number == 0xC0200A00
        assert ctypes.sizeof(raw) == 32
        assert raw.response.length == MAX_RESPONSE_BYTES
        asked = ctypes.string_at(raw.request.address, raw.request.length)
        answer = Device()(asked)
        ctypes.memmove(raw.response.address, answer, len(answer))
        raw.response.length = len(answer)
        return 0

    (tmp_path / "nsm").touch()
    monkeypatch.setattr("fcntl.ioctl", ioctl)
    assert open_device(tmp_path / "nsm").quote(REQUEST).document == b"document"


def test_a_file_that_is_no_device_is_told(tmp_path: Path) -> None:
    """What refuses the ioctl is named with the kernel's reason."""
    (tmp_path / "nsm").touch()
    with pytest.raises(TeeError, match="NSM: "):
        open_device(tmp_path / "nsm").quote(REQUEST)
