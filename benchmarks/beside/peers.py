"""The proxies that are compared: how each is configured for the same work.

One worker or thread unless more are asked for, routing by server name, health checks off,
logs off unless they are asked for.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from beside.hello import SERVER_NAME

MOST_OPEN = 9_000
"""Connections that each proxy is told to bear: twice as many descriptors, of 20,000."""

SPLICE_PIPES = 200
"""Pipes that HAProxy may splice through; its default would need more than 20,000 descriptors."""

NAMES = (SERVER_NAME, "localhost")
"""What is routed; `localhost` for programs that take their server name from the URL."""

COMPILED = Path(__file__).parents[2] / "build" / "compiled"
"""Where `make compiled` puts l4proxy."""

NGINX_MODULES = "/usr/lib/nginx/modules"
"""Where Debian's package libnginx-mod-stream puts its module."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a proxy is started for.

    Attributes:
        port: Where it listens on 127.0.0.1.
        backends: Ports on 127.0.0.1 that it forwards to.
        folder: An empty folder for its files; its standard output goes to `out` there.
        workers: Worker processes or threads.
        log: Whether it writes a line for each connection.
    """

    port: int
    backends: tuple[int, ...]
    folder: Path
    workers: int = 1
    log: bool = False

    def write(self, name: str, text: str) -> str:
        """Write a file of the folder; returns its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


class Scope(Enum):
    """Which measurements a peer takes part in."""

    ALL = auto()
    SMALL = auto()  # where messages are small and one worker has them
    BULK = auto()  # where bytes are many


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy of the comparison.

    Attributes:
        name: What the tables call it.
        program: The executable, or None where this machine does not have it.
        version: The words that make it tell its version.
        command: Writes its configuration and returns the command line that runs it.
        settings: What the results say of its way to copy, buffer and log.
        logs: Whether it can write a line for each connection.
        scope: Where it is measured.
    """

    name: str
    program: str | None
    version: tuple[str, ...]
    command: Callable[[str, Task], list[str]]
    settings: str
    logs: bool = True
    scope: Scope = Scope.ALL

    def tell_version(self) -> str:
        """The version that the program itself tells."""
        if self.program is None:
            return "not here"
        call = [self.program, *self.version]
        run = subprocess.run(call, capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+[\w.+~-]*", run.stdout + run.stderr)
        return found[0] if found else "unknown"


def _l4proxy(program: str, task: Task) -> list[str]:
    backends = [f"127.0.0.1:{port}" for port in task.backends]
    document = {
        "listeners": [f"127.0.0.1:{task.port}"],
        "routes": dict.fromkeys(NAMES, "app"),
        # Nobody's sessions are looked for, as by the others.
        "pools": {"app": {"backends": backends, "sticky": "off"}},
        "limits": {"per_client": "off", "connections": MOST_OPEN},
        "workers": task.workers,
        "admin": "off",
        "access_log": str(task.folder / "access.log") if task.log else "off",
    }
    # JSON is YAML, but for `off`, which must not be quoted: there it is the plain word.
    text = json.dumps(document).replace('"off"', "off")
    return [program, "-m", "l4proxy", "run", task.write("l4proxy.yaml", text)]


def _l4proxy_compiled(program: str, task: Task) -> list[str]:
    command = _l4proxy(program, task)
    # -P: not the sources of the folder that it is started in.
    return ["env", f"PYTHONPATH={COMPILED}", program, "-P", *command[1:]]


def _haproxy(program: str, task: Task, splice: tuple[str, str] = ("", "")) -> list[str]:
    servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in task.backends)
    log = "log stdout format raw daemon" if task.log else ""
    text = f"""
global
  nbthread {task.workers}
  maxconn {MOST_OPEN}
  {splice[1]}
  {log}
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
  {"log global" if log else ""}
  {"option tcplog" if log else ""}
  {splice[0]}
frontend f
  bind 127.0.0.1:{task.port} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  use_backend app if {{ req.ssl_sni -i {" ".join(NAMES)} }}
backend app
  balance roundrobin
{servers}
"""
    return [program, "-db", "-f", task.write("haproxy.cfg", text)]


def _haproxy_splice(program: str, task: Task) -> list[str]:
    return _haproxy(program, task, ("option splice-auto", f"maxpipes {SPLICE_PIPES}"))


def _nginx(program: str, task: Task) -> list[str]:
    servers = "\n".join(f"    server 127.0.0.1:{port};" for port in task.backends)
    names = "\n".join(f"    {name} app;" for name in NAMES)
    form = "log_format l '$remote_addr $ssl_preread_server_name $status $bytes_sent $session_time';"
    log = f"{form} access_log {task.folder}/access.log l;" if task.log else "access_log off;"
    text = f"""
