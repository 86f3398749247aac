"""Paths of files and sockets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.config.mistakes import BadValueError
from l4proxy.config.paths import (
    MAX_PATH_BYTES,
    MAX_SOCKET_PATH_BYTES,
    parse_file_path,
    parse_socket_path,
)


@pytest.mark.parametrize("text", ["/a", "/run/a b.sock", "/run/é", "/.a/..b", "/a/~"])
def test_paths_are_absolute(text: str) -> None:
    """What stands there is what is used."""
    assert parse_file_path(text) == parse_socket_path(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run/a", "found 'run/a', expected an absolute path, such as /"),
        ("~/a", "expected an absolute path"),
        ("", "expected an absolute path"),
        ("/a\n", "expected an absolute path"),
        ("/a\x00", "expected an absolute path"),
        ("/\ud800", "expected an absolute path"),
        ("/", "(the root is a folder)"),
        ("//", "(the root is a folder)"),
        ("/..", "(the root is a folder)"),
        ("/run/", "(did you mean /run?)"),
        ("//run", "(did you mean /run?)"),
        ("/run/../a", "(did you mean /a?)"),
        ("/./a", "(did you mean /a?)"),
        (5, "found 5, expected an absolute path"),
        (True, "found true"),
        ((), "found a list"),
    ],
)
def test_a_path_has_one_spelling(text: object, said: str) -> None:
    """Another is refused, with the one that may be meant."""
    for parse in (parse_file_path, parse_socket_path):
        with pytest.raises(BadValueError) as caught:
            parse(text)
        assert said in str(caught.value)


def test_paths_are_bounded() -> None:
    """Longer ones would fail only when they are opened; bytes count, not characters."""
    longest = "/" + "a" * (MAX_PATH_BYTES - 1)
    assert parse_file_path(longest) == Path(longest)
    assert parse_socket_path(longest[:MAX_SOCKET_PATH_BYTES]) == Path(
        longest[:MAX_SOCKET_PATH_BYTES]
    )
    with pytest.raises(BadValueError, match=f"at most {MAX_PATH_BYTES} bytes"):
        parse_file_path("/" + "a" * MAX_PATH_BYTES)
    with pytest.raises(BadValueError, match=f"at most {MAX_SOCKET_PATH_BYTES} bytes"):
        parse_socket_path("/" + "é" * (MAX_SOCKET_PATH_BYTES // 2 + 1))


def test_a_prefix_is_no_part_of_the_path() -> None:
    """Messages have it, the path does not."""
    assert parse_socket_path("unix:/a", "unix:") == Path("/a")
    with pytest.raises(BadValueError, match=r"found 'unix:a', expected unix: and an absolute pat"):
        parse_socket_path("unix:a", "unix:")


@given(st.text(alphabet="/.ab", max_size=12))
def test_what_is_taken_is_unchanged(text: str) -> None:
    """A path is written back as it was read."""
    try:
        path = parse_file_path(text)
    except BadValueError:
        return
    assert str(path) == text
