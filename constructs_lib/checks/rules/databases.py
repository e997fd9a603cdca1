"""Rules about what databases need of the server that they share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from constructs_lib.checks.manifests import Container, Manifests, Pod, dig, mapping, sequence, string
from constructs_lib.checks.model import PREVIEW
from constructs_lib.checks.registry import Found, rule

_HOST = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?")
_SETTING = r"(?m)^\s*{}\s*=?\s*'?([0-9]+)"
# https://www.postgresql.org/docs/16/runtime-config-connection.html
_DEFAULTS = {"max_connections": 100, "superuser_reserved_connections": 3, "reserved_connections": 0}


@rule(
    "database-connections",
    summary="the roles of all databases on a server may together open more connections than it takes",
    why="A server takes a fixed number of connections: once the previews have all of them, each one's next connection "
    "is refused, and so is the administrator's who would see to it.",
)
def database_connections(manifests: Manifests) -> Iterator[Found]:
    """Finds Jobs that give roles more connections than their server has."""
    for pod in manifests.pods:
        for container in pod.containers:
            yield from _judge(manifests, pod, container)


def _judge(manifests: Manifests, pod: Pod, container: Container) -> Iterator[Found]:
    variables = {
        string(item.get("name")): (number, string(item.get("value")))
        for number, item in enumerate(map(mapping, sequence(container.data.get("env"))))
    }
    number, limit = variables.get("DATABASE_CONNECTION_LIMIT", (0, ""))
    server = _HOST.fullmatch(variables.get("PGHOST", (0, ""))[1])
    if not (limit.isdigit() and server):
        return
    name, namespace = server.groups()
    config = manifests.find("ConfigMap", namespace, f"{name}-config")
    text = string(dig(config.data, "data", "postgresql.conf")) if config else ""
    if not text:
        return
    most, for_superusers, for_some = (_setting(text, setting) for setting in _DEFAULTS)
    roles = manifests.context.contract.previews if manifests.context.environment == PREVIEW else 1
    needed = roles * int(limit) + for_superusers + for_some
    if needed > most:
        what = f"{roles} previews may open {limit} each" if roles > 1 else f"its role may open {limit}"
        yield Found(
            pod.owner,
            f"{container.path}.env[{number}].value",
            f"the server {name} of namespace {namespace} takes {most} connections, and keeps "
            f"{for_superusers + for_some} of them back; {what}: that takes {needed}",
            f"raise max_connections of {name} to {needed} or more, or lower the role's connection limit",
        )


def _setting(text: str, name: str) -> int:
    # The last one counts: https://www.postgresql.org/docs/16/config-setting.html
    found = re.findall(_SETTING.format(name), text)
    return int(found[-1]) if found else _DEFAULTS[name]
