"""A `scaling` block alone in a file."""

import pytest

from l4proxy.config import ConfigError
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.settings import read_policy


def test_a_block_becomes_a_policy() -> None:
    """What is left out is as the policy has it, and the slots come from elsewhere."""
    assert read_policy("text", "{}", 100) == ScalingPolicy(sessions_per_backend=100)
    assert read_policy("text", "max: 7", None) == ScalingPolicy(maximum=7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min: 2\nmin: 3", "stands twice"),
        ("min: 3\nmax: 2", "found 3 to 2 backends"),
        ("- 1", "expected a mapping"),
        ("{", "not YAML"),
    ],
)
def test_what_is_no_block_is_told(text: str, said: str) -> None:
    """Whatever is wrong with the text, with a value, or between two."""
    with pytest.raises(ConfigError) as caught:
        read_policy("text", text, 100)
    assert said in str(caught.value)
