"""Promises of `l4proxy.agent.yaml_file`: plain values, or a word on what is wrong."""

from pathlib import Path

import pytest

from l4proxy.agent.yaml_file import MAX_FILE_BYTES, YamlError, read_yaml


def test_plain_values(tmp_path: Path) -> None:
    """A number as a key stays one, as registers in a policy are."""
    file = tmp_path / "file.yaml"
    file.write_text("pcrs: {0: aa}", encoding="utf-8")
    assert read_yaml(file) == {"pcrs": {0: "aa"}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (bytes(MAX_FILE_BYTES + 1), "over 65536 bytes"),
        (b"\xff", "utf-8"),
        (b"a: [", "not YAML"),
        (b"a: 1\na: 2", "twice"),
        (b"!!python/object:os.system {}", "not YAML"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, why: str) -> None:
    """The file is named, and why."""
    file = tmp_path / "file.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(YamlError, match=why) as caught:
        read_yaml(file)
    assert str(file) in str(caught.value)
