"""Where two configurations differ."""

import pytest

from l4proxy.config.differences import differences
from tests.l4proxy.config.texts import LEAST, parse


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (LEAST, ()),
        (LEAST + "refusal: alert\n", ()),
        (LEAST + "refusal: close\n", ("refusal",)),
        (
            LEAST.replace("app.example", "b.example") + "refusal: close",
            ("routes", "refusal", "pools.app"),
        ),
        (LEAST.replace("10.0.0.1", "10.0.0.2"), ("pools.app",)),
        (
            LEAST.replace("app: [", "api: [10.0.0.2:443], b: [").replace(": app", ": b"),
            ("routes", "pools.api", "pools.b", "pools.app"),
        ),
    ],
)
def test_the_keys_that_differ_are_named(text: str, keys: tuple[str, ...]) -> None:
    """Whether a default is written out makes no difference; pools are named one by one.

    One whose server name is that of its first route changes with the route.
    """
    found = differences(parse(LEAST), parse(text))
    assert sorted(found) == sorted(keys)
