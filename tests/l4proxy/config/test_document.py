"""YAML with places, within bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.config.document import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    MAX_VALUES,
    Spot,
    path_text,
    read_document,
)
from l4proxy.config.mistakes import ConfigError, Mistake, Nothing


def read(text: str) -> object:
    """Read a text without mistakes; return its values."""
    document = read_document(text, "c")
    assert not document.mistakes
    return document.value


def fault(text: str) -> Mistake:
    """Read a text that is no document; return the one thing that is said of it."""
    with pytest.raises(ConfigError) as caught:
        read_document(text, "c")
    (mistake,) = caught.value.mistakes
    return mistake


def test_values_are_plain() -> None:
    """Mappings, lists, texts, numbers, truths and nothing are what they look like."""
    text = "{a: [1, -2, 1.5], b: yes, c: off, d: ~, e: '1', f: , g: x}"
    assert read(text) == {
        "a": (1, -2, 1.5),
        "b": True,
        "c": False,
        "d": Nothing.NOTHING,
        "e": "1",
        "f": Nothing.NOTHING,
        "g": "x",
    }


@pytest.mark.parametrize(
    "text", ["010", "0x10", "1:30", "1_000", "1e3", ".inf", "2026-01-01", "=", "0b1", "9" * 40]
)
def test_numbers_are_plain_decimals(text: str) -> None:
    """What YAML 1.1 would read in base 8, 16 or 60 stays the text that it is."""
    assert read(text) == text


def test_keys_are_text() -> None:
    """A key is the text that stands there, whatever YAML would read it as."""
    assert read("{on: 1, 5: 2, ~: 3, 'x': 4}") == {"on": 1, "5": 2, "~": 3, "x": 4}


def test_places_count_from_one() -> None:
    """Each value remembers its line and column, and those of its key."""
    document = read_document("a:\n  - x\n  - b: y\n", "c")
    assert document.spots[()] == Spot((1, 1), (1, 1))
    assert document.spots["a", 0] == Spot((2, 5), (2, 5))
    assert document.spots["a", 1, "b"] == Spot((3, 8), (3, 5))


def test_a_mistake_is_placed_where_the_text_has_it() -> None:
    """Steps of the model that a shorthand leaves out are passed over."""
    document = read_document("pools:\n  app: [x, y]\n", "c")
    path = ("pools", "app", "backends", 1, "address")
    assert str(document.mistake(path, "m")) == "c:2:12: pools.app[1]: m"
    assert document.mistake(("pools", "app"), "m", at_key=True).column == 3


def test_what_is_missing_is_placed_where_it_belongs() -> None:
    """A key that is not there is named, at the beginning of its mapping."""
    document = read_document("pools:\n  app: {a: 1}\n", "c")
    assert str(document.missing(("pools", "app", "b"), "m")) == "c:2:8: pools.app.b: m"
    assert str(document.missing(("b",), "m")) == "c:1:1: b: m"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("pools", "app", "backends", 1, "weight"), "pools.app.backends[1].weight"),
        (("routes", "*.example.com", "pool"), "routes['*.example.com'].pool"),
        (("a\nb",), r"['a\nb']"),
    ],
)
def test_paths_read_like_code(path: tuple[str | int, ...], text: str) -> None:
    """Plain keys are joined by dots; what has dots of its own stands in brackets."""
    assert path_text(path) == text


def test_a_key_that_stands_twice_is_a_mistake() -> None:
    """YAML parsers keep the last one silently; here both are named by line."""
    (mistake,) = read_document("a: 1\nb: 2\na: 3\n", "c").mistakes
    assert str(mistake) == "c:3:1: a: this key stands twice; the first is on line 1"


def test_keys_are_words() -> None:
    """A list or a mapping is no key."""
    (mistake,) = read_document("a: 1\n? [x]\n: 2\n", "c").mistakes
    assert (mistake.line, mistake.column) == (2, 3)
    assert "found a list or a mapping as a key" in mistake.message


@pytest.mark.parametrize("text", ["!!python/name:os.system x", "!mine x", "!!set {a}", "!!omap []"])
def test_tags_are_mistakes(text: str) -> None:
    """A tag asks for another kind of value, and no setting has one."""
    (mistake,) = read_document(f"a: {text}", "c").mistakes
    assert (mistake.line, mistake.column, mistake.path) == (1, 4, "a")
    assert "expected a plain value" in mistake.message


def test_a_tag_changes_no_text_into_something_else() -> None:
    """A tag that contradicts its text leaves the text."""
    assert read("[!!int x, !!bool x, !!float x, !!null x]") == ("x", "x", "x", Nothing.NOTHING)


def test_aliases_repeat_values() -> None:
    """An anchor may say once what is meant twice."""
    assert read("{a: &t {x: 1}, b: *t}") == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: 'x", 1, 6, "unexpected end of stream"),
        ("a: b: c", 1, 5, "mapping values are not allowed here"),
        ("a:\n\tb: 1", 2, 1, "indentation is made of spaces"),
        ("routes:\n  *.example.com: app", 2, 4, 'in quotes: "*.example.com"'),
        ("a: *:443", 1, 5, "what begins with * stands in quotes"),
        ("a: *b", 1, 4, "undefined alias"),
        ("listeners:\n  - [::1]:443", 2, 6, 'in quotes: "[2001:db8::1]:443"'),
        ("a: 1\n--- b", 2, 1, "expected a single document"),
        ("a: [", 1, 5, "not YAML"),
        ("a\n\x00b", 2, 1, "U+0000 is no character of a text"),
        ("ab\ud800", 1, 3, "U+D800"),
        ("", 1, 1, "found nothing, expected a configuration"),
        ("# words\n", 1, 1, "found nothing"),
    ],
)
def test_what_is_no_yaml_is_placed(text: str, line: int, column: int, said: str) -> None:
    """A syntax error has line and column, and the common ones have a cure."""
    mistake = fault(text)
    assert (mistake.line, mistake.column) == (line, column)
    assert said in mistake.message


@pytest.mark.parametrize("text", ['"\\UFFFFFFFF"', f"%YAML 1.{'9' * 5000}\n--- a"])
def test_what_breaks_the_parser_is_still_a_mistake(text: str) -> None:
    """Errors that PyYAML lets through are no crash of ours."""
    assert "not YAML" in fault(text).message


def test_a_document_is_bounded_in_size() -> None:
    """The bound is in bytes and includes its last one."""
    assert read("#" * (MAX_DOCUMENT_BYTES - 2) + "\na") == "a"
    assert "bytes" in fault("é" * (MAX_DOCUMENT_BYTES // 2) + "a").message


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "- " * 5_000 + "a", "? " * 5_000]
)
def test_nesting_is_bounded(text: str) -> None:
    """Deep text is refused before it exhausts the stack."""
    assert f"over {MAX_DEPTH} levels" in fault(text).message


def test_nesting_up_to_the_bound_is_read() -> None:
    """The deepest level that is allowed is read."""
    assert read("[" * (MAX_DEPTH - 1) + "a" + "]" * (MAX_DEPTH - 1))
    assert "levels" in fault("[" * MAX_DEPTH + "a" + "]" * MAX_DEPTH).message


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: *a}", "a: &a\n  b: [*a]"])
def test_an_alias_of_what_holds_it_is_refused(text: str) -> None:
    """A value that contains itself has no end."""
    assert "aliases" in fault(text).message


def test_aliases_of_aliases_are_refused() -> None:
    """A few lines that mean a billion values are refused soon."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert str(MAX_VALUES) in fault("\n".join(lines)).message


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"%@,? \n\t#~", max_size=40))
def test_any_text_is_a_document_or_a_mistake(text: str) -> None:
    """Nothing but ConfigError is raised."""
    try:
        found = len(read_document(text, "c").spots)
    except ConfigError as error:
        found = len(error.mistakes)
    assert found
