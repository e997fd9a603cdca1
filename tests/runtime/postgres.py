"""A real PostgreSQL server, for as long as a test module runs, and what its passwords are verified with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.runtime.needs import binary
from tests.runtime.pods import wait_until

ADMIN, ADMIN_PASSWORD = "admin", "the administrator's"


@dataclass(frozen=True)
class Server:
    """A running server, on this machine's loopback.

    Attributes:
        port: Its port.
        programs: Where its programs are: psql and the others, of its version.
    """

    port: int
    programs: Path

    @property
    def variables(self) -> dict[str, str]:
        """What leads a client here."""
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGPORT": str(self.port)}

    def query(self, sql: str, *, database: str = "postgres", user: str = ADMIN, password: str = ADMIN_PASSWORD) -> str:
        """Gives what a query answers, a row a line.

        Raises:
            PermissionError: The server refused the user, or the statement.
        """
        run = subprocess.run(
            [self.programs / "psql", "--no-psqlrc", "--no-password", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql],
            env=self.variables | {"PGDATABASE": database, "PGUSER": user, "PGPASSWORD": password},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if run.returncode:
            raise PermissionError(run.stderr.strip())
        return run.stdout.strip()

    def start(self, command: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts a container's command, with its variables and led here."""
        return subprocess.Popen(
            command,
            env={**variables, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def server() -> Iterator[Server]:
    """Runs a server with an administrator, as a user of its own where the tests are root: it refuses to be."""
    programs = binary("postgresql").parent
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"] if owner else []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        password = folder / "password"
        password.write_text(ADMIN_PASSWORD)
        for path in (folder, password):
            if owner:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        initdb = [str(programs / "initdb"), f"--pgdata={folder}/data", f"--username={ADMIN}", f"--pwfile={password}"]
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        made = subprocess.run(
            [*user, *initdb, "--auth=scram-sha-256", "--no-sync"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(made.stdout + made.stderr)
        port = _free_port()
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *user, programs / "postgres", "-D", folder / "data", *options],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            running = Server(port, programs)
            wait_until(lambda: process.poll() is not None or _is_ready(running), timeout=30, step=0.05)
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text())
            yield running
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def scram_verifier(password: str, *, salt: bytes = b"sixteen bytes!!!", iterations: int = 4096) -> str:
    """Gives what PostgreSQL keeps of an ASCII password: https://www.rfc-editor.org/rfc/rfc5803, section 2."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    of_server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, of_server))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def _is_ready(running: Server) -> bool:
    try:
        return running.query("SELECT 1") == "1"
    except PermissionError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
