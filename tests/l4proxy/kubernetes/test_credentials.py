"""A pod's own credentials, and those of a kubeconfig that is named."""

from pathlib import Path

import pytest

from l4proxy.kubernetes import ApiClient, ApiError, ApiFault, load_access
from l4proxy.kubernetes.credentials import in_cluster
from l4proxy.kubernetes.resources import PODS
from tests.kubernetes_api.access import write_kubeconfig, write_service_account
from tests.kubernetes_api.server import ApiServer

PATH = PODS.path("default", "a")


def environment(server: ApiServer) -> dict[str, str]:
    """What a pod's environment says."""
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}


async def test_a_pod_is_let_in_by_its_service_account(server: ApiServer, tmp_path: Path) -> None:
    """Its token is read anew for each question, as it is rotated."""
    server.tokens = {"first": "admin"}
    server.add("pods", "a", {"metadata": {"name": "a"}})
    folder = write_service_account(tmp_path / "account", "first\n", "enclaves\n")
    access = in_cluster(environment(server), folder)
    assert (access.namespace, access.server) == ("enclaves", server.url)
    async with ApiClient(access) as api:
        assert await api.get(PATH)
        server.tokens = {"second": "admin"}
        with pytest.raises(ApiError):
            await api.get(PATH)
        (folder / "token").write_text("second")
        assert await api.get(PATH)
        (folder / "token").unlink()
        with pytest.raises(ApiError) as caught:
            await api.get(PATH)
    assert caught.value.fault is ApiFault.CREDENTIALS


def test_an_ipv6_service_stands_in_brackets(server: ApiServer, tmp_path: Path) -> None:
    """As URLs have it; 443 is the port when none is named."""
    folder = write_service_account(tmp_path / "account", "t")
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, folder).server == (
        "https://[fd00::1]:443"
    )


@pytest.mark.parametrize("missing", ["token", "ca.crt", "namespace"])
def test_a_pod_without_a_service_account_has_no_credentials(
    server: ApiServer, tmp_path: Path, missing: str
) -> None:
    """The message names the file."""
    folder = write_service_account(tmp_path / "account", "t")
    (folder / missing).unlink()
    with pytest.raises(ApiError, match=missing) as caught:
        in_cluster(environment(server), folder)
    assert caught.value.fault is ApiFault.CREDENTIALS


def test_elsewhere_a_kubeconfig_is_to_be_named(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is no pod is told so; none is looked for in the home directory."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ApiError, match="name a `kubeconfig`"):
        load_access()
    path = write_kubeconfig(tmp_path / "kubeconfig", server)
    assert load_access(path).server == server.url
