"""What the enclaves of a demo must prove."""

from pathlib import Path

from attestation import FreshnessMode, SimulatedTee
from l4proxy.demo.policy import IMAGE, OTHER_IMAGE, write_policy
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy


def test_it_accepts_one_image(tmp_path: Path) -> None:
    """It pins the image, on the very connection, and another image measures otherwise."""
    path = write_policy(tmp_path)
    asked = load_policy(path, installed_kinds())
    assert asked.freshness.mode is FreshnessMode.EXPORTER
    text = path.read_text(encoding="utf-8")
    assert SimulatedTee(IMAGE.encode()).registers()[0].hex() in text
    assert SimulatedTee(OTHER_IMAGE.encode()).registers()[0].hex() not in text
