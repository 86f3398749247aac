"""The recipes of the guide: each server issues tickets whose names lead back to it."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from l4proxy.routable import RoutingKey, RoutingKeys
from routing import ROUTABLE_NAME_BYTES
from tests.e2e.balancer import Address
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.programs import serving, tool
from tests.e2e.recipes import RECIPES, module, shell
from tests.e2e.resumption import (
    NAME,
    Visit,
    both_versions,
    client_context,
    repeating,
    server_context,
    visit,
)
from tests.l4proxy.cli.calls import call
from tests.ports import free_port

SERVER_ID = 7  # as the guide has it
GO_PATIENCE = 300.0  # seconds: the first build compiles Go's own TLS, too
LONGEST_RECIPE = 24  # lines with words on them

GO_SERVER = """
package main

import (
	"crypto/tls"
	"encoding/hex"
	"os"
	"strings"
)

func main() {
	own, _ := tls.LoadX509KeyPair("server.crt", "server.key")
	words, _ := os.ReadFile("names.txt")
	var names [][]byte
	for _, word := range strings.Fields(string(words)) {
		name, _ := hex.DecodeString(word)
		names = append(names, name)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	Routable(config, names)
	listener, err := tls.Listen("tcp", os.Args[1], config)
	for err == nil {
		connection, _ := listener.Accept()
		go func() {
			buffer := make([]byte, 1000)
			length, _ := connection.Read(buffer)
			connection.Write(buffer[:length])
			connection.Close()
		}()
	}
}
"""


@dataclass(frozen=True, slots=True)
class Enclave:
    """The folder in which the guide was followed: names, keys, certificate."""

    folder: Path
    authority: Authority
    own: Certificate

    def minted(self, file: str) -> list[str]:
        """The names in a file, in hex."""
        return (self.folder / file).read_text(encoding="ascii").split()

    def server(self, visited: Visit) -> int | None:
        """The server that the first ticket of a hello leads to."""
        keys = RoutingKeys([RoutingKey.load(self.folder / "routing.key")])
        return keys.server_id(visited.tickets[0][:ROUTABLE_NAME_BYTES])

    def make_key(self, key_format: str, output: str) -> None:
        """Makes a key file around the name."""
        (name,) = self.minted("name.txt")
        path = self.folder / output
        run = call("ticket-key", "--name", name, "--format", key_format, "--output", path)
        assert run.returncode == 0, run.stderr


@pytest.fixture
def enclave(tmp_path: Path, authority: Authority) -> Enclave:
    """The guide's first steps, done; a certificate where the recipes look for it."""
    shell("control plane", tmp_path)
    own = authority.issue(NAME)
    shutil.copy(own.certificate, tmp_path / "server.crt")
    shutil.copy(own.key, tmp_path / "server.key")
    pem = own.key.read_text(encoding="ascii") + own.certificate.read_text(encoding="ascii")
    (tmp_path / "server.pem").write_text(pem, encoding="ascii")
    return Enclave(tmp_path, authority, own)


def _names_of_resumptions(
    enclave: Enclave, address: Address, version: ssl.TLSVersion
) -> tuple[bytes, bytes]:
    """Comes twice more, each time with the newest ticket: resumed, and led back, both times."""
    client = client_context(enclave.authority, version)
    first = visit(address, client)
    assert not first.tickets
    second = visit(address, client, first.session)
    third = visit(address, client, second.session)
    for again in (second, third):
        assert again.resumed
        assert enclave.server(again) == SERVER_ID
    return second.tickets[0][:ROUTABLE_NAME_BYTES], third.tickets[0][:ROUTABLE_NAME_BYTES]


@contextmanager
def _nginx(folder: Path) -> Iterator[Address]:
    port = free_port()
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    recipe = RECIPES["nginx.conf"].replace("8443", f"127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{recipe}\n}}\n",
        encoding="utf-8",
    )
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with serving(command, folder, port):
        yield "127.0.0.1", port


@contextmanager
def _haproxy(folder: Path) -> Iterator[Address]:
    port = free_port()
    recipe = RECIPES["haproxy.cfg"].replace(":8443", f"127.0.0.1:{port}")
    (folder / "haproxy.cfg").write_text(recipe, encoding="utf-8")
    with serving([tool("haproxy"), "-db", "-f", "haproxy.cfg"], folder, port):
        yield "127.0.0.1", port


@contextmanager
def _node(folder: Path) -> Iterator[Address]:
    port = free_port()
    recipe = RECIPES["server.js"].replace("8443", f"{port}, '127.0.0.1'")
    (folder / "server.js").write_text(recipe, encoding="utf-8")
    with serving([tool("node"), "server.js"], folder, port):
        yield "127.0.0.1", port


@contextmanager
def _go(folder: Path) -> Iterator[Address]:
    port = free_port()
    go = tool("go")
    (folder / "routable.go").write_text(RECIPES["routable.go"], encoding="utf-8")
    (folder / "main.go").write_text(GO_SERVER, encoding="utf-8")
    build = [go, "build", "-o", "server", "routable.go", "main.go"]
    offline = os.environ | {"GOTOOLCHAIN": "local", "GOPROXY": "off"}
    subprocess.run(build, cwd=folder, env=offline, check=True, timeout=GO_PATIENCE)
    with serving([str(folder / "server"), f"127.0.0.1:{port}"], folder, port):
        yield "127.0.0.1", port


@both_versions
@pytest.mark.parametrize(
    ("server", "key_format", "output"),
    [
        (_nginx, "nginx48", "ticket.key"),
        (_nginx, "nginx80", "ticket.key"),
        (_haproxy, "haproxy48", "ticket.keys"),
        (_haproxy, "haproxy", "ticket.keys"),
        (_node, "node", "ticket.key"),
    ],
)
def test_a_key_file_names_every_ticket(
    enclave: Enclave,
    version: ssl.TLSVersion,
    server: Callable[[Path], AbstractContextManager[Address]],
    key_format: str,
    output: str,
) -> None:
    """A server that reads a key file resumes, and its tickets carry the minted name verbatim."""
    enclave.make_key(key_format, output)
    with server(enclave.folder) as address:
        names = _names_of_resumptions(enclave, address, version)
    assert {name.hex() for name in names} == set(enclave.minted("name.txt"))


@both_versions
def test_python_takes_a_key(enclave: Enclave, version: ssl.TLSVersion) -> None:
    """The recipe for Python's contexts: resumed, under the minted name."""
    shell("enclave", enclave.folder)
    key = (enclave.folder / "ticket.key").read_bytes()
    context = server_context(enclave.own)
    module("static_name.py", enclave.folder).use_ticket_key(context, key)
    with repeating(context) as backend:
        names = _names_of_resumptions(enclave, ("127.0.0.1", backend.port), version)
    assert set(names) == {key[:ROUTABLE_NAME_BYTES]}


def test_python_refuses_a_key_of_another_length(enclave: Enclave) -> None:
    """A key that OpenSSL does not take is an error, never a server without names."""
    context = server_context(enclave.own)
    with pytest.raises(ValueError, match="ticket key of 48 bytes"):
        module("static_name.py", enclave.folder).use_ticket_key(context, bytes(48))


@both_versions
def test_python_gives_fresh_names(enclave: Enclave, version: ssl.TLSVersion) -> None:
    """The recipe for a name a ticket: resumed, each name one of the minted, no two alike."""
    shell("control plane, fresh names", enclave.folder)
    minted = enclave.minted("names.txt")
    context = server_context(enclave.own)
    names_in = [bytes.fromhex(name) for name in minted]
    module("fresh_names.py", enclave.folder).use_fresh_names(context, names_in)
    with repeating(context) as backend:
        names = _names_of_resumptions(enclave, ("127.0.0.1", backend.port), version)
    assert {name.hex() for name in names} <= set(minted)
    assert len(minted) == len(set(minted)) == 1_000


@pytest.mark.timeout(2 * GO_PATIENCE)
def test_go_gives_fresh_names(enclave: Enclave) -> None:
    """The recipe for Go, which writes no names of its own: resumed, each name one of the minted."""
    shell("control plane, fresh names", enclave.folder)
    with _go(enclave.folder) as address:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            names = _names_of_resumptions(enclave, address, version)
            assert {name.hex() for name in names} <= set(enclave.minted("names.txt"))


@both_versions
def test_haproxy_rotates(enclave: Enclave, version: ssl.TLSVersion) -> None:
    """Old tickets resume beside the new key, and what is issued then has the new name."""
    enclave.make_key("haproxy", "ticket.keys")
    client = client_context(enclave.authority, version)
    with _haproxy(enclave.folder) as address:
        before = visit(address, client)
    mint = ("ticket-name", "--server-id", str(SERVER_ID), "--key", enclave.folder / "routing.key")
    (enclave.folder / "next.txt").write_text(call(*mint).stdout, encoding="ascii")
    shell("rotate a key of HAProxy", enclave.folder)
    (enclave.folder / "rotated.keys").replace(enclave.folder / "ticket.keys")
    with _haproxy(enclave.folder) as address:
        old = visit(address, client, before.session)
        new = visit(address, client, old.session)
    assert old.resumed
    assert new.resumed
    assert [old.tickets[0][:ROUTABLE_NAME_BYTES].hex()] == enclave.minted("name.txt")
    assert [new.tickets[0][:ROUTABLE_NAME_BYTES].hex()] == enclave.minted("next.txt")


def test_recipes_are_short() -> None:
    """No recipe asks for more code than anybody would copy."""
    lengths = {
        title: sum(bool(line.strip()) for line in text.splitlines())
        for title, text in RECIPES.items()
    }
    assert max(lengths.values()) <= LONGEST_RECIPE, lengths
