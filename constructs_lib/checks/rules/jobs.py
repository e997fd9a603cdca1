"""Rules about Jobs and what only they may do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from constructs_lib.checks.manifests import LONG_RUNNING, Container, Manifests, dig, sequence, string
from constructs_lib.checks.model import Severity
from constructs_lib.checks.registry import Found, rule

_MIGRATES = re.compile(
    r"""(?x)
    \bphinx(?:\.php)?\s+(?:\S+\s+)*?migrate\b
    | \bartisan\s+migrate(?!:status)\b
    | \bdoctrine(?:-migrations)?[:\s](?:migrations:)?migrate\b | \bmigrations:migrate\b
    | \bmanage\.py\s+migrate\b | \bdjango-admin\s+migrate\b
    | \b(?:rake|rails)\s+db:(?:migrate|prepare)\b(?!:status)
    | \balembic\s+(?:\S+\s+)*?upgrade\b
    | \bflyway\s+(?:\S+\s+)*?migrate\b | \bliquibase\s+(?:\S+\s+)*?update\b
    | \bprisma\s+migrate\s+deploy\b | \bsequelize(?:-cli)?\s+db:migrate\b(?!:status) | \bknex\s+migrate:(?:latest|up)\b
    | \btypeorm\s+(?:\S+\s+)*?migration:run\b | \bgoose\s+(?:\S+\s+)*?up\b | \bdbmate\s+(?:\S+\s+)*?(?:up|migrate)\b
    | \bairflow\s+db\s+(?:migrate|upgrade)\b | \bsuperset\s+db\s+upgrade\b | \bflask\s+db\s+upgrade\b
    """
)
_NAMED = re.compile(r"^(?:(?:run|db|database|schema)-)+migrat(?:e|ion|ions)$")


@rule(
    "migrations-once",
    summary="database migrations run in a pod that starts again: an init container, a container or a hook",
    why="Migrations ran in an init container: again at every restart, and as a race between replicas.",
)
def migrations_once(manifests: Manifests) -> Iterator[Found]:
    """Finds migrations outside of Jobs."""
    for pod in manifests.pods:
        if pod.owner.kind not in {*LONG_RUNNING, "Pod"}:
            continue
        for container in pod.containers:
            place = _place(container)
            if place is None:
                continue
            path, command = place
            kind = "init container" if container.init else "container"
            yield Found(
                pod.owner,
                path,
                f"{kind} {container.name} of a {pod.owner.kind} runs migrations ({command}): at every start of every "
                "replica, at the same time",
                "move them into a Job that completes before the rollout",
                None if manifests.closed else Severity.WARNING,
            )


def _place(container: Container) -> tuple[str, str] | None:
    for key in ("command", "args"):
        words = [string(word) for word in sequence(container.data.get(key))]
        match = _MIGRATES.search(" ".join(words))
        if match:
            return f"{container.path}.{key}", match.group()
    # The command may be split over both.
    match = _MIGRATES.search(" ".join(container.words))
    if match:
        return f"{container.path}.command", match.group()
    hook = dig(container.data, "lifecycle", "postStart", "exec", "command")
    match = _MIGRATES.search(" ".join(string(word) for word in sequence(hook)))
    if match:
        return f"{container.path}.lifecycle.postStart", match.group()
    if container.init and _NAMED.fullmatch(container.name):
        return f"{container.path}.name", f"by its name, {container.name}"
    return None
