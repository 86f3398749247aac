"""A policy: what an operator accepts as evidence, read from the plain mapping of a YAML file.

Strict by default: without a word to the contrary debug and simulated TEEs are refused, freshness is
bound to the TLS connection, and the TLS key must have been made inside.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import cbor2

from attestation.agent_claims import Claim, KeyOrigin
from attestation.errors import AttestationError, MalformedEvidence, PolicyError
from attestation.evidence import EvidenceKind, MeasurementSet
from attestation.manifest import DIGEST, Field, parse_field
from attestation.policy_values import (
    Path,
    choice,
    each,
    flag,
    hexadecimal,
    mapping,
    seconds,
    short,
    text,
)
from attestation.wishes import WISHES, Wishes, read_wishes
from attestation.x509 import split_pem

Kinds = Mapping[str, EvidenceKind]
"""The kinds of TEE that a policy may name, by their names."""


class Binding(StrEnum):
    """How evidence is tied to the TLS key: one convention a policy, never a trial of all.

    `CLAIMS_BUFFER` is interoperable RA-TLS and ours; `SPKI` is the key's SHA-256 alone (with the
    exporter behind it: Flashbots' form); the others are those of the products that they name.
    """

    CLAIMS_BUFFER = "claims-buffer"
    SPKI = "spki"
    EVERVAULT = "evervault"
    DSTACK = "dstack"
    NITRIDING = "nitriding"


class FreshnessMode(StrEnum):
    """What shows that evidence is not an old one: of this connection, of this question, of late."""

    EXPORTER = "exporter"
    NONCE = "nonce"
    MAX_AGE = "max_age"


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is asked of freshness.

    Attributes:
        mode: What shows it.
        max_age: Most seconds since the signed time, where the kind signs one; None: not asked.

    """

    mode: FreshnessMode = FreshnessMode.EXPORTER
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class OwnershipDemand:
    """Who must have given the certificate its name.

    Attributes:
        ca: The certificate, in DER, of the authority that its chain must end at.
        name: The DNS name that it must be for.

    """

    ca: bytes
    name: str


