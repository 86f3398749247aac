"""The names of pools, backends and hosts."""

import pytest

from l4proxy.config.mistakes import BadValueError
from l4proxy.config.names import (
    default_backend_name,
    read_backend_name,
    read_host_name,
    read_pattern,
    read_pool_name,
)
from routing import Address


@pytest.mark.parametrize("name", ["app", "App-2", "a.b_c", "a" * 63, "offline", "default"])
def test_pools_have_plain_names(name: str) -> None:
    """Letters, digits, dots, underscores and hyphens, a letter first."""
    assert read_pool_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "1", "-a", "a b", "a/b", "a\n", "é", "a" * 64, 5, True, (), "a'b", "{}", ".."]
)
def test_other_pool_names_are_refused(name: object) -> None:
    """What would be awkward in a path, a metric or a log is no name."""
    with pytest.raises(BadValueError, match="expected a name of letters"):
        read_pool_name(name)


@pytest.mark.parametrize("name", ["refuse", "off", "OFF", "no", "null", "True"])
def test_words_with_a_meaning_are_no_pools(name: str) -> None:
    """A route to a pool of such a name would be read as something else."""
    with pytest.raises(BadValueError, match="a meaning of its own"):
        read_pool_name(name)


@pytest.mark.parametrize(
    "name", ["enclave-b", "10.0.0.1:443", "[2001:db8::1]:443", f"[{':'.join(['ffff'] * 8)}]:65535"]
)
def test_backends_may_be_called_by_their_address(name: str) -> None:
    """Every address is a name as well."""
    assert read_backend_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\n", "é", "a" * 64, 5, "..", "-"])
def test_other_backend_names_are_refused(name: object) -> None:
    """What would be awkward in a path, a metric or a log is no name."""
    with pytest.raises(BadValueError, match="expected a name of letters"):
        read_backend_name(name)


def test_a_backend_is_called_by_its_address_or_its_file() -> None:
    """A path has slashes, which no name has."""
    assert default_backend_name(Address("2001:db8::1", 443)) == "[2001:db8::1]:443"
    assert default_backend_name(Address("/run/app/a.sock", 0)) == "a.sock"


def test_host_names_have_one_spelling() -> None:
    """Case and the root's dot make no difference."""
    assert read_host_name("Enclaves.Internal.") == read_host_name("enclaves.internal")


@pytest.mark.parametrize("name", ["", "a..b", "10.0.0.1", "::1", "a b", "*.a.b", "é", 5, True])
def test_other_host_names_are_refused(name: object) -> None:
    """An address is no name either."""
    with pytest.raises(BadValueError, match=r"expected a host name, such as app\.example\.com"):
        read_host_name(name)


def test_patterns_have_one_spelling() -> None:
    """Case and the root's dot make no difference."""
    assert read_pattern("*.Example.COM.") == read_pattern("*.example.com")


@pytest.mark.parametrize("name", ["a..b", "*", "a.*.b", "", "10.0.0.1", "a b", 5])
def test_other_patterns_are_refused(name: object) -> None:
    """What no server name can match is no pattern."""
    with pytest.raises(BadValueError):
        read_pattern(name)
