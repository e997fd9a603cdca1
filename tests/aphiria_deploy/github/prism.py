"""Prism, serving GitHub's description of its API on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.aphiria_deploy.github.description import ROOT, trimmed
from tools.node import NODE

PROGRAM = ROOT / "node_modules/.bin/prism"
SECONDS = 60


@contextmanager
def prism(folder: Path) -> Iterator[str]:
    """Serves the description; gives its address."""
    if not PROGRAM.exists():
        pytest.skip("needs npm's packages (make npm-packages)")
    document = folder / "github.json"
    document.write_text(json.dumps(trimmed()))
    port = _free_port()
    log = folder / "prism.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [NODE, PROGRAM, "mock", "--host", "127.0.0.1", "--port", str(port), document], stdout=out, stderr=out
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/user", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"Prism did not start: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
