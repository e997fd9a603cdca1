"""Where pods mention other hosts: in environment variables, ConfigMaps, commands and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from constructs_lib.checks.manifests import Container, Manifests, Object, Pod, dig, mapping, sequence, string
from constructs_lib.checks.schema import join
from constructs_lib.checks.uses import uses

_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]*://(?:[^\s/@'\"]*@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(\d{1,5}))?(?![\w.@-])"
)
_HOST_PORT = re.compile(r"(?<![\w.:@/-])([a-z](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})(?![\w.:-])")
_OPTION = re.compile(r"(?:^|\s)(?:-h|-H|--host|--hostname)[\s=]+['\"]?([a-z](?:[a-z0-9.-]*[a-z0-9])?)(?![\w.:/-])")
_NETCAT = re.compile(r"(?:^|[\s/;])nc\s+(?:-\w+\s+(?:\d+\s+)?)*([a-z](?:[a-z0-9.-]*[a-z0-9])?)\s+(\d{1,5})\b")
_DSN = re.compile(r"\bhost=([a-z](?:[a-z0-9.-]*[a-z0-9])?)(?=[\s;'\"]|$)(?:[\s;]+port=(\d{1,5}))?")
_PATTERNS = (_URL, _HOST_PORT, _OPTION, _NETCAT, _DSN)
_HOST = re.compile(r"[a-z](?:[a-z0-9.-]*[a-z0-9])?")
# PGHOST is how PostgreSQL's own programs are told: https://www.postgresql.org/docs/current/libpq-envars.html.
_HOST_KEY = re.compile(r"(?i)(?:^(?:pg)?|[_.-])(host|hostname|server|address|addr|endpoint)$")
_FQDN = re.compile(r"(?:^|.*\.)([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?")
_TEXT_LIMIT = 65_536


@dataclass(frozen=True)
class Mention:
    """A pod mentions a host.

    Attributes:
        pod: The pod.
        item: The object in which the host stands: the pod's owner, or a ConfigMap that it uses.
        path: The field.
        host: The host, as it stands there.
        port: The port, where one stands beside it.
    """

    pod: Pod
    item: Object
    path: str
    host: str
    port: int | None

    @property
    def service(self) -> tuple[str, str] | None:
        """The namespace and name of the Service that a host ``NAME.NAMESPACE.svc…`` names."""
        match = _FQDN.fullmatch(self.host)
        return (match.group(2), match.group(1)) if match else None


def mentions(manifests: Manifests) -> Iterator[Mention]:
    """Gives every mention of a host in the set."""
    for pod in manifests.pods:
        for container in pod.containers:
            yield from _in_variables(manifests, pod, container)
            for key in ("command", "args"):
                words = [string(word) for word in sequence(container.data.get(key))]
                path = f"{container.path}.{key}"
                for host, port in _in_text(" ".join(words)):
                    yield Mention(pod, pod.owner, path, host, port)
        for name in sorted({use.name for use in uses(pod) if use.kind == "ConfigMap" and ".volumes[" in use.path}):
            yield from _in_files(pod, manifests.find("ConfigMap", pod.namespace, name))


def _in_files(pod: Pod, item: Object | None) -> Iterator[Mention]:
    if item is not None:
        for key, text in mapping(item.data.get("data")).items():
            for host, port in _in_text(string(text)):
                yield Mention(pod, item, join("data", key), host, port)


def _in_variables(manifests: Manifests, pod: Pod, container: Container) -> Iterator[Mention]:
    variables: dict[str, tuple[Object, str, str]] = {}
    for source in map(mapping, sequence(container.data.get("envFrom"))):
        name = string(dig(source, "configMapRef", "name"))
        item = manifests.find("ConfigMap", pod.namespace, name) if name else None
        if item is not None:
            prefix = string(source.get("prefix"))
            for key, value in mapping(item.data.get("data")).items():
                variables[f"{prefix}{key}"] = (item, join("data", key), string(value))
    for number, variable in enumerate(map(mapping, sequence(container.data.get("env")))):
        reference = mapping(dig(variable, "valueFrom", "configMapKeyRef"))
        key = string(reference.get("key"))
        item = manifests.find("ConfigMap", pod.namespace, string(reference.get("name"))) if reference else None
        if item is not None:
            variables[string(variable.get("name"))] = (
                item,
                join("data", key),
                string(mapping(item.data.get("data")).get(key)),
            )
        elif isinstance(variable.get("value"), str):
            path = f"{container.path}.env[{number}].value"
            variables[string(variable.get("name"))] = (pod.owner, path, variable["value"])
    for name, (item, path, value) in variables.items():
        if _HOST.fullmatch(value) and _HOST_KEY.search(name):
            yield Mention(pod, item, path, value, _sibling_port(name, variables))
        else:
            for host, port in _in_text(value):
                yield Mention(pod, item, path, host, port)


def _sibling_port(name: str, variables: Mapping[str, tuple[Object, str, str]]) -> int | None:
    match = _HOST_KEY.search(name)
    for suffix in ("port", "PORT"):
        value = variables.get(f"{name[: match.start(1)]}{suffix}") if match else None
        if value is not None and value[2].isdigit():
            return int(value[2])
    return None


@lru_cache(maxsize=1024)
def _in_text(text: str) -> tuple[tuple[str, int | None], ...]:
    # Remembered: scripts and configuration are the same in many sets.
    found = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text[:_TEXT_LIMIT]):
            port = match.group(2) if pattern.groups > 1 else None
            found.append((match.group(1).lower(), int(port) if port else None))
    return tuple(found)
