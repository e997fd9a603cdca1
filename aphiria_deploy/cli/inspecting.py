"""What ``status``, ``list``, ``history``, ``logs`` and ``drift`` read. Nothing here writes, and no source is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.drift import Departure, drift
from aphiria_deploy.engine.jobs import is_job
from aphiria_deploy.engine.plan import Live
from aphiria_deploy.engine.releases import ENVIRONMENT, Release, Result
from aphiria_deploy.engine.state import Header, Remembered, State, read_summary
from aphiria_deploy.engine.survey import Sought, secret_refs, survey
from aphiria_deploy.engine.wanted import needed_identities, wanted
from aphiria_deploy.errors import InputError
from aphiria_deploy.fields import at, moment, number
from aphiria_deploy.kube import Client, Deadline, Kind, both
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.readiness import judge
from aphiria_deploy.secrets import recorded_secrets

SECONDS = 60.0
_POD = Kind("v1", "Pod")
_DEPLOYMENT = Kind("apps/v1", "Deployment")


@dataclass(frozen=True)
class Recorded:
    """An environment, as it was recorded and as it is.

    Attributes:
        remembered: What is remembered.
        release: The release that runs; of an environment whose first deploy failed, that one.
        live: Its objects.
    """

    remembered: Remembered
    release: Release
    live: Live

    @property
    def bundle(self) -> Bundle:
        """What was deployed."""
        return self.release.bundle


def recorded(client: Client, environment: str, deadline: Deadline) -> Recorded:
    """Reads an environment.

    Raises:
        InputError: Nothing of it is recorded in this cluster.
    """
    known = State(client).of(environment, deadline)
    release = known.current or known.newest
    if release is None:
        raise InputError(
            f"{environment}: found no release of it in {client.access.where} ({client.access.url}), expected one: was "
            "it deployed to another cluster? `aphiria-deploy list` tells what is here"
        )
    bundle = release.bundle
    sought = Sought(
        manifests=bundle.manifests,
        secrets=secret_refs(bundle.secrets),
        identities=needed_identities(bundle.manifests),
        parent=known.as_parent(),
        former=[],
    )
    return Recorded(known, release, survey(client, sought, deadline))


def status(client: Client, environment: str, deadline: Deadline) -> dict[str, Any]:
    """Gives an environment's health, images, URLs, age and owner, object by object.

    Raises:
        InputError: Nothing of it is recorded in this cluster.
    """
    found = recorded(client, environment, deadline)
    release, newest = found.release, found.remembered.newest or found.release
    objects = [_object(manifest, found.live) for manifest in found.bundle.manifests]
    healthy = release.result is Result.DEPLOYED and all(one["ready"] for one in objects)
    return {
        "environment": environment,
        "healthy": healthy,
        "revision": release.revision,
        "result": release.result.value,
        "last": {"revision": newest.revision, "result": newest.result.value, "message": newest.message},
        "started": release.started.isoformat(),
        "ageSeconds": round((client.now() - release.started).total_seconds()),
        "author": release.author,
        "commit": release.commit,
        "urls": found.bundle.urls,
        "images": {name: image.ref for name, image in found.bundle.images.items()},
        "outputs": found.bundle.outputs,
        "objects": objects,
    }


def states(found: Recorded) -> dict[ObjectKey, str]:
    """Says of each object how it is: ``ready``, ``waiting`` or ``failed``; of a Job that is gone nothing."""
    states: dict[ObjectKey, str] = {}
    for manifest in found.bundle.manifests:
        key = ObjectKey.of(manifest)
        item = found.live.objects.get(key)
        if item is not None:
            verdict = judge(item)
            states[key] = "ready" if verdict.ok else "failed" if verdict.done else "waiting"
        elif not is_job(manifest):
            states[key] = "failed"
    return states


def _object(manifest: Manifest, live: Live) -> dict[str, Any]:
    key = ObjectKey.of(manifest)
    item = live.objects.get(key)
    named = {"kind": key.group_kind.kind, "namespace": key.namespace, "name": key.name}
    if item is None:
        # What a finished Job has done is recorded; the Job itself may be gone.
        return named | {"ready": is_job(manifest), "message": "it is gone" if is_job(manifest) else "it is not there"}
    verdict = judge(item)
    return named | {"ready": verdict.ok, "message": verdict.message}


def environments(client: Client, deadline: Deadline) -> dict[str, Any]:
    """Gives every environment of a cluster, in a number of requests that does not depend on how many there are.

    With them comes what all previews reserve, and how many more fit.
    """
    from aphiria_deploy.cli import room

    state = State(client)
    read_parents, read_rest = both(
        lambda: state.environments(deadline),
        lambda: both(
            lambda: (client.list(_DEPLOYMENT, deadline, labels=ENVIRONMENT).items, marker.find(client, deadline)[0]),
            lambda: room.read(client, deadline),
            deadline.cancellation,
        ),
        deadline.cancellation,
    )
    read_deployments, read_room = read_rest.get()
    deployments, marked = read_deployments.get()
    by_environment: dict[str, list[Manifest]] = {}
    for item in deployments:
        by_environment.setdefault(item["metadata"]["labels"][ENVIRONMENT], []).append(item)
    rows = [_row(parent, by_environment, client.now()) for parent in read_parents.get()]
    rows.sort(key=lambda row: (row["kind"] != "production", row["kind"] == "preview", _number(row["environment"])))
    return {
        "stack": marked.stack if marked else None,
        "environments": rows,
        "capacity": room.summary(by_environment, read_room.get()),
    }


def _row(parent: Manifest, by_environment: Mapping[str, list[Manifest]], now: datetime) -> dict[str, Any]:
    name = parent["metadata"]["labels"][ENVIRONMENT]
    said = read_summary(parent)
    workloads = by_environment.get(name, [])
    wanted = sum(number(at(item, "spec", "replicas"), 1) for item in workloads)
    available = sum(number(at(item, "status", "availableReplicas")) for item in workloads)
    started = moment(said.get("started"))
    return {
        "environment": name,
        "kind": said.get("kind", ""),
        "result": said.get("result", "unknown"),
        "revision": said.get("revision"),
        "healthy": all(judge(item).ok for item in workloads),
        "pods": f"{available}/{wanted}",
        "ageSeconds": round((now - started).total_seconds()) if started else None,
        "author": said.get("author"),
        "commit": said.get("commit"),
        "urls": said.get("urls") or {},
        "images": said.get("images") or {},
    }


def _number(environment: str) -> int:
    tail = environment.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def history(client: Client, environment: str, deadline: Deadline) -> list[dict[str, Any]]:
    """Gives the releases of an environment that are kept, the newest first."""
    known = State(client).of(environment, deadline)
    return [_release(known, header) for header in known.headers]


def _release(known: Remembered, header: Header) -> dict[str, Any]:
    release = known.release(header.revision)
    assert release is not None  # noqa: S101 - it is one of the headers
    seconds = (release.finished - release.started).total_seconds() if release.finished else None
    return {
        "revision": release.revision,
        "result": release.result.value,
        "started": release.started.isoformat(),
        "seconds": round(seconds, 1) if seconds is not None else None,
        "author": release.author,
        "commit": release.commit,
        "rollbackOf": release.rollback_of,
        "images": {name: image.ref for name, image in release.bundle.images.items()},
        "bundle": release.bundle.hash,
        "message": release.message,
    }


def departures(client: Client, environment: str, deadline: Deadline) -> list[Departure]:
    """Compares what is there with what the last release asked for. Nothing is written.

    Raises:
        InputError: Nothing of it is recorded in this cluster.
    """
    found = recorded(client, environment, deadline)
    release, set_id = found.release, found.remembered.as_parent().id
    want = wanted(release.bundle, recorded_secrets(release.bundle.secrets, release.secrets), set_id, found.live.uids)
    return drift(want.manifests, found.live.objects)
