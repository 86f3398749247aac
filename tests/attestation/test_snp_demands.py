"""Demands on SEV-SNP reports: every key in its shape, every demand a check."""

from collections.abc import Mapping

import pytest

from attestation.checks import Outcome
from attestation.claims import Claims
from attestation.errors import PolicyError
from attestation.snp_demands import read_demands
from tests.attestation.snp_builder import CHIP, MEASUREMENT, TCB

PATH = ("accept", 1, "sev-snp")
PINS: Mapping[str, object] = {"measurement": MEASUREMENT.hex()}
CLAIMS = Claims(
    kind="sev-snp",
    measurements={"measurement": MEASUREMENT, "id_key_digest": b"i" * 48},
    bound_data=bytes(64),
    valid_until=0,
    chip_id=CHIP,
    product="Milan",
    tcb=TCB,
    fields={
        "vmpl": b"\1\0\0\0",
        "policy": (0x3001F).to_bytes(8, "little"),
        "csp_id": b"CN=cloud.example",
        "host_data": b"h" * 32,
    },
)


@pytest.mark.parametrize(
    ("demands", "names"),
    [
        ({"max_vmpl": 1}, {"vmpl"}),
        ({"minimum_tcb": {"snp": 24, "microcode": 1}}, {"minimum_tcb.snp"}),
        ({"products": ["Milan"], "refused_products": ["Turin"]}, {"product", "refused_product"}),
        ({"chip_ids": [CHIP.hex()]}, {"chip_allowed"}),
        ({"csp_ids": ["CN=cloud.example"]}, {"csp_allowed"}),
        ({"host_data": "68" * 32, "id_key_digest": "69" * 48}, {"host_data", "id_key_digest"}),
        ({}, {"measurement", "migration"}),
    ],
)
def test_each_demand_that_is_met_passes(demands: dict[str, object], names: set[str]) -> None:
    """There is a check of its name, and no check fails."""
    checks = read_demands({"max_vmpl": 3, **PINS, **demands}, PATH).appraise(CLAIMS)
    assert {check.outcome for check in checks} == {Outcome.PASSED}
    assert names <= {check.name for check in checks}


@pytest.mark.parametrize(
    ("demands", "name"),
    [
        ({"max_vmpl": 0}, "vmpl"),
        ({}, "vmpl"),
        ({"minimum_tcb": {"snp": 25}}, "minimum_tcb.snp"),
        ({"minimum_tcb": {"fmc": 0}}, "minimum_tcb.fmc"),
        ({"products": ["Turin"]}, "product"),
        ({"refused_products": ["Milan"]}, "refused_product"),
        ({"chip_ids": ["00" * 64]}, "chip_allowed"),
        ({"csp_ids": ["CN=another"]}, "csp_allowed"),
        ({"author_key_digest": "00" * 47 + "01"}, "author_key_digest"),
    ],
)
def test_each_demand_that_is_not_met_fails(demands: dict[str, object], name: str) -> None:
    """Exactly the check of its name fails; a part or digest that is missing fails too."""
    loose = {} if name == "vmpl" else {"max_vmpl": 1}
    checks = read_demands({**PINS, **loose, **demands}, PATH).appraise(CLAIMS)
    assert [check.name for check in checks if check.outcome is not Outcome.PASSED] == [name]


def test_claims_that_say_nothing_meet_nothing() -> None:
    """What a kind leaves out of its claims is never taken for what was asked."""
    bare = Claims("sev-snp", {}, b"", 0)
    demands = {**PINS, "chip_ids": [CHIP.hex()], "csp_ids": ["x"], "products": ["Milan"]}
    checks = read_demands(demands, PATH).appraise(bare)
    assert {check.outcome for check in checks} == {Outcome.FAILED}


def test_migration_is_refused_unless_it_is_allowed() -> None:
    """A migration agent could carry the guest's memory away."""
    fields = {"vmpl": bytes(4), "policy": (0x7001F).to_bytes(8, "little")}
    moving = Claims("sev-snp", {"measurement": MEASUREMENT}, b"", 0, fields=fields)
    checks = read_demands(PINS, PATH).appraise(moving)
    assert [c.name for c in checks if c.outcome is Outcome.FAILED] == ["migration"]
    allowed = read_demands({**PINS, "allow_migration": True}, PATH).appraise(moving)
    assert {check.outcome for check in allowed} == {Outcome.PASSED}


@pytest.mark.parametrize(
    ("found", "where"),
    [
        ({}, "no measurement"),
        ({"host_data": "68" * 32}, "no measurement"),
        ({"insecure_any_measurement": False}, "no measurement"),
        ({**PINS, "mesurement": "00"}, "did you mean measurement"),
        ({"measurement": "00" * 47}, "measurement: found"),
        ({"measurement": 12}, "measurement: found 12"),
        ({"measurement": None}, "measurement: found nothing"),
        ({"id_key_digest": "00" * 48}, "id_key_digest: found zeros"),
        ({**PINS, "max_vmpl": 4}, "max_vmpl: found 4, expected a number from 0 to 3"),
        ({**PINS, "max_vmpl": True}, "max_vmpl: found True"),
        ({**PINS, "minimum_tcb": {"snp": 256}}, "minimum_tcb.snp: found 256"),
        ({**PINS, "minimum_tcb": {"bootloder": 1}}, "did you mean bootloader"),
        ({**PINS, "products": ["Milano"]}, "products.0: found 'Milano'"),
        ({**PINS, "chip_ids": "ab"}, "chip_ids: found 'ab', expected a list"),
        ({**PINS, "csp_ids": [""]}, "csp_ids.0: found ''"),
        ({**PINS, "allow_migration": "yes"}, "allow_migration: found 'yes'"),
        (["measurement"], "expected a mapping"),
    ],
)
def test_what_is_not_of_its_shape_is_refused(found: object, where: str) -> None:
    """With the path that leads to it, what stands there and what may."""
    with pytest.raises(PolicyError) as error:
        read_demands(found, PATH)
    assert where in str(error.value)
    assert str(error.value).startswith("accept.1.sev-snp")


def test_a_set_may_say_that_it_pins_nothing() -> None:
    """Only in so many words."""
    assert not read_demands({"insecure_any_measurement": True}, PATH).pins


def test_zeros_are_no_measurement_of_a_genuine_guest() -> None:
    """A policy that asks for them is told apart."""
    assert read_demands({"measurement": "00" * 48}, PATH).allows_debug_values
    assert not read_demands(PINS, PATH).allows_debug_values
    assert read_demands(PINS, PATH).kind == "sev-snp"
