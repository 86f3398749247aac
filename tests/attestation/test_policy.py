"""A policy: strict where nothing is said, and every mistake named with its path."""

import pytest

from attestation import (
    AttestationError,
    Binding,
    EvidenceKind,
    FreshnessMode,
    KeyOrigin,
    MeasurementSet,
    PolicyError,
    read_policy,
)
from attestation.simulated import Simulated
from tests.attestation.enclaves import (
    KINDS,
    MANIFEST,
    TEE,
    Authority,
    measured,
    no_file,
    policy,
)

SETS = [measured(TEE)]
NITRO = {"nitro": {"pcrs": {0: "11" * 48}}}
SNP = {"sev-snp": {"measurement": "11" * 48}}
TDX = {"tdx": {"mr_td": "11" * 48}}
AUTHORITY = Authority()


def test_the_defaults_are_strict() -> None:
    """A policy with measurements alone asks for the connection, our claims, a key made inside."""
    found = read_policy({"accept": [NITRO]}, KINDS, no_file)
    assert found.freshness.mode is FreshnessMode.EXPORTER
    assert found.binding is Binding.CLAIMS_BUFFER
    assert found.key_origins == {KeyOrigin.INSIDE}
    assert not found.allow_debug
    assert not found.allow_simulated
    assert not found.ticket_keys_inside
    assert not found.shared_ticket_keys
    assert (dict(found.claims), found.manifest, found.ownership) == ({}, None, None)
    assert found.named == {"accept"}


def test_the_contract_example_is_read() -> None:
    """Every key at once, with sets of three kinds."""
    found = read_policy(
        {
            "accept": [NITRO, SNP, TDX],
            "allow_debug": False,
            "allow_simulated": False,
            "freshness": {"mode": "exporter"},
            "binding": "claims-buffer",
            "key_origin": ["inside"],
            "ticket_keys": "inside",
            "shared_ticket_keys": "equal_measurement",
            "claims": {"service": "app", "replicas": 3, "canary": False},
            "manifest": "sha256:" + "9c" * 32,
            "ownership": {"ca": "parent-ca.pem", "name": "app.example.com"},
        },
        KINDS,
        {"parent-ca.pem": AUTHORITY.pem}.__getitem__,
    )
    assert [one.kind for one in found.accept] == ["nitro", "sev-snp", "tdx"]
    assert found.manifest is not None
    assert found.manifest.digest == b"\x9c" * 32
    assert found.ownership is not None
    assert found.ownership.name == "app.example.com"
    assert found.claims == {"service": "app", "replicas": 3, "canary": False}


