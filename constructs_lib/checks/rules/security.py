"""Rules about what a pod may do to its node: Pod Security ``restricted``, by the documented controls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from constructs_lib.checks.manifests import Container, Manifests, Pod, dig, mapping, sequence, string
from constructs_lib.checks.model import Severity
from constructs_lib.checks.registry import Found, rule

_ALLOWED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
_ALLOWED_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
_ALLOWED_SECCOMP = {"RuntimeDefault", "Localhost"}


def _security(container: Container) -> dict[str, Any]:
    return mapping(container.data.get("securityContext"))


def _effective(pod: Pod, container: Container, field: str) -> Any:
    own = _security(container).get(field)
    return dig(pod.spec, "securityContext", field) if own is None else own


def _missing(manifests: Manifests) -> Severity | None:
    """What is not forbidden but not excluded either is an error in an environment of ours, elsewhere a warning."""
    return None if manifests.closed else Severity.WARNING


def _is_windows(pod: Pod) -> bool:
    return string(dig(pod.spec, "os", "name")) == "windows"


@rule(
    "root-container",
    summary="a container runs as root, or nothing keeps it from doing so",
    why="What every auditor finds first: root in a container is root on the node once it gets out.",
)
def root_container(manifests: Manifests) -> Iterator[Found]:
    """Finds containers that are or may be root."""
    for pod in manifests.pods:
        if _is_windows(pod):
            continue
        for container in pod.containers:
            user, non_root = _effective(pod, container, "runAsUser"), _effective(pod, container, "runAsNonRoot")
            own = _security(container)
            path = f"{container.path}.securityContext"
            if user == 0:
                place = (
                    f"{path}.runAsUser" if own.get("runAsUser") == 0 else f"{pod.spec_path}.securityContext.runAsUser"
                )
                text = f"container {container.name} runs as root (runAsUser 0)"
                yield Found(pod.owner, place, text, "set runAsUser to the number of an ordinary user")
            elif non_root is not True:
                said = "runAsNonRoot is false" if non_root is False else "runAsNonRoot is not set"
                yield Found(
                    pod.owner,
                    path if own else container.path,
                    f"container {container.name} may run as root: {said}",
                    "set securityContext.runAsNonRoot: true, on the pod or the container",
                    _missing(manifests),
                )


@rule(
    "privileged",
    summary="a container has, or can get, more rights than it needs",
    why="What every auditor finds first: a privileged container owns its node.",
)
def privileged(manifests: Manifests) -> Iterator[Found]:
    """Finds privileges beyond Pod Security ``restricted``."""
    for pod in manifests.pods:
        if _is_windows(pod):
            continue
        for number, one in enumerate(map(mapping, sequence(dig(pod.spec, "securityContext", "sysctls")))):
            if string(one.get("name")) not in _ALLOWED_SYSCTLS:
                path = f"{pod.spec_path}.securityContext.sysctls[{number}].name"
                text = f"the sysctl {one.get('name')} is not one of the safe ones"
                yield Found(pod.owner, path, text, "remove it, or set it on the node", _missing(manifests))
        for container in pod.containers:
            yield from _privileges(manifests, pod, container)


def _privileges(manifests: Manifests, pod: Pod, container: Container) -> Iterator[Found]:
    own, path = _security(container), f"{container.path}.securityContext"
    name, weak = container.name, _missing(manifests)
    if own.get("privileged") is True:
        yield Found(
            pod.owner,
            f"{path}.privileged",
            f"container {name} is privileged: it can do everything that root on the node can",
            "remove privileged, and add the one capability that it needs",
        )
    if own.get("procMount") not in (None, "Default"):
        text = f"container {name} sees the node's /proc unmasked (procMount {own.get('procMount')})"
        yield Found(pod.owner, f"{path}.procMount", text, "remove procMount")
    if own.get("allowPrivilegeEscalation") is not False and own.get("privileged") is not True:
        said = "true" if own.get("allowPrivilegeEscalation") is True else "not set, which means true"
        yield Found(
            pod.owner,
            f"{path}.allowPrivilegeEscalation" if "allowPrivilegeEscalation" in own else container.path,
            f"container {name} can gain privileges: allowPrivilegeEscalation is {said}",
            "set securityContext.allowPrivilegeEscalation: false",
            weak,
        )
    dropped = sequence(dig(own, "capabilities", "drop"))
    added = [one for one in sequence(dig(own, "capabilities", "add")) if one != "NET_BIND_SERVICE"]
    if "ALL" not in dropped or added:
        said = f"adds {', '.join(map(str, added))}" if added else "keeps the default capabilities"
        yield Found(
            pod.owner,
            f"{path}.capabilities" if "capabilities" in own else container.path,
            f"container {name} {said}",
            "set capabilities.drop: [ALL]; only NET_BIND_SERVICE may be added",
            weak,
        )
    seccomp = string(dig(_effective(pod, container, "seccompProfile"), "type"))
    if seccomp not in _ALLOWED_SECCOMP:
        yield Found(
            pod.owner,
            f"{path}.seccompProfile" if "seccompProfile" in own else container.path,
            f"container {name} has the seccomp profile {seccomp or 'of no choice'}; expected RuntimeDefault",
            "set securityContext.seccompProfile.type: RuntimeDefault, on the pod or the container",
            weak,
        )


@rule(
    "host-access",
    summary="a pod reaches into its node: its network, processes, files or ports",
    why="What every auditor finds first: it can read the secrets of every other pod on the node.",
)
def host_access(manifests: Manifests) -> Iterator[Found]:
    """Finds host namespaces, host paths and host ports."""
    for pod in manifests.pods:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(field) is True:
                yield Found(pod.owner, f"{pod.spec_path}.{field}", f"{field} is true", f"remove {field}")
        yield from _volumes(manifests, pod)
        if pod.spec.get("hostNetwork") is True:
            continue  # then every port is a port of the host
        for container in pod.containers:
            for number, port in enumerate(container.ports):
                if port.get("hostPort"):
                    path = f"{container.path}.ports[{number}].hostPort"
                    text = f"container {container.name} takes port {port.get('hostPort')} of its node"
                    yield Found(pod.owner, path, text, "remove hostPort, and use a Service")


def _volumes(manifests: Manifests, pod: Pod) -> Iterator[Found]:
    for number, volume in enumerate(map(mapping, sequence(pod.spec.get("volumes")))):
        kinds = [key for key in volume if key != "name"]
        path = f"{pod.spec_path}.volumes[{number}]"
        if "hostPath" in kinds:
            where = dig(volume, "hostPath", "path")
            text = f"the volume {volume.get('name')} is the node's path {where}"
            yield Found(pod.owner, f"{path}.hostPath", text, "use an emptyDir, or a claim")
        elif manifests.closed and kinds and not set(kinds) & _ALLOWED_VOLUMES:
            text = f"the volume {volume.get('name')} is of the kind {kinds[0]}, which Pod Security restricted refuses"
            yield Found(pod.owner, path, text, f"use one of {', '.join(sorted(_ALLOWED_VOLUMES))}")
