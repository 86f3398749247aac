"""The promises of sni.errors."""

from collections.abc import Iterator

import pytest

from sni import errors
from sni.alerts import AlertDescription
from sni.errors import BadServerName, HelloError, HelloFault


def _leaves(kind: type[HelloError] = HelloError) -> Iterator[type[HelloError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _leaves(child)


@pytest.mark.parametrize("kind", [*_leaves()])
def test_each_error_knows_its_fault_and_its_alert(kind: type[HelloError]) -> None:
    """The map from an error to its label and to what the client hears is total."""
    assert isinstance(kind.reason, HelloFault)
    assert kind.alert is None or isinstance(kind.alert, AlertDescription)


def test_each_fault_has_an_error() -> None:
    """No label stands for nothing."""
    assert {kind.reason for kind in _leaves()} == set(HelloFault)


def test_the_tree_at_the_top_is_the_tree() -> None:
    """The picture at the top of the module shows each error with its label and its alert."""
    rows = {row[1]: row[2:] for line in (errors.__doc__ or "").splitlines() if "── " in line
            if (row := line.replace("│", "").split())}  # fmt: skip
    assert rows.keys() == {kind.__name__ for kind in _leaves()}
    for kind in _leaves():
        label, alert, *_ = rows[kind.__name__]
        assert label == kind.reason.value
        assert alert == ("no" if kind.alert is None else kind.alert.name.lower())


def test_a_bad_name_is_a_bad_value() -> None:
    """A configuration that holds a bad name fails as any other bad value does."""
    assert issubclass(BadServerName, ValueError)
