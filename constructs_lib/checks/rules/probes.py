"""Rules about probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from constructs_lib.checks.manifests import LONG_RUNNING, Container, Manifests, Pod, dig, mapping, string
from constructs_lib.checks.model import Severity
from constructs_lib.checks.registry import Found, rule

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_FASTCGI_PORT = 9000
_HTTP_NAME = re.compile(r"(^|-)(http|https|web|metrics|health|healthz|probe|admin)(-|$|\d)")
_FPM = re.compile(r"(^|[/:\-_])(php-)?fpm($|[:@\-_\d])")


@rule(
    "probe-protocol",
    summary="an HTTP probe goes to a port that speaks no HTTP, or that its container does not have",
    why="An HTTP probe went to PHP-FPM, which speaks only FastCGI: 189 restarts.",
)
def probe_protocol(manifests: Manifests) -> Iterator[Found]:
    """Finds probes that can never succeed."""
    for pod in manifests.pods:
        for container in pod.containers:
            for name in _PROBES:
                probe = mapping(container.data.get(name))
                if probe.get("httpGet"):
                    yield from _http(manifests, pod, container, name)
                elif probe.get("tcpSocket"):
                    port = dig(probe, "tcpSocket", "port")
                    if isinstance(port, str) and not port.isdigit() and _declared(container, port) is None:
                        yield _no_such_port(pod, container, f"{container.path}.{name}.tcpSocket.port", port)


def _http(manifests: Manifests, pod: Pod, container: Container, name: str) -> Iterator[Found]:
    probe = mapping(dig(container.data, name, "httpGet"))
    port, path = probe.get("port"), f"{container.path}.{name}.httpGet.port"
    if probe.get("host"):
        return  # it asks somebody else
    declared = _declared(container, port)
    if declared is None:
        is_name = isinstance(port, str) and not port.isdigit()
        if _is_fastcgi(container, {"containerPort": port}):
            yield _speaks_fastcgi(pod, container, path, port)
        elif is_name or manifests.closed:
            yield _no_such_port(pod, container, path, port)
    elif _is_fastcgi(container, declared):
        yield _speaks_fastcgi(pod, container, path, port)
    elif manifests.closed and not _HTTP_NAME.search(string(declared.get("name"))):
        yield Found(
            pod.owner,
            path,
            f"an HTTP probe goes to port {port} of container {container.name}, which it does not declare as HTTP "
            f"(its name is {string(declared.get('name')) or 'missing'})",
            "name the port http, if HTTP is what it speaks; a FastCGI container gets a TCP probe",
        )


def _declared(container: Container, port: Any) -> dict[str, Any] | None:
    wanted = int(port) if isinstance(port, str) and port.isdigit() else port
    return next((one for one in container.ports if wanted in (one.get("containerPort"), one.get("name"))), None)


def _is_fastcgi(container: Container, port: dict[str, Any]) -> bool:
    name = string(port.get("name"))
    if "fastcgi" in name or "fcgi" in name or "fpm" in name:
        return True
    runs_fpm = _FPM.search(container.image) or any("php-fpm" in word for word in container.words)
    return bool(runs_fpm) and port.get("containerPort") == _FASTCGI_PORT


def _speaks_fastcgi(pod: Pod, container: Container, path: str, port: Any) -> Found:
    return Found(
        pod.owner,
        path,
        f"an HTTP probe goes to port {port} of container {container.name}, which speaks FastCGI: every probe fails, "
        "and the container is restarted for ever",
        "probe the web server in front of it, and give this container a TCP probe",
    )


def _no_such_port(pod: Pod, container: Container, path: str, port: Any) -> Found:
    shown = [f"{one.get('containerPort')} {string(one.get('name'))}".strip() for one in container.ports]
    return Found(
        pod.owner,
        path,
        f"container {container.name} declares no port {port}; its ports are {', '.join(shown) or 'none'}",
        "name a port that this container declares",
    )


@rule(
    "no-probes",
    summary="a container that serves has no probe, so traffic reaches it before it can answer",
    why="What every auditor finds first: without a readiness probe a rollout counts a pod as ready while it starts.",
)
def no_probes(manifests: Manifests) -> Iterator[Found]:
    """Finds containers without probes."""
    severity = None if manifests.closed else Severity.WARNING
    for pod in manifests.pods:
        if pod.owner.kind not in LONG_RUNNING:
            continue
        for container in pod.containers:
            present = [name for name in _PROBES if container.data.get(name)]
            # Of foreign YAML only what declares a port is known to serve.
            if container.init or not (container.ports or manifests.closed):
                continue
            if not present:
                yield Found(
                    pod.owner,
                    container.path,
                    f"container {container.name} has no probe: neither readiness, liveness nor startup",
                    "add a readinessProbe, and a livenessProbe if a restart can mend it",
                    severity,
                )
            elif container.ports and "readinessProbe" not in present:
                yield Found(
                    pod.owner,
                    container.path,
                    f"container {container.name} has ports and no readinessProbe, only {', '.join(present)}",
                    "add a readinessProbe: traffic waits for it",
                    severity,
                )
