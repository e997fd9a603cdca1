"""A stand-in for a node and its kubelet: reports what becomes of pods, and serves logs, without running anything.

What a container does is said by the pod's annotation or label `pod_status.ANNOTATION`, or by a rule::

    with Kubelet(client) as kubelet:
        kubelet.rule = lambda pod, container: Behaviour.FAIL if container == "migrate" else None
        kubelet.logs["migrate"] = ["SQLSTATE[42P01]: relation does not exist"]

Where there is no scheduler it gives pods their node itself. A claim gets a volume.
"""

from __future__ import annotations

import contextlib
import datetime
import heapq
import itertools
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from aphiria_deploy.errors import AphiriaDeployError, CancelledError, ConflictError
from aphiria_deploy.kube import Cancellation, Change, Client, Deadline, Kind, Ref, Watched, Watches
from tests.e2e.pod_status import Behaviour, Pace, behaviour_of, status_of

Rule = Callable[[Mapping[str, Any], str], Behaviour | None]
"""Says how a pod's container does, by the container's name; nothing where the pod itself says."""

_POD = Kind("v1", "Pod")
_CLAIM = Kind("v1", "PersistentVolumeClaim")
_LOOPBACK = "127.0.0.1"
_LEASE = Kind("coordination.k8s.io/v1", "Lease")
_FOREVER = 24 * 3600.0
_BEAT_SECONDS = 10.0

NAME = "stand-in"
"""The node."""


