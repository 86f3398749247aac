"""Promises of `l4proxy.agent.settings`: what is read, and that every mistake is one."""

import re
from pathlib import Path

import pytest
import yaml

from l4proxy.agent.certificates import Csr, Imported, SelfSigned
from l4proxy.agent.settings import (
    Files,
    Protocol,
    SettingsError,
    Tee,
    Termination,
    load_settings,
    parse_settings,
)
from l4proxy.agent.yaml_file import MAX_FILE_BYTES
from l4proxy.ticket_key import KeyFormat
from tests.house.repository import ROOT
from tests.l4proxy.agent.parts import NAME, document, settings

CSR: dict[str, object] = {"names": [NAME], "request": "/r", "answer": "/a"}


def test_the_shortest_settings_have_defaults() -> None:
    """What is left out has a value that works."""
    found = settings()
    assert found.tee is Tee.SIMULATED
    assert isinstance(found.mode, Termination)
    assert found.mode.protocol is Protocol.TCP
    assert found.certificate == SelfSigned((NAME,))
    assert (found.renew, found.idle, found.connections) == (3600.0, 3600.0, 1000)
    assert (found.manifest, found.ticket_name, found.ready_file) == (None, None, None)


def test_everything_can_be_said() -> None:
    """Each key has its effect."""
    found = settings(
        manifest="/m", ticket_name="ab" * 16, renew="5m", idle="1h", connections=7, ready_file="/y"
    )
    assert found.manifest == Path("/m")
    assert found.ticket_name == b"\xab" * 16
    assert (found.renew, found.idle, found.connections) == (300.0, 3600.0, 7)
    assert found.ready_file == Path("/y")


def test_certificates_come_three_ways() -> None:
    """Signed by itself, by a parent authority, or given from outside."""
    given = {"certificate": "/c", "key": "/k"}
    ways = {"provided": given, "csr": {"names": [NAME], "url": "https://ca/", "ca": "/ca"}}
    found = [settings(certificate={way: content}).certificate for way, content in ways.items()]
    assert found == [
        Imported(Path("/c"), Path("/k")),
        Csr((NAME,), url="https://ca/", ca=Path("/ca")),
    ]
    by_file = settings(certificate={"csr": CSR}).certificate
    assert by_file == Csr((NAME,), Path("/r"), Path("/a"))


def test_files_can_be_handed_over() -> None:
    """The application may end TLS itself."""
    keys = document(files={"directory": "/run/tls", "reload": ["nginx", "-s", "reload"]})
    for key in ("application", "protocol"):
        del keys[key]
    expected = Files(Path("/run/tls"), KeyFormat.NGINX80, ("nginx", "-s", "reload"))
    assert parse_settings(yaml.safe_dump(keys)).mode == expected
    keys["protocol"] = "http"
    with pytest.raises(SettingsError, match=r"protocol: .*application beside it"):
        parse_settings(yaml.safe_dump(keys))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"listne": "x"}, "did you mean listen"),
        ({"listen": "app:1"}, "listen: found 'app:1', expected ip:port"),
        ({"listen": "unix:/x"}, r"listen: .*vsock"),
        ({"listen": "999.1.1.1:1"}, "listen: "),
        ({"listen": 8443}, "listen: found 8443, expected text"),
        ({"protocol": "udp"}, "protocol: .*http, tcp"),
        ({"files": {"directory": "/x"}}, "application: found both"),
        ({"tee": "none"}, "tee: .*nitro, configfs-tsm, simulated"),
        ({"tee": "nitro"}, "image: .*with tee: simulated"),
        ({"instance": ""}, "instance: "),
        ({"claims": {"load": 1.5}}, "claims.load: found 1.5"),
        ({"ticket_name": "ab"}, "ticket_name: .*32 hexadecimal"),
        ({"renew": 3600}, "renew: .*unit"),
        ({"connections": 0}, "connections: .*1 to 10000"),
        ({"connections": True}, "connections: "),
        ({"certificate": {}}, "certificate: found 0 ways"),
        ({"certificate": {"self_signed": {"names": []}}}, "names: found no name"),
        ({"certificate": {"self_signed": {"names": ["a b"]}}}, "names.0: .*DNS name"),
        ({"certificate": {"provided": {"key": "/k"}}}, "certificate.provided.certificate"),
        ({"certificate": {"csr": {**CSR, "url": "http://x"}}}, "csr.url: "),
        ({"certificate": {"csr": {**CSR, "ca": "/x"}}}, "csr.ca: .*url beside it"),
        ({"certificate": {"csr": {"names": [NAME], "url": "ftp://x"}}}, "csr.url: "),
    ],
)
def test_mistakes_are_told_with_their_place(keys: dict[str, object], message: str) -> None:
    """A key that is unknown or wrong is an error that names it."""
    with pytest.raises(SettingsError, match=message):
        parse_settings(yaml.safe_dump({**document(), **keys}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", "a: *b", "- x", "listen: !!python/name:os.system x"),
        *("listen: 2026-99-99", "listen: !!bool x", "listen: !!timestamp x", "listen: !!int x"),
        *(f"connections: {'1' * 5000}", 'listen: "\\UFFFFFFFF"', "[" * 600),
    ],
)
def test_what_is_no_mapping_is_refused(text: str) -> None:
    """A file that is not YAML, or no mapping, is told so."""
    with pytest.raises(SettingsError):
        parse_settings(text)


def test_a_key_that_stands_twice_is_refused() -> None:
    """The last of two manifests would be sealed, and nobody told of the first."""
    text = yaml.safe_dump(document(manifest="/one")) + "manifest: /other\n"
    with pytest.raises(SettingsError, match="not YAML: a key stands twice"):
        parse_settings(text)
    with pytest.raises(SettingsError, match="a key stands twice"):
        parse_settings(yaml.safe_dump(document()) + "claims: {service: a, service: b}\n")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """A missing file, a huge one and one that is no text are errors with its name."""
    path = tmp_path / "agent.yaml"
    for content in (None, bytes(MAX_FILE_BYTES + 1), b"\xff", b"x: 1"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SettingsError, match=re.escape(str(path))):
            load_settings(path)


def test_the_example_of_the_documentation_loads() -> None:
    """What a reader copies out of the page works."""
    page = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        parse_settings(example)