@dataclass(frozen=True, slots=True)
class ManifestDemand:
    """What the secondary manifest must be.

    Attributes:
        digest: Its SHA-256; None: any manifest whose fields are as demanded.
        fields: Fields that must have exactly these values.

    """

    digest: bytes | None
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy.

    Attributes:
        digest: Its identity, for caches: SHA-256 over all that it says, 32 bytes.
        named: The keys that the operator wrote; what is written is asked for, connection or not.
        accept: Sets of measurements; any one is enough.
        allow_debug: Whether a TEE whose memory its operator can read will do.
        allow_simulated: Whether no TEE at all will do.
        freshness: What shows that evidence is not an old one.
        binding: How it is tied to the TLS key.
        key_origins: Where that key may come from.
        ticket_keys_inside: Whether it must be stated that ticket keys stay with this enclave.
        shared_ticket_keys: Whether enclaves of equal measurement may share them.
        claims: The service's own claims, which must have these values.
        manifest: What the secondary manifest must be; None: not asked.
        ownership: Who must own the name; None: not asked.
        wishes: What it says of the connections that clients make by it.

    """

    digest: bytes
    named: frozenset[str]
    accept: tuple[MeasurementSet, ...]
    allow_debug: bool
    allow_simulated: bool
    freshness: Freshness
    binding: Binding
    key_origins: frozenset[KeyOrigin]
    ticket_keys_inside: bool
    shared_ticket_keys: bool
    claims: Mapping[str, Claim]
    manifest: ManifestDemand | None
    ownership: OwnershipDemand | None
    wishes: Wishes


_KEYS = (
    "accept",
    "allow_debug",
    "allow_simulated",
    "freshness",
    "binding",
    "key_origin",
    "ticket_keys",
    "shared_ticket_keys",
    "claims",
    "manifest",
    "ownership",
    *WISHES,
)
# The conventions whose signed bytes have room for a TLS exporter.
_WITH_EXPORTER = frozenset({Binding.CLAIMS_BUFFER, Binding.SPKI})
_MAX_NAME = 253


def read_policy(found: object, kinds: Kinds, read_file: Callable[[str], bytes]) -> Policy:
    """Return the policy that a mapping states.

    Args:
        found: The policy file, read as plain YAML.
        kinds: The kinds that it may name.
        read_file: Gives the bytes of a file that it names: the CA, in PEM.

    Raises:
        PolicyError: It accepts nothing, a key is unknown, or a value is none that may stand there;
            the first mistake, with its path.

    """
    policy = mapping(found, (), _KEYS)
    debug = flag(policy, "allow_debug")
    simulated = flag(policy, "allow_simulated")
    accept = _accept(policy.get("accept"), kinds, debug=debug, simulated=simulated)
    freshness = _freshness(policy.get("freshness"), [kinds[one.kind] for one in accept])
    ownership = _ownership(policy.get("ownership"), read_file)
    return Policy(
        digest=_digest(policy, ownership),
        named=frozenset(policy),
        accept=accept,
        allow_debug=debug,
        allow_simulated=simulated,
        freshness=freshness,
        binding=_binding(policy.get("binding"), freshness),
        key_origins=_key_origins(policy, freshness),
        ticket_keys_inside=_says(policy, "ticket_keys", "inside"),
        shared_ticket_keys=_says(policy, "shared_ticket_keys", "equal_measurement"),
        claims=_claims(policy.get("claims")),
        manifest=_manifest(policy.get("manifest")),
        ownership=ownership,
        wishes=read_wishes(policy, by_exporter=freshness.mode is FreshnessMode.EXPORTER),
    )


def _accept(
    found: object, kinds: Kinds, *, debug: bool, simulated: bool
) -> tuple[MeasurementSet, ...]:
    sets = tuple(
        _set(item, kinds, ("accept", index))
        for index, item in enumerate(each(found, ("accept",), "a list of sets of measurements"))
    )
    if not sets:
        raise PolicyError(("accept",), "no set of measurements", "one at least")
    for index, one in enumerate(sets):
        path: Path = ("accept", index, one.kind)
        if one.allows_debug_values and not debug:
            raise PolicyError(
                path, "the zeros of a debug TEE", "measurements, or allow_debug: true"
            )
        if one.kind == "simulated" and not simulated:
            raise PolicyError(path, "a simulated TEE", "a real one, or allow_simulated: true")
    return sets


def _set(item: object, kinds: Kinds, path: Path) -> MeasurementSet:
    found = mapping(item, path, tuple(kinds))
    if len(found) != 1:
        raise PolicyError(path, f"{len(found)} kinds", "one kind and its demands")
    [(name, demands)] = found.items()
    path = (*path, name)
    try:
        kind = kinds[name]
    except AttestationError as error:
        # Kinds are loaded when they are named, and a plug-in may be broken.
        raise PolicyError(path, str(error), "a kind that can be used") from error
    try:
        one = kind.demands(demands, path)
        named = one.kind
    except PolicyError:
        raise
    except Exception as error:  # a plug-in fails, not the rest
        said = f"{type(error).__name__}: {error}"[:120]
        raise PolicyError(path, said, "a kind that reads its demands") from error
    if named != name:
        raise PolicyError(path, f"demands of the kind {short(named)}", f"those of {name}")
    return one


def _freshness(found: object, kinds: list[EvidenceKind]) -> Freshness:
    if found is None:
        return Freshness()
    path: Path = ("freshness",)
    value = mapping(found, path, ("mode", "max_age"))
    limit = value.get("max_age")
    max_age = None if limit is None else seconds(limit, (*path, "max_age"))
    stated = value.get("mode", "exporter" if max_age is None else "max_age")
    mode = choice(FreshnessMode, stated, (*path, "mode"))
    if mode is not FreshnessMode.MAX_AGE:
        if max_age is not None and not any(kind.signs_time for kind in kinds):
            expected = "no such key: the evidence of these kinds carries no time"
            raise PolicyError((*path, "max_age"), "an age", expected)
        return Freshness(mode, max_age)
    if max_age is None:
        raise PolicyError((*path, "max_age"), "nothing", "an age, as 30m")
    timeless = sorted({kind.name for kind in kinds if not kind.signs_time})
    if timeless:
        expected = "exporter or nonce: their evidence carries no time"
        raise PolicyError((*path, "max_age"), f"an age for {', '.join(timeless)}", expected)
    return Freshness(mode, max_age)


def _binding(found: object, freshness: Freshness) -> Binding:
    if found is None:
        return Binding.CLAIMS_BUFFER
    binding = choice(Binding, found, ("binding",))
    if freshness.mode is FreshnessMode.EXPORTER and binding not in _WITH_EXPORTER:
        expected = "claims-buffer or spki, or a freshness other than exporter"
        raise PolicyError(("binding",), f"{binding}, which has no room for an exporter", expected)
    return binding


def _key_origins(policy: Mapping[str, object], freshness: Freshness) -> frozenset[KeyOrigin]:
    found = policy.get("key_origin")
    if found is None:
        return frozenset({KeyOrigin.INSIDE})
    path: Path = ("key_origin",)
    items = [found] if isinstance(found, str) else each(found, path, "a list of origins")
    origins = [choice(KeyOrigin, item, (*path, index)) for index, item in enumerate(items)]
    if not origins:
        raise PolicyError(path, "no origin", "one at least")
    by_connection = "freshness" in policy and freshness.mode is FreshnessMode.EXPORTER
    for index, origin in enumerate(origins):
        if origin in {KeyOrigin.RELEASED, KeyOrigin.IMPORTED} and not by_connection:
            expected = "freshness: {mode: exporter} beside it: others hold that key too"
            raise PolicyError((*path, index), origin, expected)
    return frozenset(origins)


def _says(policy: Mapping[str, object], key: str, word: str) -> bool:
    """Read a key that has one word, or is left out."""
    if key not in policy:
        return False
    if policy[key] != word:
        raise PolicyError((key,), short(policy[key]), f"{word}, or no such key")
    return True


def _claims(found: object) -> Mapping[str, Claim]:
    claims: dict[str, Claim] = {}
    for name, value in ({} if found is None else mapping(found, ("claims",))).items():
        if not isinstance(value, str | int):
            raise PolicyError(("claims", name), short(value), "text, a number, true or false")
        claims[name] = value
    return MappingProxyType(claims)


def _manifest(found: object) -> ManifestDemand | None:
    path: Path = ("manifest",)
    if found is None:
        return None
    if isinstance(found, str):
        return ManifestDemand(_manifest_digest(found, path), MappingProxyType({}))
    value = mapping(found, path)
    digest = value.pop("digest", None)
    fields: dict[str, Field] = {}
    for name, wanted in value.items():
        try:
            fields[name] = parse_field(name, wanted)
        except MalformedEvidence as error:
            raise PolicyError((*path, name), short(wanted), str(error)) from error
    if digest is None and not fields:
        raise PolicyError(path, "no demand", "sha256:… or fields that it must have")
    pinned = None if digest is None else _manifest_digest(digest, (*path, "digest"))
    return ManifestDemand(pinned, MappingProxyType(fields))


def _manifest_digest(found: object, path: Path) -> bytes:
    digits = text(found, path)
    if not digits.startswith("sha256:"):
        raise PolicyError(path, short(found), "sha256: and 64 hexadecimal digits")
    return hexadecimal(digits.removeprefix("sha256:"), DIGEST, path)


def _ownership(found: object, read_file: Callable[[str], bytes]) -> OwnershipDemand | None:
    if found is None:
        return None
    path: Path = ("ownership",)
    value = mapping(found, path, ("ca", "name"))
    name = text(value.get("name"), (*path, "name"))
    if len(name) > _MAX_NAME or not name.isascii():
        raise PolicyError((*path, "name"), short(name), "a DNS name")
    file = text(value.get("ca"), (*path, "ca"))
    try:
        [ca] = split_pem(read_file(file), 1)
    except (OSError, ValueError) as error:
        # A ValueError: no such certificate, or a name that no file can have.
        expected = "a file with one certificate in PEM"
        raise PolicyError((*path, "ca"), f"{short(file)}: {error}", expected) from error
    return OwnershipDemand(ca, name)


def _digest(policy: Mapping[str, object], ownership: OwnershipDemand | None) -> bytes:
    """Hash all that was said, and the CA itself: its file may change under the same name."""
    said = [dict(policy), None if ownership is None else ownership.ca]
    try:
        encoded = cbor2.dumps(said, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise PolicyError((), "a value of no plain type", "text, numbers, lists, maps") from error
    return hashlib.sha256(encoded).digest()
