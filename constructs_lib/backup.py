"""The backup of a PostgreSQL server to an S3-compatible bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.database import DatabaseServer
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions, User, Volume, container, env_list, pod_spec
from constructs_lib.values import CronSchedule, DatabaseName, ImageRef, Name, Quantity, Resources, SecretKey

_FOLDER = "/backup"
_COMPONENT = "database"

# The roles are not in a database's dump. Their passwords are left out: the database's Job sets them again.
_DUMP = f"""\
set -eu
stem="{_FOLDER}/$(date -u +%Y/%m/%d/%H%M%SZ)-$PGDATABASE"
mkdir -p "$(dirname "$stem")"
pg_dumpall --no-password --roles-only --no-role-passwords --file "$stem.roles.sql"
pg_dump --no-password -Fc --file "$stem.dump"
"""

# What is too old goes only after the new one is there, whole: so the newest is never among it.
_UPLOAD = f"""\
set -eu
rclone copy --checksum {_FOLDER} "backup:$BACKUP_BUCKET/$BACKUP_PREFIX"
rclone check --one-way {_FOLDER} "backup:$BACKUP_BUCKET/$BACKUP_PREFIX"
rclone delete --min-age "${{BACKUP_RETENTION_DAYS}}d" "backup:$BACKUP_BUCKET/$BACKUP_PREFIX"
"""


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
        bucket: Where it goes.
        image: An image with ``pg_dump`` of the server's version.
        upload_image: An image with ``sh`` and ``rclone``.
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
        placement = props.placement
        volumes = [
            Volume(name="backup", mount_path=_FOLDER, source={"emptyDir": {"sizeLimit": str(props.scratch)}}),
            Volume(name="tmp", mount_path="/tmp"),  # noqa: S108 - a path in the container
        ]
        dump = container(
            "dump",
            props.image,
            props.user,
            resources=props.resources,
            command=["sh", "-c", _DUMP],
            env=env_list(
                {
                    "PGHOST": props.server.host,
                    "PGPORT": str(props.server.port),
                    "PGDATABASE": str(props.database),
                    "PGUSER": props.server.admin_username,
                    "PGPASSWORD": props.server.admin_password,
                    "PGCONNECT_TIMEOUT": "10",
                }
            ),
            volumes=volumes,
        )
        bucket = props.bucket
        upload = container(
            "upload",
            props.upload_image,
            props.user,
            resources=props.upload_resources,
            command=["sh", "-c", _UPLOAD],
            # rclone takes a remote's whole configuration from variables: https://rclone.org/docs/#environment-variables
            env=env_list(
                {
                    "RCLONE_CONFIG": "/tmp/rclone.conf",  # noqa: S108 - a path in the container
                    "RCLONE_CONFIG_BACKUP_TYPE": "s3",
                    "RCLONE_CONFIG_BACKUP_PROVIDER": bucket.provider,
                    "RCLONE_CONFIG_BACKUP_ENDPOINT": bucket.endpoint,
                    "RCLONE_CONFIG_BACKUP_REGION": bucket.region,
                    "RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID": bucket.access_key_id,
                    "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY": bucket.secret_access_key,
                    "RCLONE_CONFIG_BACKUP_NO_CHECK_BUCKET": "true",
                    "BACKUP_BUCKET": bucket.name,
                    "BACKUP_PREFIX": bucket.prefix,
                    "BACKUP_RETENTION_DAYS": str(props.retention_days),
                }
            ),
            volumes=volumes,
        )
        pod = pod_spec(
            [upload],
            init_containers=[dump],
            volumes=volumes,
            options=props.options,
            restart_policy="Never",
            group=props.user.gid,
        )
        template = {"metadata": {"labels": placement.object_labels(props.name, _COMPONENT)}, "spec": pod}
        super().__init__(
            scope,
            id,
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": placement.metadata(props.name, app=props.name, component=_COMPONENT),
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
