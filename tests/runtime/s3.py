"""A real S3 server, moto's, for as long as a test module runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.runtime.pods import wait_until

BUCKET = "backups"
KEY_ID, KEY = "a-key", "its secret"


@dataclass(frozen=True)
class Bucket:
    """A bucket on a server on this machine's loopback.

    Attributes:
        port: The server's port.
    """

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def objects(self) -> dict[str, int]:
        """What is in the bucket, by path, and how many bytes each has."""
        listing = ElementTree.fromstring(self._ask("GET", "?list-type=2&max-keys=1000"))
        contents = [{part.tag.rpartition("}")[2]: part.text or "" for part in item} for item in listing]
        return {item["Key"]: int(item["Size"]) for item in contents if "Key" in item}

    def read(self, path: str) -> bytes:
        return self._ask("GET", path)

    def write(self, path: str, content: bytes) -> None:
        self._ask("PUT", path, content)

    def remove(self, path: str) -> None:
        self._ask("DELETE", path)

    def empty(self) -> None:
        for path in self.objects():
            self.remove(path)

    def make(self) -> None:
        self._ask("PUT", "")

    def _ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        # moto looks at no signature, unless it is told to, but keeps what is private from who has none.
        signed = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260131/us-east-1/s3/aws4_request, SignedHeaders=, Signature="
        headers = {"Authorization": signed, "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.endpoint}/{BUCKET}/{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body


@contextmanager
def server(variables: Mapping[str, str] | None = None) -> Iterator[Bucket]:
    """Runs a server that has the bucket.

    Args:
        variables: Variables of moto's.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **(variables or {})},
            cwd=Path(__file__).parent,
            stdout=log,
            stderr=log,
        )
        try:
            bucket = Bucket(port)
            wait_until(lambda: process.poll() is not None or _answers(bucket), timeout=60, step=0.1)
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(log.read().decode())
            bucket.make()
            yield bucket
        finally:
            process.terminate()
            process.wait()


def _answers(bucket: Bucket) -> bool:
    try:
        with urllib.request.urlopen(f"{bucket.endpoint}/moto-api/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
