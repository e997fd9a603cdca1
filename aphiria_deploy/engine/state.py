"""What a cluster remembers of an environment: its releases, and the parent of its ApplySet.

Both lie outside of the environment, in the namespace `marker.NAMESPACE`, so that they are there before its first
object and after its last one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine import releases
from aphiria_deploy.engine.applyset import ID, Parent
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.releases import ENVIRONMENT, RESULT, REVISION, SITE, Release, Result
from aphiria_deploy.fields import moment
from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from aphiria_deploy.secrets import SecretRef

SECRET = Kind("v1", "Secret")
SUMMARY = "deploy.aphiria.com/summary"
"""The annotation of a parent with what a list of all environments shows."""


def parent_name(environment: str) -> str:
    """The name of the Secret that stands for an environment's objects."""
    return f"applyset.{environment}"


@dataclass(frozen=True)
class Header:
    """A release, as far as its labels tell.

    Attributes:
        revision: Its number.
        result: How it ended.
        record: Its Secret.
    """

    revision: int
    result: Result
    record: Manifest = field(repr=False)


@dataclass(frozen=True)
class Remembered:
    """What is remembered of an environment.

    Attributes:
        environment: Its name.
        parent: The live parent of its ApplySet.
        headers: Its releases, the newest first.
    """

    environment: str
    parent: Manifest | None
    headers: tuple[Header, ...]

    @cached_property
    def newest(self) -> Release | None:
        """The newest release, however it ended.

        Raises:
            ReleaseError: A newer version of this tool wrote it.
        """
        return releases.read(self.headers[0].record) if self.headers else None

    @cached_property
    def current(self) -> Release | None:
        """The release that runs: the newest that was deployed."""
        found = next((header for header in self.headers if header.result is Result.DEPLOYED), None)
        if found is None:
            return None
        return self.newest if found is self.headers[0] else releases.read(found.record)

    @property
    def next_revision(self) -> int:
        """The number of the next release: none is used twice."""
        return self.headers[0].revision + 1 if self.headers else 1

    @property
    def secret_versions(self) -> dict[SecretRef, int]:
        """The versions of the Secrets that the newest release recorded."""
        versions = self.newest.secrets if self.newest else {}
        return {SecretRef(*name.split("/", 1)): version for name, version in versions.items()}

    def release(self, revision: int) -> Release | None:
        """The release of a revision, if it is kept."""
        found = next((header for header in self.headers if header.revision == revision), None)
        return releases.read(found.record) if found else None

    def bundles_since_current(self) -> list[Release]:
        """The release that runs and those after it, which failed or died: what any of them asked for may be there."""
        current = self.current
        newer = [header for header in self.headers if current is None or header.revision > current.revision]
        return [*([current] if current else []), *(releases.read(header.record) for header in newer)]

    def as_parent(self) -> Parent:
        """The ApplySet's parent: as it is, or as it begins."""
        return (
            Parent.read(self.parent) if self.parent else Parent(name=parent_name(self.environment), namespace=NAMESPACE)
        )


class State:
    """What is remembered in a cluster. Writing is for who holds the environment's lease."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def of(self, environment: str, deadline: Deadline) -> Remembered:
        """Reads what is remembered of an environment, in one request."""
        found = self._client.list(SECRET, deadline, namespace=NAMESPACE, labels=f"{ENVIRONMENT}={environment}")
        return remembered(environment, found.items)

    def environments(self, deadline: Deadline) -> list[Manifest]:
        """The parents of all environments, in one request whatever their number of releases."""
        return self._client.list(SECRET, deadline, namespace=NAMESPACE, labels=f"{ENVIRONMENT},{ID}").items

    def record(self, release: Release, deadline: Deadline) -> None:
        """Writes a release down, or how it ended.

        Raises:
            ReleaseError: It is larger than a Secret may be.
        """
        self._client.apply(releases.record(release, NAMESPACE), deadline, force=True)

    def set_parent(
        self, parent: Parent, release: Release, deadline: Deadline, *, finished: datetime | None = None
    ) -> None:
        """Writes the ApplySet's parent, with what a list of all environments shows."""
        self._client.apply(parent_manifest(parent, release, finished), deadline, force=True)

    def prune(self, known: Remembered, deadline: Deadline) -> None:
        """Removes the releases that are no longer kept; never the one that runs."""
        running = next((header for header in known.headers if header.result is Result.DEPLOYED), None)
        for header in known.headers[releases.KEPT :]:
            if header is not running:
                self._delete(header.record, deadline)

    def forget(self, known: Remembered, deadline: Deadline) -> list[Ref]:
        """Removes all that is remembered of an environment: the last step of its destruction.

        The newest release goes last: while it is there, whatever is left is found, whenever the run died.

        Returns:
            What was removed.
        """
        records = [known.parent] if known.parent else []
        records += [header.record for header in reversed(known.headers)]
        for record in records:
            self._delete(record, deadline)
        return [Ref.of(record) for record in records]

    def _delete(self, record: Manifest, deadline: Deadline) -> None:
        self._client.delete(Ref.of(record), deadline, uid=record["metadata"]["uid"], propagation="Background")


def parent_manifest(parent: Parent, release: Release, finished: datetime | None = None) -> Manifest:
    """The ApplySet's parent as it is written, with what a list of all environments shows."""
    manifest = parent.manifest(release.tool)
    environment = release.bundle.environment.name
    manifest["metadata"]["labels"] |= {ENVIRONMENT: environment, SITE: release.bundle.site}
    manifest["metadata"]["annotations"] |= {SUMMARY: json.dumps(summary(release, finished), sort_keys=True)}
    return manifest


def remembered(environment: str, secrets: Iterable[Manifest]) -> Remembered:
    """Sorts the Secrets of an environment; one that is neither a record nor the parent is left alone."""
    parent, headers = None, []
    for secret in secrets:
        labels = secret["metadata"].get("labels") or {}
        if secret.get("type", "").startswith(releases.SECRET_TYPE.rpartition(".")[0]):
            headers.append(_header(secret, labels))
        elif secret["metadata"]["name"] == parent_name(environment):
            parent = secret
    return Remembered(environment, parent, tuple(sorted(headers, key=lambda header: header.revision, reverse=True)))


def _header(secret: Manifest, labels: Mapping[str, str]) -> Header:
    try:
        return Header(int(labels[REVISION]), Result(labels[RESULT]), secret)
    except (KeyError, ValueError):
        release = releases.read(secret)
        return Header(release.revision, release.result, secret)


def summary(release: Release, finished: datetime | None = None) -> dict[str, Any]:
    """What a list of all environments shows of one."""
    bundle = release.bundle
    return {
        "kind": bundle.environment.kind.value,
        "namespace": bundle.environment.namespace,
        "revision": release.revision,
        "result": release.result.value,
        "started": release.started.isoformat(),
        "finished": finished.isoformat() if finished else None,
        "author": release.author,
        "commit": release.commit,
        "urls": bundle.urls,
        "images": {name: image.ref for name, image in bundle.images.items()},
    }


def read_summary(parent: Manifest) -> dict[str, Any]:
    """Reads what `summary` wrote; empty where there is none that can be read."""
    written = (parent["metadata"].get("annotations") or {}).get(SUMMARY, "")
    try:
        found = json.loads(written)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def age(summary_: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds since an environment's last deploy began, where it is known."""
    started = moment(summary_.get("started"))
    return (now - started).total_seconds() if started else None
