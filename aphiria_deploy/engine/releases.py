"""Releases: what was deployed, by whom, and how it ended; kept in the cluster, one Secret each.

A record holds the whole bundle, so that a rollback, a drift check or a destroy needs nothing but the cluster; and no
secret value, only the versions of the Secrets. Nothing here reads or writes a cluster.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.errors import AphiriaDeployError

FORMAT = "aphiria-deploy/release/v1"
"""The version of the format. A newer tool reads what an older one wrote; an older one refuses a newer one's."""

SECRET_TYPE = "deploy.aphiria.com/release.v1"  # noqa: S105 - a type of Secrets
ENVIRONMENT = "deploy.aphiria.com/environment"
SITE = "deploy.aphiria.com/site"
REVISION = "deploy.aphiria.com/revision"
RESULT = "deploy.aphiria.com/result"
BUNDLE = "deploy.aphiria.com/bundle"
"""The annotation with the bundle's content hash."""

KEPT = 10
"""How many releases of an environment are kept."""
KEPT_JOBS = 50
"""How many Jobs of class ``once`` a release remembers, those of former images among them."""
LARGEST = 1_048_576
"""How many bytes the data of a Secret may have: https://kubernetes.io/docs/concepts/configuration/secret/."""

_KEY = "release"


class ReleaseError(AphiriaDeployError):
    """A release cannot be recorded, or what is recorded cannot be read."""


class Result(StrEnum):
    """How a release ended."""

    PENDING = "pending"
    """It runs, or what ran it died: either way the next one does not wait for it, the lease says who runs."""
    DEPLOYED = "deployed"
    FAILED = "failed"


class Release(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag=FORMAT, tag_field="format"
):
    """One deploy of an environment.

    Attributes:
        revision: Its number, counted from 1.
        result: How it ended.
        bundle: What was deployed.
        started: When, with its time zone.
        author: Who did it, as the machine knows them.
        tool: The version of this tool.
        commit: The commit of the site.
        rollback_of: The revision that it brought back.
        took_over: Whether objects of others were taken over.
        secrets: The versions of the Secrets that pods were given, by ``namespace/name``.
        jobs: The inputs of the Jobs of class ``once`` that are complete, the last one last: they do not run again.
        finished: When it ended; none while it runs, or where what ran it died.
        message: Why it failed.
    """

    revision: int
    result: Result
    bundle: Bundle
    started: datetime
    author: str
    tool: str
    commit: str | None = None
    rollback_of: int | None = None
    took_over: bool = False
    secrets: dict[str, int] = {}
    jobs: list[str] = []
    finished: datetime | None = None
    message: str | None = None


def record(release: Release, namespace: str) -> Manifest:
    """Gives the Secret that a release is kept in.

    Args:
        release: The release.
        namespace: The namespace of what is remembered.

    Raises:
        ReleaseError: It is larger than a Secret may be.
    """
    environment = release.bundle.environment.name
    # The same release gives the same bytes: no time of writing in the header.
    data = gzip.compress(msgspec.json.encode(release, order="sorted"), mtime=0)
    if len(data) > LARGEST:
        raise ReleaseError(
            f"release {release.revision} of {environment}: found {len(data):,} bytes, expected at most {LARGEST:,}, "
            "which is what a Secret holds: take large data out of the site's ConfigMaps"
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"release.{environment}.v{release.revision}",
            "namespace": namespace,
            "labels": {
                ENVIRONMENT: environment,
                SITE: release.bundle.site,
                REVISION: str(release.revision),
                RESULT: release.result.value,
            },
            "annotations": {BUNDLE: release.bundle.hash},
        },
        "type": SECRET_TYPE,
        "data": {_KEY: base64.b64encode(data).decode()},
    }


def read(secret: Mapping[str, Any]) -> Release:
    """Reads a release from its Secret.

    Raises:
        ReleaseError: It is not one, or a newer version of this tool wrote it.
    """
    where = f"Secret {secret['metadata'].get('namespace', '')}/{secret['metadata'].get('name', '')}"
    try:
        document = gzip.decompress(base64.b64decode(secret["data"][_KEY], validate=True))
        head = msgspec.json.decode(document, type=_Head)
    except (KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise ReleaseError(f"{where}: found no release ({error}), expected what a deploy recorded") from error
    if head.format != FORMAT:
        raise ReleaseError(
            f"{where}: format: found {head.format!r}, expected {FORMAT!r}: use the version of aphiria-deploy that "
            "wrote it, or a newer one"
        )
    try:
        return msgspec.json.decode(document, type=Release)
    except msgspec.MsgspecError as error:
        raise ReleaseError(f"{where}: {error}") from error


def current(releases: Iterable[Release]) -> Release | None:
    """Gives the release that runs: the newest that was deployed; what failed or died after it does not count."""
    deployed = [release for release in releases if release.result is Result.DEPLOYED]
    return max(deployed, key=lambda release: release.revision, default=None)


def next_revision(releases: Iterable[Release]) -> int:
    """Gives the number of the next release: no number is used twice, whatever became of its release."""
    return max((release.revision for release in releases), default=0) + 1


def superfluous(releases: Sequence[Release]) -> list[Release]:
    """Gives the releases that are no longer kept, the oldest first: never the one that runs."""
    newest = sorted(releases, key=lambda release: release.revision, reverse=True)
    running = current(releases)
    return [release for release in reversed(newest[KEPT:]) if release is not running]


class _Head(msgspec.Struct):
    format: str