@pytest.mark.parametrize(
    ("keys", "path", "expected"),
    [
        ({"accept": []}, "accept", "one at least"),
        ({"accept": None}, "accept", "a value"),
        ({"accept": {}}, "accept", "a list of sets"),
        ({"accept": [{}]}, "accept.0", "one kind"),
        ({"accept": [NITRO | SNP]}, "accept.0", "one kind"),
        ({"accept": [{"nitr": {}}]}, "accept.0", "did you mean nitro"),
        ({"accept": [{"nitro": {}}]}, "accept.0.nitro", "insecure_any_measurement"),
        (
            {"accept": [{"nitro": {"pcrs": {0: "00" * 48}}}]},
            "accept.0.nitro",
            "allow_debug: true",
        ),
        ({"allow_simulated": False}, "accept.0.simulated", "allow_simulated: true"),
        ({"allow_debug": "yes"}, "allow_debug", "true or false"),
        ({"alow_debug": True}, "the policy", "did you mean allow_debug"),
        ({"freshness": "exporter"}, "freshness", "a mapping"),
        ({"freshness": {"mode": "none"}}, "freshness.mode", "one of exporter, nonce, max_age"),
        ({"freshness": {"mode": "max_age"}}, "freshness.max_age", "as 30m"),
        ({"freshness": {"max_age": 30}}, "freshness.max_age", "with its unit"),
        ({"freshness": {"max_age": None}}, "freshness.max_age", "a value"),
        ({"accept": [SNP], "freshness": {"max_age": "30m"}}, "freshness.max_age", "no time"),
        ({"accept": [NITRO, TDX], "freshness": {"max_age": "30m"}}, "freshness.max_age", "no time"),
        ({"binding": "any"}, "binding", "one of claims-buffer"),
        ({"binding": ["spki"]}, "binding", "one of claims-buffer"),
        ({"binding": "evervault"}, "binding", "freshness other than exporter"),
        ({"binding": "dstack", "freshness": {"mode": "exporter"}}, "binding", "other than"),
        ({"key_origin": []}, "key_origin", "one at least"),
        ({"key_origin": 5}, "key_origin", "a list of origins"),
        ({"key_origin": ["outside"]}, "key_origin.0", "one of inside"),
        ({"key_origin": ["inside", "imported"]}, "key_origin.1", "mode: exporter"),
        (
            {"key_origin": "released", "freshness": {"mode": "nonce"}},
            "key_origin.0",
            "mode: exporter",
        ),
        ({"ticket_keys": "outside"}, "ticket_keys", "inside"),
        ({"shared_ticket_keys": True}, "shared_ticket_keys", "equal_measurement"),
        ({"claims": []}, "claims", "a mapping"),
        ({"claims": {"a": 1.5}}, "claims.a", "text, a number"),
        ({"claims": {"a": None}}, "claims.a", "a value"),
        ({"manifest": "9c" * 32}, "manifest", "sha256:"),
        ({"manifest": "sha256:9c"}, "manifest", "64 hexadecimal digits"),
        ({"manifest": {}}, "manifest", "fields that it must have"),
        ({"manifest": {"digest": None}}, "manifest.digest", "a value"),
        ({"manifest": {"digest": "x"}}, "manifest.digest", "sha256:"),
        ({"manifest": {"colour": "red"}}, "manifest.colour", "no field"),
        ({"manifest": {"ports": "8443"}}, "manifest.ports", "list of ports"),
        ({"manifest": 5}, "manifest", "a mapping"),
        ({"ownership": {"ca": "ca.pem"}}, "ownership.name", "text"),
        ({"ownership": {"ca": "ca.pem", "name": "a" * 254}}, "ownership.name", "a DNS name"),
        ({"ownership": {"ca": "none.pem", "name": "a"}}, "ownership.ca", "one certificate"),
        ({"ownership": {"ca": "two.pem", "name": "a"}}, "ownership.ca", "one certificate"),
        ({"ownership": {"ca": "ca.pem", "name": "a", "x": 1}}, "ownership", "one of ca, name"),
    ],
)
def test_a_mistake_is_named_with_its_path(
    keys: dict[str, object], path: str, expected: str
) -> None:
    """Nothing that is written is ignored, and nothing that is missing opens a door."""
    files = {"ca.pem": AUTHORITY.pem, "two.pem": AUTHORITY.pem * 2}

    def read_file(name: str) -> bytes:
        return files[name] if name in files else no_file(name)

    found = {"accept": SETS, "allow_simulated": True, **keys}
    with pytest.raises(PolicyError, match=expected) as caught:
        read_policy(found, KINDS, read_file)
    assert (".".join(map(str, caught.value.path)) or "the policy") == path


@pytest.mark.parametrize("found", [None, [], "accept", {}, {"allow_debug": True}])
def test_an_empty_policy_is_an_error(found: object) -> None:
    """What accepts nothing, or anything, is no policy."""
    with pytest.raises(PolicyError):
        read_policy(found, KINDS, no_file)


def test_zeros_are_accepted_where_debug_is() -> None:
    """The measurements of a debug TEE can be pinned, with the switch beside them."""
    zeros = {"nitro": {"pcrs": {0: "00" * 48}}}
    assert policy(accept=[zeros], allow_debug=True).accept[0].allows_debug_values


