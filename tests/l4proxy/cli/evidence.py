"""Simulated evidence as files, and the policies that take it."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from attestation import SimulatedTee, encode_cmw
from tests.attestation.enclaves import NOW, TEE, measured, on_question

AT = str(int(NOW))


def document(folder: Path, tee: SimulatedTee = TEE, /, **fields: bytes) -> Path:
    """A signed document, with these fields."""
    path = folder / "document.cbor"
    path.write_bytes(tee.document(NOW, **fields))
    return path


def wrapper(folder: Path, tee: SimulatedTee = TEE) -> Path:
    """Evidence and all that belongs to it; it answers `tests.attestation.enclaves.QUESTION`."""
    path = folder / "evidence.cmw"
    path.write_bytes(encode_cmw(on_question(tee=tee)))
    return path


def policy(folder: Path, name: str = "policy.yaml", /, **keys: object) -> Path:
    """A policy that accepts `TEE`, with these keys besides or instead."""
    found: Mapping[str, object] = {"accept": [measured(TEE)], "allow_simulated": True, **keys}
    path = folder / name
    path.write_text(yaml.safe_dump(found), encoding="utf-8")
    return path
