"""The check against Pod Security ``restricted`` finds what the standard forbids."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.pod_security import violations

_GOOD: dict[str, Any] = {
    "securityContext": {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    },
    "containers": [
        {
            "name": "web",
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}

# Where in the pod, what stands there, and what is found.
_BAD: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("hostNetwork",), True, "hostNetwork"),
    (("hostPID",), True, "hostPID"),
    (("hostIPC",), True, "hostIPC"),
    (("volumes", 0), {"name": "host", "hostPath": {"path": "/"}}, "volume host: {'hostPath'}"),
    (("securityContext", "sysctls", 0, "name"), "kernel.msgmax", "sysctl kernel.msgmax"),
    (("securityContext", "runAsUser"), 0, "runAsUser"),
    (("securityContext", "windowsOptions"), {"hostProcess": True}, "hostProcess"),
    (("securityContext", "appArmorProfile"), {"type": "Unconfined"}, "appArmorProfile"),
    (("securityContext", "seLinuxOptions"), {"type": "spc_t"}, "seLinuxOptions"),
    (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "web: seccompProfile"),
    (("securityContext", "runAsNonRoot"), False, "web: runAsNonRoot"),
    (("containers", 0, "securityContext", "runAsNonRoot"), False, "web: runAsNonRoot"),
    (("containers", 0, "securityContext", "runAsUser"), 0, "web: runAsUser"),
    (("containers", 0, "securityContext", "privileged"), True, "web: privileged"),
    (("containers", 0, "securityContext", "procMount"), "Unmasked", "web: procMount"),
    (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "web: allowPrivilegeEscalation"),
    (("containers", 0, "securityContext", "seccompProfile"), {"type": "Unconfined"}, "web: seccompProfile"),
    (("containers", 0, "securityContext", "capabilities"), {"drop": ["KILL"]}, "web: capabilities.drop"),
    (("containers", 0, "securityContext", "capabilities", "add"), ["SYS_TIME"], "web: capabilities.add"),
    (("containers", 0, "ports", 0, "hostPort"), 80, "web: hostPort"),
    (("containers", 0, "livenessProbe", "httpGet", "host"), "10.0.0.1", "web: host of a probe"),
    (("initContainers",), [{"name": "init"}], "init: allowPrivilegeEscalation"),
]


def test_a_pod_that_the_standard_admits_is_admitted() -> None:
    assert violations(_GOOD) == []


@pytest.mark.parametrize(("path", "value", "problem"), _BAD, ids=[".".join(map(str, path)) for path, _, _ in _BAD])
def test_what_the_standard_forbids_is_found(path: tuple[str | int, ...], value: Any, problem: str) -> None:
    pod = copy.deepcopy(_GOOD)
    place: Any = pod
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert problem in violations(pod)
