"""The site's migrations: a Job that is complete before any pod of the new version starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.database import DatabaseConnection
from constructs_lib.errors import InvalidPropsError
from constructs_lib.job import JobClass, job, job_ref
from constructs_lib.order import ObjectRef
from constructs_lib.placement import Placement
from constructs_lib.pod import EnvSource, PodOptions, User, Volume, container, env_list, pod_spec
from constructs_lib.psql import PSQL, WAIT_SECONDS
from constructs_lib.values import ImageRef, Resources

# A connection as the role, not an open port: the server must be up, the database there and the password right. It may
# all be on its way, so that whatever is missing is waited for; the log says what, and so does the end.
_WAIT = f"""\
end=$(($(date +%s) + {WAIT_SECONDS}))
said=
until log=$({PSQL} --command 'SELECT 1' 2>&1); do
  if [ "$(date +%s)" -ge "$end" ]; then
    printf 'error: no connection as %s to database %s within {WAIT_SECONDS} s: %s\\n' "$PGUSER" "$PGDATABASE" "$log" >&2
    exit 1
  fi
  if [ "$log" != "$said" ]; then
    printf 'waiting for the database: %s\\n' "$log" >&2
    said=$log
  fi
  sleep 1
done
"""


@dataclass(frozen=True, kw_only=True)
class MigrationJobProps:
    """What the migrations are made of.

    Attributes:
        placement: Where the Job lives.
        image: The image with the site's code.
        command: What it runs, for example ``("sh", "-c", "vendor/bin/phinx migrate")``.
        environment: The variables of the site's code: all that the API has.
        database: The database that is waited for.
        client_image: An image with ``psql``, for the waiting.
        working_directory: Where the command runs; the image's own directory without.
        name: The Job's name, in front of its hash.
        app: The application that it is a part of.
        after: What must be complete first: the database's Job.
        resources: What the migrations are promised and may use; required where the namespace has a quota.
        wait_resources: What the waiting is promised and may use, likewise.
        user: As whom they run; ``www-data`` of the official PHP images by default.
        client_user: As whom the waiting runs; ``postgres`` of the official Alpine images by default.
        writable_paths: Where they write; the rest of the file system is read-only.
        deadline: Seconds after which they have failed.
        retries: How often a failed pod is replaced.
        options: What the site adds to the pod.

    Raises:
        InvalidPropsError: There is no command.
    """

    placement: Placement
    image: ImageRef
    command: Sequence[str]
    environment: EnvSource
    database: DatabaseConnection
    client_image: ImageRef
    working_directory: str | None = None
    name: str = "db-migration"
    app: str = "db-migration"
    after: Sequence[ObjectRef] = ()
    resources: Resources | None = None
    wait_resources: Resources | None = None
    user: User = User(33, 33)
    client_user: User = User(70, 70)
    writable_paths: Sequence[str] = ("/tmp",)  # noqa: S108 - a path in the container
    deadline: int = 300
    retries: int = 2
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        if not self.command:
            raise InvalidPropsError([f"MigrationJob {self.name}: command: found nothing, expected what it runs"])


class MigrationJob(Manifest):
    """A Job of class ``once``: for one image and command it runs to its end once, and a rollback never runs it.

    Attributes:
        ref: What the workloads wait for.
    """

    def __init__(self, scope: Construct, id: str, props: MigrationJobProps) -> None:  # noqa: A002 - cdk8s's name
        volumes = [*map(Volume.scratch, props.writable_paths), *props.options.volumes]
        wait = container(
            "wait-for-db",
            props.client_image,
            props.client_user,
            resources=props.wait_resources,
            command=["sh", "-c", _WAIT],
            env=props.database.env(),
        )
        migrate = container(
            props.name,
            props.image,
            props.user,
            resources=props.resources,
            command=props.command,
            working_directory=props.working_directory,
            env=env_list(props.options.env),
            env_from=props.environment.manifest(),
            volumes=volumes,
        )
        manifest = job(
            props.placement,
            prefix=props.name,
            app=props.app,
            component="database",
            job_class=JobClass.ONCE,
            pod=pod_spec(
                [migrate], init_containers=[wait], volumes=volumes, options=props.options, restart_policy="Never"
            ),
            after=props.after,
            options=props.options,
            deadline=props.deadline,
            retries=props.retries,
        )
        super().__init__(scope, id, manifest)
        self.ref = job_ref(manifest)
