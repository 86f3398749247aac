"""A kubeconfig lets us in as it says, or not at all."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from l4proxy.kubernetes import ApiClient, ApiError, ApiFault
from l4proxy.kubernetes.kubeconfig import from_kubeconfig
from l4proxy.kubernetes.resources import PODS
from tests.kubernetes_api.access import certified, write_kubeconfig
from tests.kubernetes_api.certificates import authority, identity
from tests.kubernetes_api.server import ApiServer

PATH = PODS.path("default", "a")


async def fault(path: Path) -> ApiFault:
    """What comes of asking for a pod that is not there."""
    async with ApiClient(from_kubeconfig(path)) as api:
        with pytest.raises(ApiError) as caught:
            await api.get(PATH)
    return caught.value.fault


async def test_each_way_to_be_let_in(server: ApiServer, tmp_path: Path) -> None:
    """A token, a file with one, a certificate in the file or beside it."""
    (tmp_path / "token").write_text("admin-token\n")
    (tmp_path / "cert.pem").write_text(identity("admin").certificate)
    (tmp_path / "key.pem").write_text(identity("admin").key)
    ways: list[Mapping[str, object]] = [
        {"token": "admin-token"},
        {"tokenFile": "token"},
        {"tokenFile": str(tmp_path / "token"), "token": "ignored, as kubectl has it"},
        certified("admin"),
        {"client-certificate": "cert.pem", "client-key": str(tmp_path / "key.pem")},
    ]
    for way in ways:
        assert await fault(write_kubeconfig(tmp_path / "k", server, way)) is ApiFault.NOT_FOUND
    nobody = write_kubeconfig(tmp_path / "k", server, certified("nobody"))
    assert await fault(nobody) is ApiFault.FORBIDDEN
    stranger = write_kubeconfig(tmp_path / "k", server, {"token": "another"})
    assert await fault(stranger) is ApiFault.UNAUTHORIZED


async def test_the_authority_may_lie_beside_it(server: ApiServer, tmp_path: Path) -> None:
    """Relative to the kubeconfig; the name in the certificate may be another."""
    (tmp_path / "ca.pem").write_text(authority())
    cluster = {
        "certificate-authority-data": None,
        "certificate-authority": "ca.pem",
        "tls-server-name": "kubernetes.default",
    }
    path = write_kubeconfig(tmp_path / "k", server, None, cluster)
    assert await fault(path) is ApiFault.NOT_FOUND
    assert from_kubeconfig(path).namespace == "default"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": {"command": "aws"}}, "exec plug-ins are not run"),
        ({"token": "t", "exec": {"command": "aws"}}, "exec plug-ins are not run"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"username": "a", "password": "b"}, "username"),
        ({"token": "t", "as": "root"}, "impersonation"),
        ({"token": "t", "as-groups": []}, "impersonation"),
        ({}, "neither a token nor a client certificate"),
        ({"client-certificate-data": "AAAA"}, "only one of"),
        ({"client-certificate-data": "AAAA", "client-key-data": "AAAA"}, "client certificate"),
        ({"client-certificate-data": "!", "client-key-data": "AAAA"}, "no base64"),
        ({"client-certificate": "none.pem", "client-key": "none.pem"}, "none.pem"),
        ({"tokenFile": "none"}, "none"),
        ({"tokenFile": "a\0b"}, "no path"),
        ({"tokenFile": "/"}, "no regular file"),
        ({"token": "a b\nc"}, "no token"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    tmp_path: Path, user: Mapping[str, object], said: str
) -> None:
    """Nobody is let in otherwise than the file says."""
    path = write_kubeconfig(tmp_path / "k", ApiServer(port=1), user)
    with pytest.raises(ApiError, match=said) as caught:
        from_kubeconfig(path)
    assert caught.value.fault is ApiFault.CREDENTIALS


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"insecure-skip-tls-verify": True}, "insecure-skip-tls-verify"),
        ({"proxy-url": "http://p:1"}, "proxy-url"),
        ({"server": "http://127.0.0.1:1"}, "https"),
        ({"server": "https://"}, "https"),
        ({"server": "https://a:x"}, "https"),
        ({"server": "https://u@a"}, "https"),
        ({"server": "https://u:secret@a/"}, "found server 'a'"),
        ({"server": None}, "https"),
        ({"certificate-authority-data": "AAAA"}, "no base64|certificate authority"),
    ],
)
def test_a_cluster_that_is_not_believed_as_it_should_is_refused(
    tmp_path: Path, cluster: Mapping[str, object], said: str
) -> None:
    """No way round TLS, and none round whom it names."""
    with pytest.raises(ApiError, match=said):
        from_kubeconfig(write_kubeconfig(tmp_path / "k", ApiServer(port=1), None, cluster))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no current-context"),
        ("[]", "no current-context"),
        ("a: [", "no YAML"),
        ('!!int ""', "no YAML"),
        ("!!bool x", "no YAML"),
        ("!!timestamp x", "no YAML"),
        ("a: 2001-99-99", "no YAML"),
        (f"a: {'1' * 5_000}", "no YAML"),
        ("!!python/object:os.system {}", "no YAML"),
        ("current-context: x", "no context 'x'"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", "no cluster 'c'"),
        ("{current-context: x, contexts: {x: 1}}", "no context 'x'"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Whatever the file holds."""
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(ApiError, match=said):
        from_kubeconfig(path)


def test_a_key_behind_a_password_is_refused(tmp_path: Path) -> None:
    """Nobody is asked for one on the terminal."""
    import base64  # noqa: PLC0415 - for this test alone

    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    mine = identity("admin")
    locked = serialization.load_pem_private_key(mine.key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    user = certified("admin") | {"client-key-data": base64.b64encode(locked).decode()}
    with pytest.raises(ApiError, match="client certificate"):
        from_kubeconfig(write_kubeconfig(tmp_path / "k", ApiServer(port=1), user))