def test_an_age_may_stand_beside_another_mode() -> None:
    """With an exporter or a nonce an age is one check more, also where some kinds sign no time."""
    found = policy(accept=[NITRO, SNP], freshness={"mode": "nonce", "max_age": "30m"})
    assert (found.freshness.mode, found.freshness.max_age) == (FreshnessMode.NONCE, 1800)
    assert policy(freshness={"max_age": "30m"}).freshness.mode is FreshnessMode.MAX_AGE


def test_keys_from_outside_are_accepted_with_an_exporter() -> None:
    """Released and imported keys need freshness that is bound to the connection, in words."""
    found = policy(freshness={"mode": "exporter"}, key_origin=["released", "imported"])
    assert found.key_origins == {KeyOrigin.RELEASED, KeyOrigin.IMPORTED}


def test_fields_of_a_manifest_can_be_demanded() -> None:
    """By their values, with or without the whole digest."""
    found = policy(manifest={"service": "app", "ports": [9443, 8443]}).manifest
    assert found is not None
    assert found.digest is None
    assert found.fields == {"service": "app", "ports": (8443, 9443)}
    assert dict(MANIFEST.fields())["service"] == "app"


class _Lax(Simulated):
    """A kind that takes anything for a set of demands."""

    def demands(self, found: object, path: tuple[str | int, ...]) -> MeasurementSet:
        return super().demands(measured(TEE)["simulated"], path)


def test_a_value_of_no_plain_type_is_refused() -> None:
    """What has no bytes has no digest, and a cache could not tell it apart."""
    found = {"accept": [{"simulated": object()}], "allow_simulated": True}
    with pytest.raises(PolicyError, match="a value of no plain type"):
        read_policy(found, {"simulated": _Lax()}, no_file)


def test_two_policies_with_one_digest_say_the_same() -> None:
    """The order of keys does not matter; a value does, and so does what is in the CA's file."""
    assert policy(claims={"a": 1, "b": 2}).digest == policy(claims={"b": 2, "a": 1}).digest
    assert policy(claims={"a": 1}).digest != policy(claims={"a": 2}).digest
    owner = {"ca": "ca.pem", "name": "app.example.com"}
    one = policy({"ca.pem": AUTHORITY.pem}, ownership=owner)
    other = policy({"ca.pem": Authority().pem}, ownership=owner)
    assert one.digest != other.digest


class _Strange(Simulated):
    """A kind whose demands are those of another, or none at all."""

    def __init__(self, made: MeasurementSet | None) -> None:
        super().__init__()
        self._made = made

    def demands(self, found: object, path: tuple[str | int, ...]) -> MeasurementSet:
        return self._made  # type: ignore[return-value]  # None too: a plug-in may not be typed


@pytest.mark.parametrize(
    ("made", "said"), [(None, "AttributeError"), (policy().accept[0], "of the kind 'simulated'")]
)
def test_a_kind_whose_demands_are_none_is_told(made: MeasurementSet | None, said: str) -> None:
    """A plug-in that raises, or answers for another kind, is a mistake of who names it."""
    with pytest.raises(PolicyError, match=said) as caught:
        read_policy({"accept": [{"acme": {}}]}, {**KINDS, "acme": _Strange(made)}, no_file)
    assert caught.value.path == ("accept", 0, "acme")


def test_an_age_that_nothing_is_measured_by_is_refused() -> None:
    """Where no kind signs a time it would be written, and do nothing."""
    with pytest.raises(PolicyError, match=r"freshness\.max_age"):
        policy(accept=[SNP, TDX], freshness={"mode": "nonce", "max_age": "30m"})


class _Broken(dict[str, EvidenceKind]):
    """Kinds of which one cannot be loaded."""

    def __getitem__(self, name: str) -> EvidenceKind:
        raise AttestationError(f"the kind {name} is broken")


def test_a_kind_that_cannot_be_loaded_is_told_where_it_is_named() -> None:
    """A broken plug-in is a mistake of the policy that names it, with its place."""
    with pytest.raises(PolicyError, match="the kind simulated is broken") as caught:
        read_policy({"accept": [{"simulated": {}}]}, _Broken(KINDS), no_file)
    assert caught.value.path == ("accept", 0, "simulated")