class Kubelet:
    """A node, while it is entered.

    Args:
        client: The cluster.
        folder: Where its server's certificate is kept.
        address: Where the API server reaches it.
        schedules: Whether it gives pods their node itself.
        pace: How long things take.

    Attributes:
        rule: How containers do, before their pods are asked.
        logs: What containers write, by name.
        previous_logs: What their instance before wrote.
        problem: What ended it, if something did.
    """

    def __init__(
        self,
        client: Client,
        folder: Path,
        *,
        address: str = _LOOPBACK,
        schedules: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self.rule: Rule = lambda _pod, _container: None
        self.logs: dict[str, list[str]] = {}
        self.previous_logs: dict[str, list[str]] = {}
        self.problem: BaseException | None = None
        self._client = client
        self._address = address
        self._schedules = schedules
        self._pace = pace or Pace()
        self._cancellation = Cancellation()
        self._deadline = Deadline.after(_FOREVER, "the kubelet", self._cancellation)
        self.pods: dict[str, dict[str, Any]] = {}
        self._since: dict[str, float] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._due: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._server = _log_server(folder, self, address)
        self._threads = [
            threading.Thread(target=self._run, name="kubelet", daemon=True),
            threading.Thread(target=self._beat, name="kubelet's heart", daemon=True),
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
        ]

    def __enter__(self) -> Self:
        self._join()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancellation.cancel("the test is over")
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(10)
        if self.problem and error is None:
            raise self.problem

    def behaviour(self, pod: Mapping[str, Any], container: str, *, init: bool) -> Behaviour:
        """How a container does."""
        return self.rule(pod, container) or behaviour_of(pod, container, init=init)

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> tuple[list[str], bool] | None:
        """What a container has written, and whether it may still write more; nothing where it has not started."""
        for known in list(self.pods.values()):
            if known["metadata"]["namespace"] == namespace and known["metadata"]["name"] == pod:
                status = self._told.get(known["metadata"]["uid"]) or {}
                found = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
                state = next((item for item in found if item["name"] == container), None)
                if state is None or ("waiting" in state["state"] and not state["lastState"]):
                    return None
                if previous:
                    return (self.previous_logs.get(container, ["it failed"]), False) if state["lastState"] else None
                return self.logs.get(container, [f"{container} has started"]), "running" in state["state"]
        return [], False

    def _join(self) -> None:
        """Makes the node, and waits until pods may go there."""
        node = Ref(Kind("v1", "Node"), NAME)
        room = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "500Gi"}
        self._client.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": NAME, "labels": {"kubernetes.io/hostname": NAME}},
            },
            self._deadline,
        )
        now = _timestamp(time.time())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it stands in"}
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [{"type": "InternalIP", "address": self._address}, {"type": "Hostname", "address": NAME}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}},
        }
        self._client.patch(node, {"status": status}, self._deadline, subresource="status")
        soon = Deadline.after(60, "the node")
        while self._client.get(node, soon)["spec"].get("taints"):
            soon.sleep(0.1, "the node controller to admit pods")

    def _beat(self) -> None:
        """Says again and again that the node is alive."""
        while True:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            lease = {
                "apiVersion": _LEASE.api_version,
                "kind": _LEASE.name,
                "metadata": {"name": NAME, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": now},
            }
            try:
                self._client.apply(lease, self._deadline, force=True)
                self._deadline.sleep(_BEAT_SECONDS, "the next beat")
            except CancelledError:
                return
            except AphiriaDeployError:
                # A server that is down for a moment hears the next one.
                time.sleep(1)

    def _run(self) -> None:
        watched = [Watched(_POD), Watched(_CLAIM)]
        try:
            with Watches(self._client, watched, self._deadline) as watches:
                while True:
                    pause = self._due[0][0] - time.monotonic() if self._due else 3600.0
                    if told := watches.next(max(0.0, pause)):
                        self._changed(*told[1])
                    while self._due and self._due[0][0] <= time.monotonic():
                        self._report(heapq.heappop(self._due)[2])
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test is told
            self.problem = error

    def _changed(self, change: Change, item: dict[str, Any]) -> None:
        if change is Change.SYNCED:
            return
        uid = item["metadata"]["uid"]
        if item["kind"] == _CLAIM.name:
            if change is not Change.DELETED:
                self._provide(item)
        elif change is Change.DELETED:
            for known in (self.pods, self._since, self._told):
                known.pop(uid, None)
        elif item["spec"].get("nodeName") == NAME:
            self._since.setdefault(uid, time.monotonic())
            self.pods[uid] = item
            self._report(uid)
        elif self._schedules and not item["spec"].get("nodeName") and not item["spec"].get("schedulingGates"):
            self._bind(item)

    def _report(self, uid: str) -> None:
        pod = self.pods.get(uid)
        if pod is None:
            return
        if pod["metadata"].get("deletionTimestamp"):
            self._stop(pod)
            return
        since = self._since[uid]
        started = time.time() - (time.monotonic() - since)
        status, again_at = status_of(
            pod,
            time.monotonic() - since,
            lambda age: _timestamp(started + age),
            lambda container, init: self.behaviour(pod, container, init=init),
            self._pace,
        )
        status["hostIP"] = self._address
        if _without_times(status) != _without_times(self._told.get(uid) or {}):
            self._told[uid] = status
            self._patch(pod, status)
        if again_at is not None:
            heapq.heappush(self._due, (since + again_at, next(self._numbers), uid))

    def _stop(self, pod: dict[str, Any]) -> None:
        """Ends a pod's containers, and then lets the pod go."""
        uid = pod["metadata"]["uid"]
        status = self._told.get(uid) or {}
        now = _timestamp(time.time())
        for container in [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]:
            if "terminated" not in container["state"]:
                ended = {"exitCode": 143, "reason": "Error", "finishedAt": now, "startedAt": now}
                container |= {"state": {"terminated": ended}, "ready": False, "started": False}
        if status and status.get("phase") not in {"Succeeded", "Failed"}:
            self._patch(pod, status | {"phase": "Failed"})
        with contextlib.suppress(ConflictError):
            self._client.delete(Ref.of(pod), self._deadline, uid=uid, grace_seconds=0, propagation="Background")
        self.pods.pop(uid, None)

    def _patch(self, pod: dict[str, Any], status: dict[str, Any]) -> None:
        self._tolerate(
            lambda: self._client.patch(Ref.of(pod), {"status": status}, self._deadline, subresource="status")
        )

    def _bind(self, pod: dict[str, Any]) -> None:
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
        target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        self._tolerate(lambda: self._client.ask_of(Ref.of(pod), "binding", binding, self._deadline))

    def _provide(self, claim: dict[str, Any]) -> None:
        """A volume that is this claim's: the controller binds the two."""
        if claim["spec"].get("volumeName") or claim["metadata"].get("deletionTimestamp"):
            return
        metadata = claim["metadata"]
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"pv-{metadata['uid']}"},
            "spec": {
                "capacity": claim["spec"]["resources"]["requests"],
                "accessModes": claim["spec"]["accessModes"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": claim["spec"].get("storageClassName", ""),
                "hostPath": {"path": f"/nowhere/{metadata['uid']}"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        self._tolerate(lambda: self._client.apply(volume, self._deadline))

    def _tolerate(self, change: Callable[[], object]) -> None:
        """What is changed may have gone meanwhile."""
        try:
            change()
        except CancelledError:
            raise
        except AphiriaDeployError as error:
            if getattr(error, "status", 0) not in {404, 409, 422}:
                raise


def _timestamp(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if not key.endswith(("Time", "edAt"))}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


class _LogServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    kubelet: Kubelet

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Readers that are gone are not worth a traceback."""


class _LogHandler(BaseHTTPRequestHandler):
    """``/containerLogs/NAMESPACE/POD/CONTAINER``, as the API server asks for it."""

    protocol_version = "HTTP/1.1"
    server: _LogServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        _, _, namespace, pod, container = parts.path.split("/")
        found = self.server.kubelet.log(namespace, pod, container, previous=query.get("previous") == "true")
        if found is None:
            kind = "previous terminated " if query.get("previous") else ""
            text = f'{kind}container "{container}" in pod "{pod}" is waiting to start or not found'.encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        lines, _ = found
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        first = max(0, len(lines) - int(query["tailLines"])) if "tailLines" in query else 0
        self._write(lines[first:])
        if query.get("follow") == "true":
            self._follow(namespace, pod, container, len(lines))
        self.wfile.write(b"0\r\n\r\n")

    def _follow(self, namespace: str, pod: str, container: str, written: int) -> None:
        while True:
            found = self.server.kubelet.log(namespace, pod, container, previous=False)
            lines, more = found or ([], False)
            self._write(lines[written:])
            written = max(written, len(lines))
            if not more:
                return
            time.sleep(0.02)

    def _write(self, lines: list[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()


def _log_server(folder: Path, kubelet: Kubelet, address: str) -> _LogServer:
    key, certificate = folder / "kubelet.key", folder / "kubelet.crt"
    request = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=kubelet -addext subjectAltName=IP:{address}"
    subprocess.run([*request.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = _LogServer((address, 0), _LogHandler)
    server.kubelet = kubelet
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    assert isinstance(server.socket, socket.socket)
    return server
