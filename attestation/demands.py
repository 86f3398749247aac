"""Reads one set of a policy: each demand in its shape, and nothing that is not known.

What a policy names and nobody reads would fail open, so a key that is left over is an error.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from attestation.checks import Check, failed, passed
from attestation.errors import PolicyError
from attestation.policy_values import Path, hexadecimal, short, text

__all__ = ["INSECURE_ANY_MEASUREMENT", "DemandReader", "Path", "equals"]

_Name = TypeVar("_Name", str, int)
_Values = TypeVar("_Values", bound=Collection[object])

INSECURE_ANY_MEASUREMENT = "insecure_any_measurement"
"""The key that lets a set pin no measurement: whatever runs there is accepted."""


class DemandReader:
    """Takes the demands out of one mapping.

    Args:
        found: The value under the kind's name.
        path: Where it stands in the policy.

    Raises:
        PolicyError: It is no mapping.

    """

    def __init__(self, found: object, path: Path) -> None:
        if not isinstance(found, Mapping):
            raise PolicyError(path, short(found), "a mapping of demands")
        self._found: Mapping[object, object] = found
        self._path = path
        self._known: set[object] = set()

    def names(self, key: str) -> bool:
        """Say whether the set names `key`, whatever stands there."""
        return key in self._found

    def hexadecimal(self, key: str, size: int) -> bytes | None:
        """Return `size` bytes written in hexadecimal; None where the key is left out.

        Raises:
            PolicyError: It is something else.
        """
        value = self._take(key)
        return None if value is None else hexadecimal(value, size, (*self._path, key))

    def hexadecimals(self, key: str, size: int) -> frozenset[bytes]:
        """Return a list of such values; empty where the key is left out, and only then.

        Raises:
            PolicyError: It is something else.
        """
        values = self._list(key)
        return frozenset(
            hexadecimal(value, size, (*self._path, key, at)) for at, value in enumerate(values)
        )

    def indexed(self, key: str, indices: Collection[int], size: int) -> Mapping[int, bytes]:
        """Return such values by a register's number; empty where the key is left out.

        Raises:
            PolicyError: It is something else, or names another register.
        """
        path = (*self._path, key)
        return {
            _one_of(index, indices, path): hexadecimal(value, size, (*path, str(index)))
            for index, value in self._mapping(key).items()
        }

    def numbers(self, key: str, names: Collection[str], most: int) -> Mapping[str, int]:
        """Return numbers from 0 to `most` by name; empty where the key is left out.

        Raises:
            PolicyError: It is something else, or has another name.
        """
        path = (*self._path, key)
        return {
            _one_of(name, names, path): _number(value, most, (*path, str(name)))
            for name, value in self._mapping(key).items()
        }

    def number(self, key: str, most: int, default: int) -> int:
        """Return a number from 0 to `most`; `default` where the key is left out.

        Raises:
            PolicyError: It is something else.
        """
        value = self._take(key)
        return default if value is None else _number(value, most, (*self._path, key))

    def words(self, key: str, known: Collection[str] = ()) -> frozenset[str]:
        """Return a list of words, all `known` where any are given; empty where it is left out.

        Raises:
            PolicyError: It is something else, or has another word.
        """
        path = (*self._path, key)
        return frozenset(
            _one_of(value, known, (*path, at)) if known else text(value, (*path, at))
            for at, value in enumerate(self._list(key))
        )

    def flag(self, key: str) -> bool:
        """Return true or false; false where the key is left out.

        Raises:
            PolicyError: It is something else.
        """
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise PolicyError((*self._path, key), short(value), "true or false")

    def end(self, *, pins: bool) -> None:
        """Promise that every key was read and, by `pins`, that a measurement is demanded.

        Raises:
            PolicyError: A key is left over, or no measurement is pinned and the set does not say
                that it wants none.
        """
        insecure = self.flag(INSECURE_ANY_MEASUREMENT)
        for key in self._found:
            _one_of(key, [name for name in self._known if isinstance(name, str)], self._path)
        if not pins and not insecure:
            raise PolicyError(
                self._path, "no measurement", f"one, or {INSECURE_ANY_MEASUREMENT}: true"
            )

    def _take(self, key: str) -> object:
        self._known.add(key)
        if key in self._found and self._found[key] is None:
            raise PolicyError((*self._path, key), "nothing", "a value, or no such key")
        return self._found.get(key)

    def _list(self, key: str) -> list[object]:
        value = self._take(key)
        if value is None:
            return []
        if isinstance(value, list):
            return list(self._some(key, value, "list"))
        raise PolicyError((*self._path, key), short(value), "a list")

    def _mapping(self, key: str) -> Mapping[object, object]:
        value = self._take(key)
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return self._some(key, value, "mapping")
        raise PolicyError((*self._path, key), short(value), "a mapping")

    def _some(self, key: str, value: _Values, what: str) -> _Values:
        """A list of what may be that came out empty, of a template say, would let all pass."""
        if value:
            return value
        raise PolicyError((*self._path, key), f"an empty {what}", "one at least, or no such key")


def equals(name: str, found: bytes | None, expected: bytes) -> Check:
    """Return the check that a value is the one demanded."""
    if found == expected:
        return passed(name, expected.hex())
    return failed(name, "none" if found is None else found.hex(), expected.hex())


def _number(value: object, most: int, path: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise PolicyError(path, short(value), f"a number from 0 to {most}")


def _one_of(value: object, known: Collection[_Name], path: Path) -> _Name:
    for one in known:
        if one == value and type(one) is type(value):
            return one
    expected = f"one of {', '.join(sorted(map(str, known)))}"
    close = get_close_matches(str(value), [str(one) for one in known], n=1)
    if close:
        expected += f"; did you mean {close[0]}?"
    raise PolicyError(path, short(value), expected)
