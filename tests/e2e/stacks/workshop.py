"""Where small programs are made ready: certificates as each stack wants them, Go and Java built."""

import os
import shutil
import subprocess
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.e2e.certificates import Authority, Certificate
from tests.e2e.programs import tool
from tests.e2e.stacks import sources

PASSWORD = "public"
"""Of key stores, whose formats insist on one."""

BUILD_PATIENCE = 300.0
"""Seconds: the first build of Go compiles its own TLS, too."""


class Workshop:
    """What servers and clients of all stacks need.

    Attributes:
        folder: Everything lies below it.
        authority: Whom clients trust.
        own: The certificate of all servers.
    """

    def __init__(self, folder: Path, authority: Authority, own: Certificate) -> None:
        """Makes nothing yet: a program is built when it is asked for."""
        self.folder = folder
        self.authority = authority
        self.own = own

    def bench(self) -> Path:
        """A new folder with certificate and key in every format that a server asks for."""
        folder = self.folder / f"bench-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        shutil.copy(self.own.certificate, folder / "server.crt")
        shutil.copy(self.own.key, folder / "server.key")
        pem = self.own.key.read_bytes() + self.own.certificate.read_bytes()
        (folder / "server.pem").write_bytes(pem)
        (folder / "server.p12").write_bytes(_key_store(self.own))
        return folder

    @cached_property
    def go_server(self) -> Path:
        """The server in Go."""
        return self._go("server", sources.GO_SERVER)

    @cached_property
    def go_client(self) -> Path:
        """The client in Go."""
        return self._go("client", sources.GO_CLIENT)

    @cached_property
    def java_classes(self) -> Path:
        """The folder with `Server` and `Client`, compiled."""
        compiler, folder = tool("javac"), self.folder / "java"
        folder.mkdir()
        (folder / "Server.java").write_text(sources.JAVA_SERVER, encoding="utf-8")
        (folder / "Client.java").write_text(sources.JAVA_CLIENT, encoding="utf-8")
        _build([compiler, "Server.java", "Client.java"], folder)
        return folder

    def _go(self, name: str, source: str) -> Path:
        compiler, folder = tool("go"), self.folder / f"go-{name}"
        folder.mkdir()
        (folder / "main.go").write_text(source, encoding="utf-8")
        _build([compiler, "build", "-o", name, "main.go"], folder)
        return folder / name


def _build(command: list[str], folder: Path) -> None:
    offline = os.environ | {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GO111MODULE": "off"}
    subprocess.run(command, cwd=folder, env=offline, check=True, timeout=BUILD_PATIENCE)


def _key_store(own: Certificate) -> bytes:
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(own.certificate.read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    cipher = serialization.BestAvailableEncryption(PASSWORD.encode())
    return pkcs12.serialize_key_and_certificates(b"server", key, certificate, None, cipher)
