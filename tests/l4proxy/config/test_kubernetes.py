"""Names of objects in a cluster."""

import pytest

from l4proxy.config.kubernetes import (
    KubernetesSettings,
    ServiceName,
    kubernetes_label,
    kubernetes_name,
    read_service,
    read_service_port,
)
from l4proxy.config.mistakes import BadValueError


@pytest.mark.parametrize(
    ("text", "namespace"), [("default/enclaves-1", "default"), ("enclaves-1", None)]
)
def test_a_service_is_named(text: str, namespace: str | None) -> None:
    """With its namespace or without; written back it is the same text."""
    found = read_service(text)
    assert found == ServiceName(namespace, "enclaves-1")
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["", "/a", "a/", "a/b/c", "A/b", "-a", "a.b/c", "a" * 64, "a_b", "a\n", None, 5]
)
def test_what_is_no_service_is_refused(text: object) -> None:
    """Names are labels of DNS."""
    with pytest.raises(BadValueError, match="expected a Service"):
        read_service(text)


@pytest.mark.parametrize("port", ["https", "a-1", 1, 65_535])
def test_a_port_is_a_name_or_a_number(port: str | int) -> None:
    """As Services have it."""
    assert read_service_port(port) == port


@pytest.mark.parametrize("port", ["", "443", "A", "a_b", 0, 65_536, True, 1.5, None])
def test_what_is_no_port_is_refused(port: object) -> None:
    """A number in quotes is no name."""
    with pytest.raises(BadValueError, match="the name of a port"):
        read_service_port(port)


def test_names_have_bounds() -> None:
    """Labels 63 characters, names 253, of labels with dots between them."""
    assert kubernetes_label.read("a" * 63)
    assert kubernetes_name.read(".".join(["a" * 63] * 3))
    for name in ("a" * 64, ".".join(["a" * 63] * 4), "a..b", ".a", "a.", "A"):
        with pytest.raises(BadValueError):
            kubernetes_name.read(name)
    with pytest.raises(BadValueError):
        kubernetes_label.read("a.b")


def test_settings_are_written_as_they_are_read() -> None:
    """What `effective` prints is a configuration again."""
    said = {"service": "n/s", "port": "https", "kubeconfig": "/k", "allow_loopback": True}
    assert KubernetesSettings.model_validate(said).model_dump() == said
