"""Demands on TDX quotes: every key in its shape, every demand a check."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from attestation.checks import Outcome
from attestation.claims import Claims
from attestation.errors import PolicyError
from attestation.tdx_demands import read_demands
from tests.attestation.tdx_builder import FMSPC, MR_TD, PPID

PATH = ("accept", 2, "tdx")
PINS: Mapping[str, object] = {"mr_td": MR_TD.hex()}
CLAIMS = Claims(
    kind="tdx",
    measurements={
        "mr_td": MR_TD,
        "rtmr0": b"0" * 48,
        "rtmr3": b"3" * 48,
        "mr_config_id": b"c" * 48,
        "mr_signer_seam": bytes(48),
        "mr_service_td": bytes(48),
    },
    bound_data=bytes(64),
    valid_until=0,
    chip_id=PPID,
    product=FMSPC.hex(),
    tcb_status="UpToDate",
    fields={"td_attributes": b"\0\0\0\x10\0\0\0\0", "seam_attributes": bytes(8)},
)


def _failed(demands: Mapping[str, object], claims: Claims) -> list[str]:
    checks = read_demands({**PINS, **demands}, PATH).appraise(claims)
    return [check.name for check in checks if check.outcome is Outcome.FAILED]


def _attributes(value: int) -> Claims:
    fields = {**CLAIMS.fields, "td_attributes": value.to_bytes(8, "little")}
    return replace(CLAIMS, fields=fields)


@pytest.mark.parametrize(
    ("demands", "name"),
    [
        ({"rtmr": {0: "30" * 48, 3: "33" * 48}}, "rtmr3"),
        ({"mr_config_id": "63" * 48}, "mr_config_id"),
        ({"tcb_status": ["OutOfDate", "UpToDate"]}, "tcb_status"),
        ({"fmspcs": [FMSPC.hex().upper()]}, "fmspc_allowed"),
        ({"chip_ids": [PPID.hex()]}, "chip_allowed"),
        ({"mr_signer_seam": "00" * 48}, "mr_signer_seam"),
    ],
)
def test_each_demand_that_is_met_passes(demands: dict[str, object], name: str) -> None:
    """There is a check of its name, and no check fails."""
    checks = read_demands({**PINS, **demands}, PATH).appraise(CLAIMS)
    assert {check.outcome for check in checks} == {Outcome.PASSED}
    assert name in {check.name for check in checks}


@pytest.mark.parametrize(
    ("demands", "name"),
    [
        ({"rtmr": {0: "31" * 48}}, "rtmr0"),
        ({"rtmr": {1: "00" * 48}}, "rtmr1"),
        ({"mr_owner": "00" * 48}, "mr_owner"),
        ({"tcb_status": ["OutOfDate"]}, "tcb_status"),
        ({"fmspcs": ["00" * 6]}, "fmspc_allowed"),
        ({"chip_ids": ["00" * 16]}, "chip_allowed"),
    ],
)
def test_each_demand_that_is_not_met_fails(demands: dict[str, object], name: str) -> None:
    """Exactly the check of its name; a field that is missing is not zero."""
    assert _failed(demands, CLAIMS) == [name]


@pytest.mark.parametrize(
    ("attributes", "name", "allowance"),
    [
        (0, "sept_ve_disable", {"allow_sept_ve_enabled": True}),
        (1 << 28 | 1 << 29, "migration", {"allow_migration": True}),
        (1 << 28 | 1 << 8, "td_attributes", None),
        (1 << 28 | 1 << 61, "td_attributes", None),
    ],
)
def test_attributes_weaken_a_guest(
    attributes: int, name: str, allowance: dict[str, object] | None
) -> None:
    """Some may be allowed by name, reserved ones never."""
    assert _failed({}, _attributes(attributes)) == [name]
    if allowance:
        assert _failed(allowance, _attributes(attributes)) == []


def test_what_intel_signs_is_intels() -> None:
    """A TDX module of another signer, with attributes, or a service TD: none unless pinned."""
    measurements = {**CLAIMS.measurements, "mr_signer_seam": b"s" * 48, "mr_service_td": b"t" * 48}
    fields = {**CLAIMS.fields, "seam_attributes": b"\1" * 8}
    strange = replace(CLAIMS, measurements=measurements, fields=fields)
    assert _failed({}, strange) == ["mr_signer_seam", "seam_attributes", "mr_service_td"]
    pinned = {"mr_signer_seam": "73" * 48, "mr_service_td": "74" * 48}
    assert _failed(pinned, strange) == ["seam_attributes"]


def test_a_status_is_up_to_date_unless_the_policy_names_others() -> None:
    """Nor is one met of which nothing is known, unless the policy says that it will do."""
    assert _failed({}, replace(CLAIMS, tcb_status="OutOfDate")) == ["tcb_status"]
    unknown = replace(CLAIMS, tcb_status=None)
    for demands in ({}, {"tcb_status": ["UpToDate"]}):
        asked = read_demands({**PINS, **demands}, PATH).appraise(unknown)
        assert [c.name for c in asked if c.outcome is Outcome.NOT_MADE] == ["tcb_status"]
    allowing = {**PINS, "allow_unknown_tcb": True}
    allowed = read_demands(allowing, PATH).appraise(unknown)
    assert {check.outcome for check in allowed} == {Outcome.PASSED}
    assert _failed(allowing, replace(CLAIMS, tcb_status="OutOfDate")) == ["tcb_status"]


def test_claims_that_say_nothing_meet_nothing() -> None:
    """What a kind leaves out of its claims is never taken for what was asked."""
    bare = Claims("tdx", {}, b"", 0)
    demands = {"fmspcs": [FMSPC.hex()], "chip_ids": [PPID.hex()]}
    lists = ["fmspc_allowed", "chip_allowed"]
    assert _failed(demands, bare) == ["mr_td", "td_attributes", "migration", *lists]


@pytest.mark.parametrize(
    ("found", "where"),
    [
        ({}, "no measurement"),
        ({"rtmr": {0: "00" * 48}}, "no measurement"),
        ({"mr_config_id": "00" * 48}, "no measurement"),
        ({**PINS, "mrtd": "00"}, "did you mean mr_td"),
        ({**PINS, "rtmr": {4: "00" * 48}}, "rtmr: found 4"),
        ({**PINS, "rtmr": ["00" * 48]}, "rtmr: found"),
        ({**PINS, "tcb_status": []}, "tcb_status: found an empty list"),
        ({**PINS, "tcb_status": ["Revoked"]}, "tcb_status.0: found 'Revoked'"),
        ({**PINS, "tcb_status": "UpToDate"}, "expected a list"),
        ({**PINS, "fmspcs": ["00"]}, "fmspcs.0: found"),
        ({**PINS, "fmspcs": []}, "fmspcs: found an empty list"),
        ({**PINS, "rtmr": {}}, "rtmr: found an empty mapping"),
        ({**PINS, "allow_sept_ve_enabled": 1}, "expected true or false"),
    ],
)
def test_what_is_not_of_its_shape_is_refused(found: object, where: str) -> None:
    """With the path that leads to it, what stands there and what may."""
    with pytest.raises(PolicyError) as error:
        read_demands(found, PATH)
    assert where in str(error.value)
    assert str(error.value).startswith("accept.2.tdx")


def test_zeros_are_no_measurement_of_a_genuine_guest() -> None:
    """A policy that asks for them is told apart."""
    assert read_demands({"mr_td": "00" * 48}, PATH).allows_debug_values
    assert not read_demands(PINS, PATH).allows_debug_values
    assert not read_demands({"insecure_any_measurement": True}, PATH).allows_debug_values
    assert read_demands(PINS, PATH).kind == "tdx"
