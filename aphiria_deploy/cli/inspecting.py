"""What ``status``, ``list``, ``history``, ``logs`` and ``drift`` read. Nothing here writes, and no source is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aphiria_deploy import marker
from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.drift import Departure, drift
from aphiria_deploy.errors import ApiError, InputError
from aphiria_deploy.fields import at, moment, number
from aphiria_deploy.jobs import is_job
from aphiria_deploy.kube import Client, Deadline, Kind, both
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.plan import Live
from aphiria_deploy.readiness import judge
from aphiria_deploy.releases import ENVIRONMENT, Release
from aphiria_deploy.secrets import recorded_secrets
from aphiria_deploy.state import Header, Remembered, State, read_summary
from aphiria_deploy.survey import Sought, secret_refs, survey
from aphiria_deploy.wanted import needed_identities, wanted

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
    release, newest = found.release, found.remembered.newest
    objects = [_object(manifest, found.live) for manifest in found.bundle.manifests]
    healthy = all(one["ready"] for one in objects)
    return {
        "environment": environment,
        "healthy": healthy,
        "revision": release.revision,
        "result": (newest or release).result.value,
        "message": (newest or release).message,
        "started": release.started.isoformat(),
        "ageSeconds": round((client.now() - release.started).total_seconds()),
        "author": release.author,
        "commit": release.commit,
        "urls": found.bundle.urls,
        "images": {name: image.ref for name, image in found.bundle.images.items()},
        "outputs": found.bundle.outputs,
        "objects": objects,
    }


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
    """Gives every environment of a cluster, in a number of requests that does not depend on how many there are."""
    state = State(client)
    read_parents, read_rest = both(
        lambda: state.environments(deadline),
        lambda: (client.list(_DEPLOYMENT, deadline, labels=ENVIRONMENT).items, marker.find(client, deadline)[0]),
        deadline.cancellation,
    )
    deployments, marked = read_rest.get()
    by_environment: dict[str, list[Manifest]] = {}
    for item in deployments:
        by_environment.setdefault(item["metadata"]["labels"][ENVIRONMENT], []).append(item)
    rows = [_row(parent, by_environment, client.now()) for parent in read_parents.get()]
    rows.sort(key=lambda row: (row["kind"] != "production", row["kind"] == "preview", _number(row["environment"])))
    return {"stack": marked.stack if marked else None, "environments": rows}


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


@dataclass(frozen=True)
class Source:
    """A container whose log is read."""

    pod: str
    namespace: str
    container: str


def log_sources(client: Client, bundle: Bundle, only: str, deadline: Deadline) -> list[Source]:
    """Finds the containers of an environment's pods, of its Jobs too.

    Args:
        client: The cluster.
        bundle: What was deployed.
        only: The name of a workload, a Job or a container to be content with; all where it is empty.
        deadline: By when.

    Raises:
        InputError: There is nothing of that name.
    """
    sources: list[Source] = []
    for item in bundle.manifests:
        selector = _selector(item)
        if selector is None:
            continue
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        for pod in client.list(_POD, deadline, namespace=namespace, labels=selector).items:
            spec = pod["spec"]
            for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
                called = {name, container["name"], pod["metadata"]["name"], item["metadata"]["labels"].get("app", "")}
                if not only or only in called:
                    sources.append(Source(pod["metadata"]["name"], namespace, container["name"]))
    if only and not sources:
        raise InputError(
            f"logs: found no workload, Job or container {only!r}, or no pod of it; see `aphiria-deploy status`"
        )
    return sources


def _selector(item: Manifest) -> str | None:
    if is_job(item):
        return f"batch.kubernetes.io/job-name={item['metadata']['name']}"
    labels = at(item, "spec", "selector", "matchLabels")
    if item["kind"] not in {"Deployment", "StatefulSet", "DaemonSet"} or not labels:
        return None
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def read_logs(
    client: Client, sources: Sequence[Source], deadline: Deadline, *, follow: bool, tail: int | None, previous: bool
) -> Iterator[str]:
    """Reads logs, each line with its pod and container in front; of several that are followed, as they come."""
    import queue

    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(source: Source) -> None:
        try:
            for line in client.logs(
                source.pod,
                source.namespace,
                deadline,
                container=source.container,
                follow=follow,
                tail=tail,
                previous=previous,
            ):
                lines.put(f"{source.pod}/{source.container} | {line}")
        except ApiError as error:
            lines.put(f"{source.pod}/{source.container} | ({error})")
        finally:
            lines.put(None)

    with ThreadPoolExecutor(max(1, len(sources) if follow else 4)) as pool:
        for source in sources:
            pool.submit(read, source)
        left = len(sources)
        while left:
            line = lines.get()
            if line is None:
                left -= 1
            else:
                yield line
