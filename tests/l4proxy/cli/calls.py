"""The command line as a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0

CONFIG = """
listeners: ["127.0.0.1:0"]
routes:
  app.example.com: app
  "*.app.example.com": {pool: app, instance_name: true}
  api.example.com: {pool: api, alpn: [h2]}
pools:
  app: [{address: "10.0.0.1:443", name: a}, {address: "10.0.0.2:443", name: b}]
  api: ["10.0.1.1:443"]
"""

Run = subprocess.CompletedProcess[str]


def call(*arguments: str | Path, stdin: bytes = b"") -> Run:
    """Runs `l4proxy` to its end."""
    run = subprocess.run(
        [sys.executable, "-m", "l4proxy", *map(str, arguments)],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return Run(run.args, run.returncode, run.stdout.decode(), run.stderr.decode())


def written(folder: Path, text: str = CONFIG) -> Path:
    """A file with a configuration."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path
