"""The backup of a PostgreSQL database to an S3-compatible bucket, and what brings it back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from constructs_lib import backup_scripts as scripts
from constructs_lib import rehearsal_script, restore_scripts
from constructs_lib._k8s import Construct, Manifest
from constructs_lib.database import DatabaseServer
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.job import JobClass, job
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions, User, Volume, container, env_list, pod_spec
from constructs_lib.values import CronSchedule, DatabaseName, ImageRef, Name, Quantity, Resources, SecretKey

_COMPONENT = "database"
_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An S3-compatible bucket.

    Attributes:
        name: Its name.
        endpoint: The URL of the service, such as ``https://nyc3.digitaloceanspaces.com``.
        region: Its region.
        access_key_id: The ID of the access key.
        secret_access_key: The access key.
        provider: How rclone calls the service: https://rclone.org/s3/#s3-provider.
        prefix: The folder in it.
    """

    name: str
    endpoint: str
    region: str
    access_key_id: SecretKey
    secret_access_key: SecretKey
    provider: str = "Other"
    prefix: str = "postgres"


@dataclass(frozen=True, kw_only=True)
class DatabaseBackupProps:
    """What a backup is made of.

    Attributes:
        placement: Where it runs: beside the server.
        server: The server.
        database: The database.
        role: The role that owns it, also after a restore.
        bucket: Where it goes.
        image: An image of Alpine's with PostgreSQL's clients, of the server's version.
        upload_image: An image of Alpine's with ``rclone``.
        schedule: When.
        retention_days: Backups that are older are deleted, never the newest.
        scratch: How large a dump may become on the node.
        name: The CronJob's name.
        resources: What the dump is promised and may use; required where the namespace has a quota.
        upload_resources: What the upload is promised and may use, likewise.
        user: As whom both run; ``postgres`` of the official Alpine images by default.
        deadline: Seconds after which it has failed.
        options: What the site adds to the pod.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    server: DatabaseServer
    database: DatabaseName
    role: DatabaseName
    bucket: Bucket
    image: ImageRef
    upload_image: ImageRef
    schedule: CronSchedule
    retention_days: int
    scratch: Quantity = Quantity("10Gi")
    name: str = "db-backup"
    resources: Resources | None = None
    upload_resources: Resources | None = None
    user: User = User(70, 70)
    deadline: int = 3600
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        problems = []
        try:
            Name(self.name)
        except InvalidValueError as error:
            problems.append(str(error))
        # The controller appends the minute of each run: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
        if len(self.name) > 52:
            problems.append(f"name: found {len(self.name)} characters, expected at most 52")
        if len(str(self.database)) > restore_scripts.LONGEST_NAME:
            problems.append(
                f"database: found {len(str(self.database))} characters, expected at most "
                f"{restore_scripts.LONGEST_NAME}: a restore makes another one of its name beside it"
            )
        if self.server.namespace != self.placement.namespace:
            problems.append(
                f"placement.namespace: found {self.placement.namespace!r}, expected the server's, "
                f"{self.server.namespace!r}: the administrator's credentials stay there"
            )
        if self.retention_days < 1:
            problems.append(f"retention_days: found {self.retention_days}, expected 1 or more")
        if not re.fullmatch(r"https?://[^/\s]+", self.bucket.endpoint):
            problems.append(f"bucket.endpoint: found {self.bucket.endpoint!r}, expected a URL without a path")
        if problems:
            raise InvalidPropsError(f"DatabaseBackup {self.name}: {problem}" for problem in problems)


class DatabaseBackup(Manifest):
    """A CronJob that dumps a database and its roles, uploads both, checks the upload and removes what is too old."""

    def __init__(self, scope: Construct, id: str, props: DatabaseBackupProps) -> None:  # noqa: A002 - cdk8s's name
        template = {
            "metadata": {"labels": props.placement.object_labels(props.name, _COMPONENT)},
            "spec": _backup_pod(props),
        }
        super().__init__(
            scope,
            id,
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": props.placement.metadata(props.name, app=props.name, component=_COMPONENT),
                "spec": {
                    "schedule": str(props.schedule),
                    "concurrencyPolicy": "Forbid",
                    "startingDeadlineSeconds": props.deadline,
                    "successfulJobsHistoryLimit": 3,
                    "failedJobsHistoryLimit": 3,
                    "jobTemplate": {
                        "spec": {"backoffLimit": 2, "activeDeadlineSeconds": props.deadline, "template": template}
                    },
                },
            },
        )


@dataclass(frozen=True)
class BackupJobs:
    """The Jobs that somebody asks for: they are no part of a set.

    Attributes:
        take: Takes a backup, as the CronJob does.
        list: Writes a JSON object a line: in the log of ``files`` what is in the bucket, as ``rclone lsjson`` has it,
            in that of ``kept`` the databases that restores kept, with ``database`` and ``bytes``.
        restore: Restores the backup that its variable :attr:`BACKUP_NAME` names, and ends with a JSON object: the
            database ``restored``, and what was there before, ``kept``.
        rehearse: Restores the backup that its variable :attr:`BACKUP_NAME` names into a new database, verifies it and
            drops that database; the one that is backed up is not touched. Ends with a JSON object: the backup
            ``rehearsed``, how many ``tables`` and ``rows`` were compared, and how many ``bytes`` the database had.
        discard: Drops the database that its variable :attr:`KEPT_DATABASE` names, which a restore kept.
    """

    take: dict[str, Any]
    list: dict[str, Any]
    restore: dict[str, Any]
    rehearse: dict[str, Any]
    discard: dict[str, Any]

    BACKUP_NAME: ClassVar[str] = "BACKUP_NAME"
    """Whoever runs ``restore`` or ``rehearse`` sets its value."""
    KEPT_DATABASE: ClassVar[str] = "KEPT_DATABASE"
    """Whoever runs ``discard`` sets its value."""


def backup_jobs(props: DatabaseBackupProps) -> BackupJobs:
    """Gives the Jobs that take a backup, list all, restore one, rehearse that, and discard what a restore kept."""
    database = {"DATABASE_NAME": str(props.database)}
    kept = _with_psql(props, "kept", restore_scripts.LIST_KEPT, database)
    discard = _with_psql(props, "discard", restore_scripts.DISCARD, {**database, BackupJobs.KEPT_DATABASE: ""})
    download = _with_rclone(props, "download", restore_scripts.DOWNLOAD, {BackupJobs.BACKUP_NAME: ""})
    which = {**database, "DATABASE_ROLE": str(props.role), BackupJobs.BACKUP_NAME: ""}
    restore = _with_psql(props, "restore", restore_scripts.RESTORE, which, _volumes(props))
    rehearse = _with_psql(props, "rehearse", rehearsal_script.REHEARSE, which, _volumes(props))
    return BackupJobs(
        take=_job(props, "take", _backup_pod(props)),
        list=_job(props, "list", _pod(props, [kept], [_with_rclone(props, "files", scripts.LIST, {})])),
        # A restore that failed is looked at, not repeated.
        restore=_job(props, "restore", _pod(props, [restore], [download]), retries=0),
        rehearse=_job(props, "rehearse", _pod(props, [rehearse], [download]), retries=0),
        discard=_job(props, "discard", _pod(props, [discard], [])),
    )


def _job(props: DatabaseBackupProps, what: str, pod: Mapping[str, Any], *, retries: int = 2) -> dict[str, Any]:
    name = f"{props.name}-{what}"
    made = job(
        props.placement,
        prefix=name,
        app=name,
        component=_COMPONENT,
        job_class=JobClass.ALWAYS,
        pod=pod,
        options=props.options,
        deadline=props.deadline,
        retries=retries,
    )
    # No set has it, so nothing prunes it.
    made["spec"]["ttlSecondsAfterFinished"] = _DAY
    return made


def _backup_pod(props: DatabaseBackupProps) -> dict[str, Any]:
    dump = _with_psql(props, "dump", scripts.DUMP, {"PGDATABASE": str(props.database)}, _volumes(props))
    upload = _with_rclone(props, "upload", scripts.UPLOAD, {"BACKUP_RETENTION_DAYS": str(props.retention_days)})
    return _pod(props, [upload], [dump])


def _pod(
    props: DatabaseBackupProps, containers: Sequence[Mapping[str, Any]], init_containers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    parts = [*containers, *init_containers]
    mounted = {mount["name"] for part in parts for mount in part.get("volumeMounts", ())}
    return pod_spec(
        containers,
        init_containers=init_containers,
        volumes=[volume for volume in _volumes(props) if volume.name in mounted],
        options=props.options,
        restart_policy="Never",
        group=props.user.gid,
    )


def _volumes(props: DatabaseBackupProps) -> list[Volume]:
    return [
        Volume(name="backup", mount_path=scripts.FOLDER, source={"emptyDir": {"sizeLimit": str(props.scratch)}}),
        Volume(name="tmp", mount_path="/tmp"),  # noqa: S108 - a path in the container
    ]


def _with_psql(
    props: DatabaseBackupProps, name: str, script: str, variables: Mapping[str, str], volumes: Sequence[Volume] = ()
) -> dict[str, Any]:
    server = props.server
    return container(
        name,
        props.image,
        props.user,
        resources=props.resources,
        command=["sh", "-c", script],
        env=env_list(
            {
                "PGHOST": server.host,
                "PGPORT": str(server.port),
                "PGDATABASE": "postgres",
                "PGUSER": server.admin_username,
                "PGPASSWORD": server.admin_password,
                "PGCONNECT_TIMEOUT": "10",
                **variables,
            }
        ),
        volumes=volumes,
    )


def _with_rclone(props: DatabaseBackupProps, name: str, script: str, variables: Mapping[str, str]) -> dict[str, Any]:
    bucket = props.bucket
    return container(
        name,
        props.upload_image,
        props.user,
        resources=props.upload_resources,
        command=["sh", "-c", script],
        # rclone takes a remote's whole configuration from variables: https://rclone.org/docs/#environment-variables
        env=env_list(
            {
                "RCLONE_CONFIG": "/tmp/rclone.conf",  # noqa: S108 - a path in the container
                "RCLONE_CACHE_DIR": "/tmp/rclone",  # noqa: S108 - a path in the container
                "RCLONE_CONFIG_BACKUP_TYPE": "s3",
                "RCLONE_CONFIG_BACKUP_PROVIDER": bucket.provider,
                "RCLONE_CONFIG_BACKUP_ENDPOINT": bucket.endpoint,
                "RCLONE_CONFIG_BACKUP_REGION": bucket.region,
                "RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID": bucket.access_key_id,
                "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY": bucket.secret_access_key,
                "RCLONE_CONFIG_BACKUP_NO_CHECK_BUCKET": "true",
                # A service that does not answer is told of within minutes.
                "RCLONE_CONTIMEOUT": "15s",
                "RCLONE_TIMEOUT": "60s",
                "RCLONE_LOW_LEVEL_RETRIES": "3",
                "BACKUP_BUCKET": bucket.name,
                "BACKUP_PREFIX": bucket.prefix,
                "BACKUP_DATABASE": str(props.database),
                **variables,
            }
        ),
        volumes=_volumes(props),
    )
