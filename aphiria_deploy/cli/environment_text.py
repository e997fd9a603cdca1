"""What is deployed, as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aphiria_deploy.cli.showing import table
from aphiria_deploy.engine.drift import Departure


def status(found: dict[str, Any]) -> str:
    """An environment: what it is, and which of its objects are not ready."""
    health = "healthy" if found["healthy"] else "NOT HEALTHY"
    lines = [
        f"{found['environment']}: {health}, revision {found['revision']} {found['result']}, "
        f"{age(found['ageSeconds'])} old, by {found['author']}"
    ]
    if found["commit"]:
        lines.append(f"  commit  {found['commit']}")
    lines += [f"  {name}  {url}" for name, url in found["urls"].items()]
    lines += [f"  {name}  {ref}" for name, ref in found["images"].items()]
    unready = [one for one in found["objects"] if not one["ready"]]
    lines += [f"  {one['kind']} {_called(one)}: {one['message']}" for one in unready]
    lines += _last(found["last"])
    return "\n".join(lines)


def _last(last: dict[str, Any]) -> list[str]:
    """What became of the newest deploy, where it did not come to its end."""
    match last["result"]:
        case "failed":
            return ["", f"Revision {last['revision']}, the newest, failed: {last['message']}"]
        case "pending":
            return ["", f"Revision {last['revision']}, the newest, is under way, or what ran it died"]
    return []


def environments(found: dict[str, Any]) -> str:
    """Every environment, a line each; and in a line at the end what is reserved."""
    rows = [
        (
            row["environment"],
            row["result"] if row["healthy"] or row["result"] != "deployed" else "unhealthy",
            row["pods"],
            str(row["revision"] or ""),
            age(row["ageSeconds"]),
            row["author"] or "",
            row["urls"].get("web", ""),
        )
        for row in found["environments"]
    ]
    if not rows:
        return f"no environment in this cluster ({found['stack'] or 'it has no marker'})"
    head = ("ENVIRONMENT", "STATE", "PODS", "REVISION", "AGE", "BY", "URL")
    return f"{table(head, rows)}\n\n{found['capacity']['text']}"


def history(found: dict[str, Any]) -> str:
    """The releases of an environment, a line each."""
    rows = [
        (
            str(one["revision"]),
            one["result"],
            one["started"][:19].replace("T", " "),
            f"{one['seconds']} s" if one["seconds"] is not None else "",
            one["author"],
            (one["commit"] or "")[:12],
            f"rollback of {one['rollbackOf']}"
            if one["rollbackOf"]
            else (one["message"] or "").splitlines()[0][:100]
            if one["message"] or one["rollbackOf"]
            else "",
        )
        for one in found["releases"]
    ]
    if not rows:
        return f"{found['environment']}: no release"
    return table(("REVISION", "RESULT", "STARTED (UTC)", "TOOK", "BY", "COMMIT", ""), rows)


def drift(environment: str, found: Sequence[Departure]) -> str:
    """Where the cluster has departed from the last release, a line each."""
    if not found:
        return f"{environment}: no drift"
    return "\n".join([f"{environment}: {len(found)} found", *(f"  {one}" for one in found)])


def departure(one: Departure) -> dict[str, Any]:
    """A departure as data."""
    return {
        "kind": one.key.group_kind.kind,
        "namespace": one.key.namespace,
        "name": one.key.name,
        "path": one.path,
        "expected": one.wanted,
        "found": one.found,
        "owner": one.owner or None,
        "since": one.since.isoformat() if one.since else None,
    }


def age(seconds: int | None) -> str:
    """An age in its two largest units."""
    if seconds is None:
        return "?"
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for letter, size in units:
        if seconds >= size or (letter == "s" and not parts):
            parts.append(f"{seconds // size}{letter}")
            seconds %= size
    return "".join(parts[:2])


def _called(one: dict[str, Any]) -> str:
    return f"{one['namespace']}/{one['name']}" if one["namespace"] else str(one["name"])
