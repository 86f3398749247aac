"""Single values: what is taken, what is said of the rest, what is written back."""

from collections.abc import Callable
from enum import StrEnum

import pytest

from l4proxy.config.mistakes import BadValueError, Nothing
from l4proxy.config.scalars import (
    AUTO,
    OFF,
    Scalar,
    choice,
    duration,
    or_word,
    parsed,
    protocol,
    size,
    switch,
    text,
    truth,
    whole,
)


class Shade(StrEnum):
    """Words for the tests, of which one switches off."""

    OFF = "off"
    DARK = "dark"


class Colour(StrEnum):
    """Words for the tests."""

    RED = "red"
    BLUE = "blue"


READERS: dict[str, Callable[[object], object]] = {
    "duration": duration("1s", "1m").read,
    "size": size("1KiB", "64KiB").read,
    "whole": whole(1, 64).read,
    "truth": truth().read,
    "switch": switch().read,
    "shade": choice(Shade).read,
    "text": text("a word", "[a-z]+").read,
    "protocol": protocol().read,
    "choice": choice(Colour).read,
    "or_word": or_word(AUTO, whole(1, 64)).read,
}


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        ("duration", "1s", 1.0),
        ("duration", "60000ms", 60.0),
        ("size", "1KiB", 1024),
        ("size", "64KiB", 65_536),
        ("whole", 1, 1),
        ("whole", 64, 64),
        ("truth", True, True),
        ("truth", False, False),
        ("switch", True, True),
        ("switch", "off", False),
        ("switch", "on", True),
        ("shade", False, Shade.OFF),
        ("shade", "off", Shade.OFF),
        ("shade", "dark", Shade.DARK),
        ("text", "abc", "abc"),
        ("protocol", "h2", b"h2"),
        ("protocol", "x" * 255, b"x" * 255),
        ("choice", "red", Colour.RED),
        ("or_word", 5, 5),
        ("or_word", "auto", None),
    ],
)
def test_what_fits_is_read(kind: str, found: object, value: object) -> None:
    """Bounds are included, and the value is typed."""
    assert READERS[kind](found) == value


@pytest.mark.parametrize(
    ("kind", "found", "said"),
    [
        ("duration", 5, "a duration from 1s to 1m (a number needs its unit: did you mean 5s?)"),
        ("duration", "999ms", "found '999ms', expected a duration from 1s to 1m"),
        ("duration", "2m", "found '2m', expected a duration from 1s to 1m"),
        ("duration", "2 m", "(a whole number and its unit ms, s, m or h)"),
        ("duration", 1.5, "found 1.5"),
        ("duration", True, "found true"),
        ("size", 1024, "(a number needs its unit: did you mean 1024B?)"),
        ("size", "1023B", "found '1023B', expected a size from 1KiB to 64KiB"),
        ("size", "1MiB", "expected a size from 1KiB to 64KiB"),
        ("size", "64kB", "(a whole number and its unit B, KiB, MiB or GiB)"),
        ("size", (), "found a list"),
        ("whole", 0, "found 0, expected a whole number from 1 to 64"),
        ("whole", 65, "found 65"),
        ("whole", "5", "found '5'"),
        ("whole", True, "found true"),
        ("whole", 1.0, "found 1.0"),
        ("truth", 1, "found 1, expected true or false"),
        ("truth", "true", "found 'true'"),
        ("switch", "yes", "found 'yes', expected on or off"),
        ("switch", 1, "found 1, expected on or off"),
        ("shade", True, "found true, expected off or dark"),
        ("choice", False, "found false, expected red or blue"),
        ("text", "a1", "found 'a1', expected a word"),
        ("text", "a\n", r"found 'a\n'"),
        ("protocol", "", "expected an ALPN protocol name, such as h2 or http/1.1"),
        ("protocol", "x" * 256, "expected an ALPN protocol name"),
        ("protocol", "é", "expected an ALPN protocol name"),
        ("protocol", "h\n2", "expected an ALPN protocol name"),
        ("protocol", 2, "found 2"),
        ("choice", "rad", "found 'rad', expected red or blue (did you mean red?)"),
        ("choice", "bleu", "(did you mean blue?)"),
        ("choice", 5, "found 5, expected red or blue"),
        ("or_word", "off", "expected a whole number from 1 to 64, or auto"),
        ("or_word", False, "found false"),
        ("or_word", Nothing.NOTHING, "found nothing"),
    ],
)
def test_what_does_not_fit_is_explained(kind: str, found: object, said: str) -> None:
    """The message says what was found and what would be taken."""
    with pytest.raises(BadValueError) as caught:
        READERS[kind](found)
    assert said in str(caught.value)


@pytest.mark.parametrize("found", ["off", False])
def test_off_is_what_yaml_makes_of_it(found: object) -> None:
    """A bare `off` reaches us as false, a quoted one as text."""
    assert or_word(OFF, whole(1, 2)).read(found) is None


@pytest.mark.parametrize(
    ("scalar", "found"),
    [
        (duration("0s", "24h"), "90s"),
        (size("0B", "1GiB"), "64KiB"),
        (whole(1, 9), 5),
        (truth(), True),
        (text("x", "[a-z]+"), "abc"),
        (protocol(), "http/1.1"),
        (choice(Colour), "blue"),
        (choice(Shade), "off"),
        (choice(Shade), "dark"),
        (switch(), "on"),
        (switch(), "off"),
        (or_word(OFF, duration("0s", "1h")), "off"),
        (or_word(OFF, duration("0s", "1h")), "5s"),
        (parsed(str, str, "x"), "x"),
    ],
)
def test_what_is_read_is_written_back(scalar: Scalar[object], found: object) -> None:
    """A value is written as a text would say it."""
    assert scalar.write(scalar.read(found)) == found
