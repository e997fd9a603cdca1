"""A real Kubernetes control plane on loopback, where its binaries are to be had."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.assets import find
from tests.e2e.plane import Plane, write_kubeconfig

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 90


class ControlPlane(Plane):
    """etcd, API server, controller manager, and the scheduler where it is there, in a folder of their own.

    There is no kubelet: pods stay pending, unless `tests.e2e.kubelet` stands in.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _LOOPBACK)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}
        self._tokens = {name: secrets.token_hex(16) for name in ("admin", "controller-manager", "scheduler")}
        self._ready: tuple[str, Path] = "", Path()
        self._etcd_url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends what was started, the last first."""
        # The last that was started first: an API server that others watch takes its time.
        for name in reversed(self._commands):
            if name in self._processes:
                self._end(name)

    @property
    def has_scheduler(self) -> bool:
        return "kube-scheduler" in self._processes

    @contextlib.contextmanager
    def api_server_down(self) -> Iterator[None]:
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()
        try:
            yield
        finally:
            self._run("kube-apiserver", *self._commands["kube-apiserver"])
            self._wait(*self._ready, self._tokens["admin"])

    def compact(self) -> None:
        now = self._etcd("kv/range", {"key": "AA==", "limit": 1})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": now, "physical": True})

    def _etcd(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(f"{self._etcd_url}/v3/{call}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        return document

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        client, peer, api, controllers, scheduler = (_free_port() for _ in range(5))
        key, public = self.folder / "sa.key", self.folder / "sa.pub"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        users = self.folder / "tokens.csv"
        users.write_text(
            f'{self._tokens["admin"]},admin,admin,"system:masters"\n'
            f"{self._tokens['controller-manager']},system:kube-controller-manager,controllers\n"
            f"{self._tokens['scheduler']},system:kube-scheduler,scheduler\n",
            encoding="utf-8",
        )
        self._run(
            "etcd",
            "--name=test",
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://{_LOOPBACK}:{client}",
            f"--advertise-client-urls=http://{_LOOPBACK}:{client}",
            f"--listen-peer-urls=http://{_LOOPBACK}:{peer}",
            f"--initial-advertise-peer-urls=http://{_LOOPBACK}:{peer}",
            f"--initial-cluster=test=http://{_LOOPBACK}:{peer}",
        )
        self._etcd_url = f"http://{_LOOPBACK}:{client}"
        self._wait(f"{self._etcd_url}/health")
        certificates = self.folder / "certificates"
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://{_LOOPBACK}:{client}",
            f"--bind-address={_LOOPBACK}",
            f"--advertise-address={_LOOPBACK}",
            f"--secure-port={api}",
            f"--cert-dir={certificates}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={users}",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
        )
        authority = certificates / "apiserver.crt"
        self._ready = f"https://{_LOOPBACK}:{api}/readyz", authority
        self._wait(*self._ready, self._tokens["admin"])
        cluster = {"server": f"https://{_LOOPBACK}:{api}", "certificate-authority": str(authority)}
        write_kubeconfig(self.kubeconfig, cluster, self._tokens["admin"])
        controller_config = self.folder / "controller-manager.kubeconfig"
        write_kubeconfig(controller_config, cluster, self._tokens["controller-manager"])
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={controller_config}",
            f"--authentication-kubeconfig={controller_config}",
            f"--authorization-kubeconfig={controller_config}",
            f"--bind-address={_LOOPBACK}",
            f"--secure-port={controllers}",
            f"--cert-dir={self.folder / 'controller-certificates'}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={authority}",
            "--node-monitor-grace-period=24h",
        )
        if find("kube-scheduler"):
            config = self.folder / "scheduler.kubeconfig"
            write_kubeconfig(config, cluster, self._tokens["scheduler"])
            self._run(
                "kube-scheduler",
                f"--kubeconfig={config}",
                f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}",
                f"--bind-address={_LOOPBACK}",
                f"--secure-port={scheduler}",
                f"--cert-dir={self.folder / 'scheduler-certificates'}",
                "--leader-elect=false",
            )

    def _run(self, name: str, *arguments: str) -> None:
        binary = find(name)
        assert binary, f"{name} was found a moment ago"
        self._commands[name] = list(arguments)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([binary, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes[name] = process

    def _wait(self, url: str, authority: Path | None = None, token: str = "") -> None:
        deadline = time.monotonic() + _START_SECONDS
        problem: Exception = TimeoutError()
        while time.monotonic() < deadline:
            for process in self._processes.values():
                assert process.poll() is None, f"{process.args!r} ended: see the logs in {self.folder}"
            try:
                context = ssl.create_default_context(cafile=authority) if authority else None
                request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
                with urllib.request.urlopen(request, context=context, timeout=2):
                    return
            except (OSError, urllib.error.URLError) as error:
                problem = error
                time.sleep(0.1)
        raise TimeoutError(f"{url} did not answer within {_START_SECONDS} s: {problem}")


def eventually(seconds: float, what: str, condition: Any) -> Any:
    """Asks until the answer is true, and gives it."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return answer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def names(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names of objects."""
    return {item["metadata"]["name"] for item in objects}
