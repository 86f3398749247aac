"""Reading demands: what stands in a set is taken in its shape, or refused with its path."""

import pytest

from attestation.checks import Outcome
from attestation.demands import DemandReader, equals
from attestation.errors import PolicyError

PATH = ("accept", 0, "kind")


def test_what_is_left_out_demands_nothing() -> None:
    """Every reader answers with nothing, and the set still ends well."""
    reader = DemandReader({}, PATH)
    assert reader.hexadecimal("a", 1) is None
    assert reader.hexadecimals("b", 1) == frozenset()
    assert reader.indexed("c", range(4), 1) == {}
    assert reader.numbers("d", ("x",), 9) == {}
    assert reader.number("e", 9, 3) == 3
    assert reader.words("f") == frozenset()
    assert reader.flag("g") is False
    assert not reader.names("a")
    reader.end(pins=True)


def test_what_stands_there_is_taken() -> None:
    """In each shape."""
    found = {"a": "0A", "b": ["01", "02"], "c": {3: "ff"}, "d": {"x": 9}, "e": 0, "f": ["w"]}
    reader = DemandReader({**found, "g": True}, PATH)
    assert reader.hexadecimal("a", 1) == b"\x0a"
    assert reader.hexadecimals("b", 1) == {b"\1", b"\2"}
    assert reader.indexed("c", range(4), 1) == {3: b"\xff"}
    assert reader.numbers("d", ("x",), 9) == {"x": 9}
    assert reader.number("e", 9, 3) == 0
    assert reader.words("f", ("w",)) == {"w"}
    assert reader.flag("g")
    assert reader.names("a")
    reader.end(pins=True)


def test_a_key_that_nobody_read_is_an_error() -> None:
    """It would demand something, and nothing would be checked."""
    reader = DemandReader({"flags": True}, PATH)
    reader.flag("flag")
    with pytest.raises(PolicyError, match=r"found 'flags', expected one of .*did you mean flag"):
        reader.end(pins=True)


@pytest.mark.parametrize("key", [1, None, True, (1, 2)])
def test_a_key_that_is_no_text_is_an_error(key: object) -> None:
    """YAML has keys of every kind."""
    reader = DemandReader({key: 1}, PATH)
    with pytest.raises(PolicyError, match=r"accept\.0\.kind: found"):
        reader.end(pins=True)


@pytest.mark.parametrize("index", [4, -1, "0", True, 0.0, None])
def test_an_index_is_one_of_those_that_exist(index: object) -> None:
    """True is not register 1, nor is 0.0 register 0."""
    reader = DemandReader({"rtmr": {index: "00"}}, PATH)
    with pytest.raises(PolicyError, match=r"accept\.0\.kind\.rtmr: found"):
        reader.indexed("rtmr", range(4), 1)


def test_an_empty_list_is_an_error() -> None:
    """A list of what may be that a template left empty would let all pass."""
    reader = DemandReader({"a": [], "b": {}}, PATH)
    for read in (
        lambda: reader.hexadecimals("a", 1),
        lambda: reader.words("a"),
        lambda: reader.numbers("b", ("x",), 9),
        lambda: reader.indexed("b", range(4), 1),
    ):
        with pytest.raises(PolicyError, match=r"found an empty (list|mapping)"):
            read()


@pytest.mark.parametrize("value", ["0", "zz", " 00", "0 0", "", 0, b"00", None, ["00"]])
def test_hexadecimal_is_exact(value: object) -> None:
    """No blanks, no half bytes, no numbers that YAML made of digits."""
    with pytest.raises(PolicyError, match=r"accept\.0\.kind\.a"):
        DemandReader({"a": value}, PATH).hexadecimal("a", 1)


def test_a_set_without_a_measurement_says_so() -> None:
    """Or is an error."""
    with pytest.raises(PolicyError, match="insecure_any_measurement: true"):
        DemandReader({}, PATH).end(pins=False)
    DemandReader({"insecure_any_measurement": True}, PATH).end(pins=False)


def test_equality_is_of_all_bytes() -> None:
    """A prefix is another value, and so is nothing."""
    assert equals("x", b"ab", b"ab").outcome is Outcome.PASSED
    for found in (b"a", b"abc", b"", None):
        assert equals("x", found, b"ab").outcome is Outcome.FAILED
