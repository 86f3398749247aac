"""What a fuzzer tries first, where there is none."""

from collections.abc import Sequence

from hypothesis import strategies as st


@st.composite
def mutations(draw: st.DrawFn, corpus: Sequence[bytes], within: int = 1 << 16) -> bytes:
    """Bytes of a seed changed, cut out or put in, `within` so many of its start."""
    changed = bytearray(draw(st.sampled_from(corpus)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(changed), within)))
        end = draw(st.integers(at, min(at + 3, len(changed))))
        changed[at:end] = draw(st.binary(max_size=3))
    return bytes(changed)
