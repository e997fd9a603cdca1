"""Credentials of the kinds that a kubeconfig may name. None of them shows its secret in a repr or an error."""

from __future__ import annotations

import base64
import datetime
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aphiria_deploy.errors import CredentialError
from aphiria_deploy.kube.access import ClientCertificate, Credentials
from aphiria_deploy.kube.deadline import Deadline

_REREAD_SECONDS = 60.0
_EXEC_SECONDS = 60.0
_EARLY_SECONDS = 30.0
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True)
class Fixed(Credentials):
    """What does not change: a token, a name and password, a certificate, or nothing at all.

    Attributes:
        fixed_headers: The headers.
        fixed_certificate: The certificate.
    """

    fixed_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fixed_certificate: ClientCertificate | None = None

    def headers(self, deadline: Deadline) -> dict[str, str]:  # noqa: D102
        return dict(self.fixed_headers)

    def certificate(self, deadline: Deadline) -> ClientCertificate | None:  # noqa: D102
        return self.fixed_certificate

    def refused(self) -> bool:  # noqa: D102
        return False


def bearer(token: str) -> dict[str, str]:
    """The header of a bearer token."""
    return {"Authorization": f"Bearer {token.strip()}"}


def basic(username: str, password: str) -> dict[str, str]:
    """The header of a name and a password."""
    return {"Authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"}


class TokenFile(Credentials):
    """A token in a file that somebody else renews: read again each minute, and when it is refused."""

    def __init__(self, path: Path, certificate: ClientCertificate | None = None) -> None:
        self._path = path
        self._certificate = certificate
        self._lock = threading.Lock()
        self._token = ""
        self._read_at = float("-inf")

    def headers(self, deadline: Deadline) -> dict[str, str]:  # noqa: D102
        with self._lock:
            if time.monotonic() - self._read_at > _REREAD_SECONDS:
                try:
                    self._token = self._path.read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    problem = error.strerror if isinstance(error, OSError) else "it is not text"
                    raise CredentialError(f"{self._path}: {problem}; expected a bearer token") from error
                self._read_at = time.monotonic()
            return bearer(self._token)

    def certificate(self, deadline: Deadline) -> ClientCertificate | None:  # noqa: D102
        return self._certificate

    def refused(self) -> bool:  # noqa: D102
        with self._lock:
            before, self._read_at = self._token, float("-inf")
        try:
            return self._path.read_text(encoding="utf-8").strip() != before
        except (OSError, UnicodeDecodeError):
            return False


@dataclass(frozen=True)
class _Given:
    """What a plugin gave, and until when it is good."""

    token: str | None = field(repr=False)
    certificate: ClientCertificate | None
    expires: float

    @property
    def good(self) -> bool:
        return time.time() < self.expires - _EARLY_SECONDS


class Plugin(Credentials):
    """A program that prints an ``ExecCredential``: asked once, and again when that has expired or is refused.

    Args:
        where: Where the kubeconfig names it, for messages.
        command: The program and its arguments.
        api_version: Of the ``ExecCredential``.
        environment: Variables that it gets beside ours.
        cluster: What it is told about the cluster, where it asks to be.
        hint: What to do where the program is missing.
        interactive: Whether it may ask its user something.
    """

    def __init__(
        self,
        where: str,
        command: Sequence[str],
        api_version: str,
        *,
        environment: Mapping[str, str] | None = None,
        cluster: Mapping[str, Any] | None = None,
        hint: str = "",
        interactive: bool = False,
    ) -> None:
        if api_version not in _EXEC_VERSIONS:
            raise CredentialError(
                f"{where}: apiVersion: found {api_version!r}, expected {' or '.join(_EXEC_VERSIONS)}: "
                "use a newer version of the plugin"
            )
        self._where = where
        self._command = list(command)
        self._api_version = api_version
        self._environment = dict(environment or {})
        self._cluster = cluster
        self._hint = f"; {hint.strip()}" if hint else ""
        self._interactive = interactive and sys.stdin.isatty()
        self._lock = threading.Lock()
        self._given: _Given | None = None

    def headers(self, deadline: Deadline) -> dict[str, str]:  # noqa: D102
        token = self._current(deadline).token
        return bearer(token) if token else {}

    def certificate(self, deadline: Deadline) -> ClientCertificate | None:  # noqa: D102
        return self._current(deadline).certificate

    def refused(self) -> bool:  # noqa: D102
        with self._lock:
            self._given = None
        return True

    def _current(self, deadline: Deadline) -> _Given:
        with self._lock:
            if self._given is None or not self._given.good:
                self._given = self._parse(self._run(deadline.within(_EXEC_SECONDS, f"{self._command[0]}")))
            return self._given

    def _run(self, deadline: Deadline) -> bytes:
        spec: dict[str, Any] = {"interactive": self._interactive}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        environment = os.environ | self._environment | {"KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own kubeconfig names it
                self._command,
                env=environment,
                stdin=None if self._interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise CredentialError(
                f"{self._where}: {self._command[0]}: {error.strerror}; expected the program that gives the "
                f"credential{self._hint}"
            ) from error
        with process, deadline.cancellation.waking(process.kill):
            try:
                out, err = process.communicate(timeout=deadline.remaining)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise CredentialError(
                    f"{self._where}: {self._command[0]} gave no credential within {deadline.seconds:g} s{self._hint}"
                ) from error
        deadline.check(f"{self._command[0]}, which gives the credential")
        if process.returncode:
            # What it says on stderr is for its user; what it prints is the credential.
            said = err.decode(errors="replace").strip()[-500:]
            raise CredentialError(
                f"{self._where}: {self._command[0]} ended with {process.returncode}: {said}{self._hint}"
            )
        return out

    def _parse(self, out: bytes) -> _Given:
        try:
            document = json.loads(out)
            status, version = document["status"], document["apiVersion"]
            token, chain, key = (status.get(name) for name in ("token", "clientCertificateData", "clientKeyData"))
            expires = _moment(status.get("expirationTimestamp"))
        except (ValueError, LookupError, TypeError, AttributeError):
            # Not from the error: it quotes what was printed.
            raise CredentialError(
                f"{self._where}: {self._command[0]} printed something else than an ExecCredential with a status"
            ) from None
        if version != self._api_version:
            raise CredentialError(
                f"{self._where}: {self._command[0]}: apiVersion: found {version!r}, expected {self._api_version!r}"
            )
        if not token and not (chain and key):
            raise CredentialError(
                f"{self._where}: {self._command[0]}: status: expected a token, or a clientCertificateData with its "
                "clientKeyData"
            )
        certificate = ClientCertificate(chain.encode(), key.encode()) if chain and key else None
        return _Given(token, certificate, expires)


def _moment(timestamp: str | None) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp() if timestamp else float("inf")


class Impersonating(Credentials):
    """Others' credentials, acting as somebody else."""

    def __init__(self, inner: Credentials, headers: Mapping[str, str]) -> None:
        self._inner = inner
        self._headers = dict(headers)

    def headers(self, deadline: Deadline) -> dict[str, str]:  # noqa: D102
        return self._inner.headers(deadline) | self._headers

    def certificate(self, deadline: Deadline) -> ClientCertificate | None:  # noqa: D102
        return self._inner.certificate(deadline)

    def refused(self) -> bool:  # noqa: D102
        return self._inner.refused()
