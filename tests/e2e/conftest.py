"""What the end-to-end tests share: daemons that end with their test, certificates."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.balancer import Start, running
from tests.e2e.certificates import Authority
from tests.e2e.compiled import missing, start_from_it


@pytest.fixture(scope="session", autouse=True)
def _daemons() -> Iterator[None]:
    """With DAEMONS=compiled in the environment all daemons are of the compiled build."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("DAEMONS") == "compiled":
            why = missing()
            assert not why, why
            start_from_it(patch)
        yield


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts daemons for one test, whose pools stick only if they say so."""
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(running(_folder(tmp_path), config, sticks=False))


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts daemons for all tests of a module, whose pools stick only if they say so."""
    base = tmp_path_factory.mktemp("daemons")
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(running(_folder(base), config, sticks=False))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that clients of these tests trust."""
    return Authority(tmp_path_factory.mktemp("certificates"))


def _folder(base: Path) -> Path:
    return base / f"daemon-{len(list(base.iterdir()))}"
