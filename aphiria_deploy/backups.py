"""Backups of an environment's database: taken, listed, restored, rehearsed, and what a restore kept discarded.

The Jobs for it are in the bundle of the release that runs. They are run here, one of a name that nobody used before
each time, and what they have done is read from their logs.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from aphiria_deploy.backup_listing import NAME, Listing, listing, newest
from aphiria_deploy.bundle import BackupJobs, Bundle, Manifest
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.deleting import delete
from aphiria_deploy.engine.jobs import JobClass, is_job, job_class
from aphiria_deploy.engine.lease import Holder, Lease, held
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE
from aphiria_deploy.engine.state import Remembered, State
from aphiria_deploy.engine.waiting import Waiter
from aphiria_deploy.engine.wanted import wanted
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.fields import at, mappings
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Progress

_POD = Kind("v1", "Pod")
_KEPT = re.compile(r"[a-z][a-z0-9_]*_before_[0-9]{14}")
_TAKEN = re.compile(rf"backup (?P<name>{NAME.pattern}): uploaded, and read back")


class BackupError(AphiriaDeployError):
    """A Job is complete, but its log does not say what it has done."""


@dataclass(frozen=True)
class Restored:
    """What a restore has done.

    Attributes:
        backup: The backup's name.
        database: The database that is what it was then.
        kept: The name that what was there before has now; none where nothing was there.
        error: Why the migrations failed that ran on it afterwards; the restore itself is done.
    """

    backup: str
    database: str
    kept: str | None
    error: AphiriaDeployError | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a rehearsal has shown.

    Attributes:
        backup: The name of the backup that came back.
        taken: When it was begun.
        age: How old it was.
        bytes: How large it is in the bucket.
        restored_bytes: How large the database was that it became.
        tables: How many tables were compared.
        rows: How many rows they had, all that were counted when it was taken.
        seconds: How long a restore takes: the download, the database, the comparison.
    """

    backup: str
    taken: datetime
    age: timedelta
    bytes: int
    restored_bytes: int
    tables: int
    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is worked on, and how.

    Attributes:
        environment: The environment's name.
        timeout: Seconds that all of it may take.
        wait_for_lock: Seconds to wait for another run to end.
    """

    environment: str
    timeout: float = 3600.0
    wait_for_lock: float = 0.0


class Backups:
    """The backups of an environment's database.

    Args:
        client: The cluster.
        request: Which environment, and how.
        progress: Is told what happens.
        cancellation: What stops it.
    """

    def __init__(self, client: Client, request: Request, progress: Progress, cancellation: Cancellation) -> None:
        self._client = client
        self._request = request
        self._name = request.environment
        self._progress = progress
        self._cancellation = Cancellation(cancellation)
        self._deadline = Deadline.after(request.timeout, f"the backups of {self._name}", self._cancellation)

    def take(self) -> str:
        """Takes a backup.

        Returns:
            Its name.

        Raises:
            InputError: The environment has none, or this is not its cluster.
            NotReadyError: It failed; older ones are as they were.
            LockedError: Somebody else works on the environment.
        """
        bundle, jobs, _ = self._jobs()
        with self._held("db backup"):
            log = self._run(bundle, jobs.take)
        taken = [match["name"] for line in log if (match := _TAKEN.fullmatch(line))]
        if not taken:
            raise BackupError(f"{_called(jobs.take)}: found no name in its log, expected that of the backup it took")
        return taken[-1]

    def listed(self) -> Listing:
        """Lists what there is.

        Raises:
            InputError: The environment has none, or this is not its cluster.
            NotReadyError: The bucket or the server cannot be asked.
        """
        bundle, jobs, _ = self._jobs()
        log = self._run(bundle, jobs.list)
        return listing(_objects(log))

    def restore(self, name: str) -> Restored:
        """Restores a backup beside the database, swaps the two, and migrates what came back.

        Migrations have run once for what the site runs, on another database than the one that is there now.

        Raises:
            InputError: That is no name, the environment has no backups, or this is not its cluster.
            NotReadyError: It failed; the database is as it was.
            LockedError: Somebody else works on the environment.
        """
        if not NAME.fullmatch(name):
            raise InputError(
                f"{name!r}: found no name of a backup, expected one such as 2026/01/31/020000Z-site; "
                f"`aphiria-deploy db list {self._name}` shows them"
            )
        bundle, jobs, known = self._jobs()
        with self._held("db restore") as lease:
            log = self._run(bundle, _with_variable(jobs.restore, jobs.restore_variable, name))
            answer = next((found for found in _objects(log) if "restored" in found), None)
            if answer is None:
                raise BackupError(f"{_called(jobs.restore)}: found no answer in its log, expected what it restored")
            error = self._migrate(bundle, known, lease)
        return Restored(name, str(answer["restored"]), _text_or_none(answer.get("kept")), error)

    def rehearse(self, max_age: timedelta) -> Rehearsed:
        """Restores the newest complete backup into a database of its own, verifies it, and drops that one.

        Args:
            max_age: How old it may be.

        Raises:
            InputError: The environment has no backups, its release has no rehearsal, or this is not its cluster.
            NoBackupError: There is no complete backup, or the newest is too old.
            NotReadyError: It failed; the database is as it was.
            LockedError: Somebody else works on the environment.
        """
        bundle, jobs, known = self._jobs()
        rehearsal = jobs.rehearsal
        if rehearsal is None:
            revision = known.current.revision if known.current else 0
            raise InputError(
                f"{self._name}: found no rehearsal in release {revision}, expected one: an older version made it; "
                "deploy the environment again"
            )
        with self._held("db rehearse"):
            found = listing(_objects(self._run(bundle, jobs.list)))
            now = self._client.now()
            backup = newest(found, rehearsal.database, now, max_age)
            begun = time.monotonic()
            log = self._run(bundle, _with_variable(rehearsal.job, rehearsal.variable, backup.name))
            seconds = time.monotonic() - begun
        answer = next((one for one in _objects(log) if one.get("rehearsed") == backup.name), None)
        if answer is None:
            raise BackupError(f"{_called(rehearsal.job)}: found no answer in its log, expected what it has compared")
        return Rehearsed(
            backup=backup.name,
            taken=backup.taken,
            age=now - backup.taken,
            bytes=backup.bytes,
            restored_bytes=int(str(answer["bytes"])),
            tables=int(str(answer["tables"])),
            rows=int(str(answer["rows"])),
            seconds=round(seconds, 1),
        )

    def discard(self, database: str) -> None:
        """Drops a database that a restore kept.

        Raises:
            InputError: That is no name of one, the environment has no backups, or this is not its cluster.
            NotReadyError: It failed.
            LockedError: Somebody else works on the environment.
        """
        if not _KEPT.fullmatch(database):
            raise InputError(
                f"{database!r}: found no database that a restore kept, expected one such as site_before_20260131020000;"
                f" `aphiria-deploy db list {self._name}` shows them"
            )
        bundle, jobs, _ = self._jobs()
        with self._held("db discard"):
            self._run(bundle, _with_variable(jobs.discard, jobs.discard_variable, database))

    def _jobs(self) -> tuple[Bundle, BackupJobs, Remembered]:
        """The Jobs of the release that runs, in the cluster that is its own."""
        found, uid = marker.find(self._client, self._deadline)
        known = State(self._client).of(self._name, self._deadline)
        if known.current is None:
            raise InputError(
                f"{self._name}: found no release that was deployed in {self._client.access.where}, expected one: it "
                "says how its database is backed up"
            )
        bundle = known.current.bundle
        where = f"{self._client.access.where} ({self._client.access.url})"
        marker.require(found, uid, site=bundle.site, stack=bundle.environment.stack, where=where)
        if bundle.backup is None:
            raise InputError(
                f"{self._name}: found no backup in release {known.current.revision}, expected one: the site says for "
                "which environments there is one"
            )
        return bundle, bundle.backup, known

    @contextmanager
    def _held(self, doing: str) -> Iterator[Lease]:
        with held(
            self._client,
            self._name,
            Holder(doing),
            self._deadline,
            self._cancellation,
            wait_seconds=self._request.wait_for_lock,
        ) as lease:
            yield lease

    def _run(self, bundle: Bundle, job: Manifest) -> list[str]:
        """Runs a Job under a name of its own, and gives what it has written."""
        metadata = job["metadata"]
        labels = {**metadata.get("labels", {}), ENVIRONMENT: bundle.environment.name, SITE: bundle.site}
        name = f"{metadata['name']}-{secrets.token_hex(3)}"
        made = self._made(job | {"metadata": metadata | {"name": name, "labels": labels}})
        return list(self._log(made))

    def _made(self, job: Manifest) -> Manifest:
        self._progress.phase(job["metadata"]["name"])
        since = self._client.now()
        made = self._client.apply(job, self._deadline, force=True)
        self._progress.did(ObjectKey.of(made), "created")
        Waiter(self._client, self._progress, self._deadline).until_ready([made], since)
        return made

    def _log(self, job: Manifest) -> Iterator[str]:
        """What the containers of a Job's last pod have written, one after the other."""
        uid, namespace = job["metadata"]["uid"], job["metadata"]["namespace"]
        pods = [
            pod
            for pod in self._client.list(_POD, self._deadline, namespace=namespace).items
            if uid in {owner.get("uid") for owner in mappings(at(pod, "metadata", "ownerReferences"))}
            and at(pod, "status", "phase") == "Succeeded"
        ]
        for pod in pods[-1:]:
            spec = pod["spec"]
            for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
                yield from self._client.logs(
                    pod["metadata"]["name"], namespace, self._deadline, container=container["name"]
                )

    def _migrate(self, bundle: Bundle, known: Remembered, lease: Lease) -> AphiriaDeployError | None:
        """Runs the Jobs of class ``once`` again: what they have done, they have done to another database."""
        finished = wanted(bundle, (), known.as_parent().id, {}).manifests
        try:
            for job in finished:
                if is_job(job) and job_class(job) is JobClass.ONCE:
                    lease.check()
                    if before := self._client.find(Ref.of(job), self._deadline):
                        delete(self._client, [before], self._progress, self._deadline)
                    self._made(job)
        except AphiriaDeployError as error:
            lease.check()
            return error
        return None


def _objects(log: Sequence[str]) -> list[dict[str, object]]:
    """The JSON objects among the lines of a log: one a line, as elements of a list too."""
    found = []
    for line in log:
        text = line.strip().rstrip(",")
        if text.startswith("{"):
            try:
                entry = json.loads(text)
            except ValueError as error:
                raise BackupError(f"found {text[:200]!r} in the log, expected a JSON object: {error}") from error
            found.append(entry)
    return found


def _with_variable(job: Manifest, variable: str, value: str) -> Manifest:
    """Gives a Job whose containers have a value in a variable of theirs."""
    spec = job["spec"]["template"]["spec"]
    parts = {
        field: [
            part
            | {"env": [item | {"value": value} if item["name"] == variable else item for item in part.get("env", ())]}
            for part in spec[field]
        ]
        for field in ("initContainers", "containers")
        if field in spec
    }
    template = job["spec"]["template"] | {"spec": spec | parts}
    return job | {"spec": job["spec"] | {"template": template}}


def _called(job: Manifest) -> str:
    return f"Job {job['metadata']['namespace']}/{job['metadata']['name']}"


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
