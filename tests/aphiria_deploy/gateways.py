"""A Gateway's data plane in small: the real nginx on loopback, with TLS, by a configuration that a test gives."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.aphiria_deploy.registries import free_port
from tests.runtime.needs import binary

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    log_format asked '$scheme $ssl_server_name $http_host $request_method $uri';
    access_log {folder}/access.log asked;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    {servers}
}}
"""


_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


@dataclass(frozen=True)
class Certificates:
    """An authority of the tests' own.

    Attributes:
        folder: Where its files are.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Makes an authority, or skips the test."""
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl (apt-get install openssl)")
        made = cls(folder)
        made._openssl(f"req -x509 {_NEW_KEY} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem")
        return made

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, into: Path, *names: str) -> None:
        """Issues a certificate for names, with its key."""
        (self.folder / "names").write_text(f"subjectAltName={','.join(f'DNS:{name}' for name in names)}\n")
        self._openssl(f"req {_NEW_KEY} -subj /CN=site -keyout {into}/key.pem -out request.pem")
        self._openssl(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names "
            f"-out {into}/certificate.pem"
        )

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)


class Gateway:
    """nginx, once it is started; it ends with the block.

    Args:
        folder: For its files, with the certificate that it shows.
        servers: Its servers; ``HTTP`` and ``HTTPS`` stand for where they listen.
        address: Where it listens.
        ports: The ports for 80 and 443; free ones, if not given.
    """

    def __init__(
        self, folder: Path, servers: str, *, address: str = "127.0.0.1", ports: tuple[int, int] | None = None
    ) -> None:
        self._nginx = binary("nginx-light")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = address
        self.ports = dict(zip((80, 443), ports or (free_port(), free_port()), strict=True))
        self.configure(servers)

    def configure(self, servers: str) -> None:
        """Changes its configuration, as a Gateway does when its routes change."""
        for word, port in (("HTTPS", 443), ("HTTP", 80)):
            servers = servers.replace(f"listen {word};", f"listen {self.address}:{self.ports[port]}{_tls(word)};")
        (self._folder / "nginx.conf").write_text(_CONFIGURATION.format(folder=self._folder, servers=servers))
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=10)

    def start(self) -> Self:
        """Starts it, and waits until it listens. Only for the main thread: it ends with the thread that starts it."""
        command = [str(self._nginx), "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        tied = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
        log = self._folder / "output.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen([*tied, *command], stdout=output, stderr=output)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.address.strip("[]"), self.ports[443]), timeout=1).close()
            except OSError:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.02)
            else:
                return self

    @property
    def asked(self) -> list[str]:
        """What it was asked: scheme, name in the handshake, Host, method and path."""
        return (self._folder / "access.log").read_text().splitlines()


def _tls(word: str) -> str:
    return " ssl" if word == "HTTPS" else ""
