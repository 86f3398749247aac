"""What the tests of ticket names share."""

import pytest

from tests.l4proxy.control.servers import Certificate, make_certificate


@pytest.fixture(scope="package")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for all servers of these tests."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