load_module {NGINX_MODULES}/ngx_stream_module.so;
worker_processes {task.workers};
worker_rlimit_nofile 20000;
pid {task.folder}/pid;
error_log {task.folder}/error.log;
daemon off;
events {{ worker_connections {2 * MOST_OPEN + 500}; }}
stream {{
  {log}
  map $ssl_preread_server_name $pool {{
{names}
  }}
  upstream app {{
{servers}
  }}
  server {{
    listen 127.0.0.1:{task.port} backlog=4096 reuseport;
    ssl_preread on;
    proxy_timeout 1h;
    proxy_pass $pool;
  }}
}}
"""
    return [program, "-p", str(task.folder), "-c", task.write("nginx.conf", text)]


def _envoy(program: str, task: Task) -> list[str]:
    log = {
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(task.folder / "access.log"),
        },
    }
    tcp_proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "app",
        "cluster": "app",
        "access_log": [log] if task.log else [],
    }
    inspector = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    listener = {
        "address": _envoy_address(task.port),
        "enable_reuse_port": task.workers > 1,
        "listener_filters": [
            {
                "name": "tls_inspector",
                "typed_config": {"@type": f"type.googleapis.com/{inspector}"},
            }
        ],
        "filter_chains": [
            {
                "filter_chain_match": {"server_names": list(NAMES)},
                "filters": [{"name": "tcp_proxy", "typed_config": tcp_proxy}],
            }
        ],
    }
    endpoints = [{"endpoint": {"address": _envoy_address(port)}} for port in task.backends]
    threshold = {"max_connections": MOST_OPEN, "max_pending_requests": MOST_OPEN}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "3s",
        "circuit_breakers": {"thresholds": [threshold]},
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    text = json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    quiet = ["--disable-hot-restart", "--log-level", "error"]
    workers = ["--concurrency", str(task.workers)]
    return [program, "-c", task.write("envoy.json", text), *workers, *quiet]


def _envoy_address(port: int) -> dict[str, dict[str, str | int]]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _traefik(program: str, task: Task) -> list[str]:
    rule = " || ".join(f"HostSNI(`{name}`)" for name in NAMES)
    router = {"rule": rule, "service": "app", "entryPoints": ["tls"], "tls": {"passthrough": True}}
    servers = [{"address": f"127.0.0.1:{port}"} for port in task.backends]
    service = {"loadBalancer": {"servers": servers}}
    dynamic = json.dumps({"tcp": {"routers": {"app": router}, "services": {"app": service}}})
    static = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"tls": {"address": f"127.0.0.1:{task.port}"}},
        "providers": {"file": {"filename": task.write("dynamic.yaml", dynamic)}},
    }
    return [program, f"--configFile={task.write('static.yaml', json.dumps(static))}"]


def _bare(program: str, task: Task) -> list[str]:
    script = str(Path(__file__).with_name("bare.py"))
    return [program, script, str(task.port), *map(str, task.backends)]


def all_peers(cache: Path) -> list[Peer]:
    """Every proxy of the comparison; those from PyPI are looked for in the cache's environment."""
    return [
        Peer(
            "l4proxy",
            sys.executable,
            ("-m", "l4proxy", "--version"),
            _l4proxy,
            "no splice; reads of 64 KiB, of a stream 512, into one buffer for all connections",
        ),
        Peer(
            "l4proxy compiled",
            sys.executable if COMPILED.exists() else None,
            ("-m", "l4proxy", "--version"),
            _l4proxy_compiled,
            "`make compiled`: all else as l4proxy",
        ),
        Peer(
            "HAProxy",
            shutil.which("haproxy"),
            ("-v",),
            _haproxy,
            "no splice (its default); tune.bufsize 16 KiB (its default); log: a write a line",
        ),
        Peer(
            "nginx",
            shutil.which("nginx"),
            ("-v",),
            _nginx,
            "cannot splice; proxy_buffer_size 16 KiB (its default); log: a write a line",
        ),
        Peer(
            "Envoy",
            _installed(cache, "envoy"),
            ("--version",),
            _envoy,
            "does not splice; buffer limits of 1 MiB (its default); log: flushed in batches",
        ),
        Peer(
            "Traefik",
            _installed(cache, "traefik"),
            ("version",),
            _traefik,
            "Go's splice where its runtime can; GOMAXPROCS as many as workers; no log for TCP",
            logs=False,
        ),
        Peer(
            "HAProxy splice",
            shutil.which("haproxy"),
            ("-v",),
            _haproxy_splice,
            "option splice-auto; all else as HAProxy",
            scope=Scope.BULK,
        ),
        Peer(
            "bare loop",
            sys.executable,
            ("--version",),
            _bare,
            "a floor, no proxy: l4proxy's system calls made from Python, and nothing else",
            scope=Scope.SMALL,
        ),
    ]


def _installed(cache: Path, program: str) -> str | None:
    return shutil.which(program, path=str(cache / "peers" / "bin")) or shutil.which(program)
