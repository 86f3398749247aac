"""What a conformance test says: every fault, one a line."""

from l4proxy.conformance import NotConforming


def test_every_fault_is_told() -> None:
    """A test that fails with it shows them all."""
    error = NotConforming(["name: none", "run: does not end"])
    assert isinstance(error, AssertionError)
    assert error.faults == ("name: none", "run: does not end")
    assert str(error) == "name: none\nrun: does not end"
