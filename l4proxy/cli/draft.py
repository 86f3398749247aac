"""Policies as drafts: from what a build measured or a TEE says, to a file that somebody reviews.

A draft pins everything that says which code runs, and leaves all other keys at their strict
defaults.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import yaml

from attestation import Claims, Evidence
from attestation.manifest import digest, register_value

MAX_BUILD_BYTES: Final = 64 * 1024
"""Bytes of what a build says of itself: nitro-cli writes some 500."""

_CODE_PCRS = (0, 1, 2, 8)
_CODE_RTMRS = (0, 1, 2)
_LINE = 1_000
_DIGEST = re.compile(r"(sha256:)?[0-9a-fA-F]{16,}", re.ASCII)

Set = Mapping[str, object]
"""One set of a policy's `accept` list, in YAML's plain types."""


class NoDraft(ValueError):
    """Nothing can be pinned: whose fault, what was found, what was expected."""


class Draft(NamedTuple):
    """A policy to be reviewed.

    Attributes:
        accept: The one set that it accepts.
        simulated: Whether it takes a TEE that is none.
        manifest: The digest of the secondary manifest, as `sha256:` and hex; None: not asked.

    """

    accept: Set
    simulated: bool = False
    manifest: str | None = None

    def text(self, where: str) -> str:
        """Return the file, which says where its values are from."""
        policy: dict[str, object] = {"accept": [self.accept]}
        if self.simulated:
            policy["allow_simulated"] = True
        if self.manifest is not None:
            policy["manifest"] = self.manifest
        source = "".join(char if char.isprintable() else "?" for char in where)
        return f"# From {source}.\n" + yaml.dump(
            policy, Dumper=_Dumper, sort_keys=False, width=_LINE, default_flow_style=False
        )


class _Dumper(yaml.SafeDumper):
    """Digests stand in quotes: unquoted, one of digits alone would be a number."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _DIGEST.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def from_build(text: bytes) -> Draft:
    """Return the draft for an image, from what `nitro-cli build-enclave` printed.

    Raises:
        NoDraft: It is no JSON with `Measurements`, or they lack PCR0, PCR1 or PCR2.

    """
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoDraft(f"found no JSON ({error}), expected what nitro-cli prints") from error
    measured = found.get("Measurements") if isinstance(found, dict) else None
    if not isinstance(measured, dict):
        raise NoDraft('found no "Measurements", expected what nitro-cli build-enclave prints')
    pcrs = {index: measured[f"PCR{index}"] for index in _CODE_PCRS if f"PCR{index}" in measured}
    missing = [f"PCR{index}" for index in (0, 1, 2) if not isinstance(pcrs.get(index), str)]
    if missing:
        raise NoDraft(f"found no {', '.join(missing)}, expected PCR0, PCR1 and PCR2 in hex")
    return Draft({"nitro": {"pcrs": pcrs}})


def from_evidence(claims: Claims, evidence: Evidence) -> Draft:
    """Return the draft that accepts what genuine evidence says.

    Raises:
        NoDraft: Its operator can read its memory, so that it measures nothing to pin; or it is of
            a plug-in's kind, whose sets only the plug-in knows.

    """
    if claims.debug:
        raise NoDraft("found a TEE in debug mode, expected one whose measurements mean something")
    readers = {"nitro": _pcrs, "simulated": _pcrs, "sev-snp": _snp, "tdx": _tdx}
    if claims.kind not in readers:
        raise NoDraft(f"found the kind {claims.kind}, expected one of {', '.join(readers)}")
    accept = {claims.kind: readers[claims.kind](claims)}
    return Draft(accept, claims.simulated, _manifest(claims, evidence))


def _pcrs(claims: Claims) -> Set:
    found = {index: claims.measurements.get(f"pcr{index}", b"") for index in _CODE_PCRS}
    return {"pcrs": {index: pcr.hex() for index, pcr in found.items() if any(pcr)}}


def _snp(claims: Claims) -> Set:
    vmpl = int.from_bytes(claims.fields["vmpl"], "little")
    return {
        "measurement": claims.measurements["measurement"].hex(),
        **({"max_vmpl": vmpl} if vmpl else {}),
        "minimum_tcb": dict(claims.tcb),
        "products": [claims.product],
    }


def _tdx(claims: Claims) -> Set:
    said = claims.measurements
    return {
        "mr_td": said["mr_td"].hex(),
        "rtmr": {index: said[f"rtmr{index}"].hex() for index in _CODE_RTMRS},
        **({} if claims.tcb_status else {"allow_unknown_tcb": True}),
    }


def _manifest(claims: Claims, evidence: Evidence) -> str | None:
    """Return the digest of the manifest that came, if the register holds it."""
    register = claims.manifest_register
    if evidence.manifest is None or register is None:
        return None
    found = digest(evidence.manifest)
    return f"sha256:{found.hex()}" if register == register_value(found, len(register)) else None
