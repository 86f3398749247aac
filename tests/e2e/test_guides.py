"""The guides to certificates work: every command in them runs, and prints what they say."""

import time
from pathlib import Path
from types import ModuleType

import pytest

from attestation import AgentClaims, KeyOrigin, SimulatedTee, in_user_data
from tests.e2e.guides import GUIDES, fences, follow
from tests.e2e.programs import tool
from tests.l4proxy.agent.credentials import made_key
from tests.l4proxy.agent.parts import IMAGE, NAME, policy

CHAINED = "certificates-chained"
NAMES = sorted(path.stem for path in GUIDES.glob("certificates-*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_can_be_followed(name: str, tmp_path: Path) -> None:
    """From an empty folder to a verified connection, in the order of the page."""
    for program in ("openssl", "curl"):
        tool(program)
    steps = follow(name, tmp_path)
    assert not [(step.commands, line) for step in steps for line in step.missing]
    assert any('"verdict": "accepted"' in line for step in steps for line in step.shown)


@pytest.mark.parametrize("name", NAMES)
def test_every_fence_is_used(name: str) -> None:
    """What is fenced is a command, what it prints, or a file: nothing that nobody tries."""
    assert not [fence for fence in fences(name) if not _used(fence.language, fence.file)]


@pytest.fixture
def authority() -> ModuleType:
    """The parent authority of the guide, which accepts one image and has no key to sign with."""
    (text,) = (fence.text for fence in fences(CHAINED) if fence.file == "authority.py")
    module = ModuleType("authority")
    exec(compile(text, CHAINED, "exec"), vars(module))  # noqa: S102 - the page is our own
    vars(module)["load_policy"] = lambda *_: policy(freshness={"max_age": "5m"})
    return module


def request(image: str, name: str) -> bytes:
    """What an enclave asks for, in PEM."""
    key, claims = made_key(), AgentClaims(key_origin=KeyOrigin.INSIDE)
    tee = SimulatedTee(image.encode())
    return key.request((name,), tee.evidence(in_user_data(key.spki, claims), time.time()))


@pytest.mark.parametrize(
    ("image", "name", "reason"),
    [("another", NAME, "pcr0: found "), (IMAGE, "other.example.com", "expected <Subject")],
)
def test_the_authority_signs_for_its_own_alone(
    authority: ModuleType, image: str, name: str, reason: str
) -> None:
    """Another image and another name are refused; what is left needs its key, and so is checked."""
    with pytest.raises(ValueError, match=reason):
        authority.sign(request(image, name))
    assert authority.checked(request(IMAGE, NAME))


def _used(language: str, file: str) -> bool:
    return language in {"sh", "text"} or bool(file)
