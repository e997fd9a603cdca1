"""The site: one definition, of which an environment's values say what is in it and how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aphiria_deploy.bundle import EnvironmentKind
from apps import environment_variables
from apps.environments import SITE, Backup, Hosting, Values, values_of
from constructs_lib import (
    Acme,
    Api,
    ApiProps,
    ApiResources,
    BodySize,
    Bucket,
    Chart,
    CronSchedule,
    Database,
    DatabaseBackup,
    DatabaseBackupProps,
    DatabaseConnection,
    DatabaseJob,
    DatabaseJobProps,
    DatabaseName,
    DatabaseProps,
    DatabaseServer,
    Destination,
    EnvVars,
    EnvVarsProps,
    Gateway,
    GatewayProps,
    GatewayRef,
    Hostname,
    ImageRef,
    Isolation,
    JavaScriptModule,
    MigrationJob,
    MigrationJobProps,
    Namespace,
    NamespaceProps,
    ObjectRef,
    Placement,
    PodOptions,
    PreviewAccess,
    PreviewAccessProps,
    Quota,
    RateLimit,
    Route,
    RouteProps,
    SecretKey,
    SelfSigned,
    ServiceRef,
    WebApp,
    WebAppProps,
)
from constructs_lib.checks import SILENCE

GATEWAY = "nginx-gateway"
STATE_NAMESPACE = "aphiria-deploy"
"""Where the engine remembers environments: it is there before the first of them."""
DATABASE_NAMESPACE = "default"
PULL_SECRET = "ghcr-pull-secret"  # noqa: S105 - a Secret's name
DNS_TOKEN = SecretKey("digitalocean-dns-token", "access-token")
ADMIN_USERNAME = SecretKey("db-admin", "username")
ADMIN_PASSWORD = SecretKey("db-admin", "password")
BACKUP_KEY_ID = SecretKey("db-backup", "access-key-id")
BACKUP_KEY = SecretKey("db-backup", "secret-access-key")
SERVER = DatabaseServer(
    name="db", namespace=DATABASE_NAMESPACE, admin_username=ADMIN_USERNAME, admin_password=ADMIN_PASSWORD
)

# A preview's code is nobody's friend: it reaches neither the cluster nor the network around it, nor the addresses
# at which clouds tell their machines who they are.
PRIVATE_NETWORKS = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")

_SHARED_COOKIE_DOMAIN = {
    f"{SILENCE}cookie-domain": "previews stay below aphiria.com until they have a domain of their own (README.md)"
}

# The number of the preview by whose example the accounts of all previews are described.
_EXAMPLE = 999_999_999

MAX_BODY_SIZE = BodySize("10m")

_MIGRATE = "vendor/bin/phinx migrate"
_SEED = "vendor/bin/phinx seed:run"


@dataclass(frozen=True)
class SiteObjects:
    """What the bundle says of the objects, beside holding them.

    Attributes:
        gateway: The Gateway that the routes attach to.
        database_job: What makes the database, where the environment has one.
        backup: How it is backed up, where it is.
    """

    gateway: GatewayRef
    database_job: DatabaseJobProps | None = None
    backup: DatabaseBackupProps | None = None


def build(chart: Chart, values: Values, images: Mapping[str, ImageRef]) -> SiteObjects:
    """Puts an environment's constructs into a chart.

    Args:
        chart: The chart.
        values: The environment.
        images: The reference of every image, by name.
    """
    gateway = GatewayRef(name=GATEWAY, namespace=GATEWAY, hostnames=values.cluster.gateway_hosts)
    server: list[ObjectRef] = []
    if values.quota:
        Namespace(chart, "namespace", _namespace(values))
    if values.owns_cluster:
        _add_gateway(chart, values, gateway)
        server.append(_add_database_server(chart, values, images))
    if values.kind is EnvironmentKind.PREVIEW_BASE:
        _add_preview_access(chart, values, gateway, images)
    if not values.hosting or not values.database:
        return SiteObjects(gateway)

    database_job = _database_job(values, values.database, images, server)
    created = DatabaseJob(chart, "database-job", database_job)
    connection = DatabaseConnection(
        host=SERVER.host,
        port=SERVER.port,
        database=database_job.database,
        role=database_job.role,
        password=SecretKey(environment_variables.SECRET, environment_variables.PASSWORD_KEY),
    )
    placement = _placement(values, values.namespace)
    variables = EnvVars(
        chart,
        "env-vars",
        EnvVarsProps(
            placement=placement,
            name=environment_variables.CONFIG_MAP,
            values=environment_variables.variables(values, values.hosting, connection),
            secrets=[environment_variables.SECRET],
            annotations=_SHARED_COOKIE_DOMAIN if values.number else {},
        ),
    )
    options = _pod_options(values)
    resources = values.resources
    migration = MigrationJob(
        chart,
        "migration-job",
        MigrationJobProps(
            placement=placement,
            image=images["api"],
            command=["sh", "-c", f"{_MIGRATE} && {_SEED}" if values.seed else _MIGRATE],
            environment=variables.source,
            database=connection,
            client_image=images["postgresql"],
            after=[created.ref],
            # The framework caches what it has worked out beside the code.
            writable_paths=["/tmp", "/app/api/tmp"],  # noqa: S108 - paths in the container
            resources=resources.migration if resources else None,
            wait_resources=resources.wait_for_db if resources else None,
            options=options,
        ),
    )
    web = WebApp(
        chart,
        "web",
        WebAppProps(
            placement=placement,
            image=images["web"],
            replicas=values.replicas,
            resources=resources.web if resources else None,
            runtime_config=JavaScriptModule(
                values={"apiUri": values.hosting.api_url, "cookieDomain": values.hosting.cookie_domain}
            ),
            options=options,
        ),
    )
    api = Api(
        chart,
        "api",
        ApiProps(
            placement=placement,
            image=images["api"],
            nginx_image=images["nginx"],
            environment=variables.source,
            replicas=values.replicas,
            resources=ApiResources(nginx=resources.nginx, php=resources.php, copy_code=resources.copy_code)
            if resources
            else None,
            max_body_size=MAX_BODY_SIZE,
            trusted_proxies=PRIVATE_NETWORKS,
            after=[migration.ref],
            options=options,
        ),
    )
    _add_route(chart, values.hosting, placement, gateway, host=values.hosting.web, service=web.service)
    _add_route(chart, values.hosting, placement, gateway, host=values.hosting.api, service=api.service)
    backup = _backup(values, values.backup, database_job, images) if values.backup else None
    if backup:
        DatabaseBackup(chart, "backup", backup)
    return SiteObjects(gateway, database_job, backup)


def _placement(values: Values, namespace: str) -> Placement:
    return Placement(namespace=namespace, part_of=SITE, instance=values.name)


def _pod_options(values: Values) -> PodOptions:
    # A developer's machine has the images, or pulls them as whom it is logged in.
    return PodOptions(pull_secrets=[] if values.kind is EnvironmentKind.LOCAL else [PULL_SECRET])


def _namespace(values: Values) -> NamespaceProps:
    assert values.quota  # noqa: S101 - the caller's condition
    cpu, memory, pods = values.quota
    return NamespaceProps(
        placement=_placement(values, values.namespace),
        quota=Quota(name="preview-quota", cpu=cpu, memory=memory, pods=pods),
        isolation=Isolation(
            name="preview-isolation",
            gateway_namespace=GATEWAY,
            ports=[80],
            destinations=[Destination(namespace=SERVER.namespace, app=SERVER.name, port=SERVER.port)],
            cluster_networks=PRIVATE_NETWORKS,
        ),
    )


def _add_preview_access(chart: Chart, values: Values, gateway: GatewayRef, images: Mapping[str, ImageRef]) -> None:
    preview = values_of(f"pr-{_EXAMPLE}")
    assert preview.number and preview.hosting and preview.database  # noqa: S101, PT018 - what makes it a preview
    PreviewAccess(
        chart,
        "preview-access",
        PreviewAccessProps(
            placement=_placement(values, STATE_NAMESPACE),
            number=preview.number,
            namespace=_namespace(preview),
            secrets=[environment_variables.SECRET, PULL_SECRET],
            hostnames=[preview.hosting.web, preview.hosting.api],
            database_job=_database_job(preview, preview.database, images, []),
            gateway=gateway,
        ),
    )


def _add_gateway(chart: Chart, values: Values, gateway: GatewayRef) -> None:
    cluster = values.cluster
    Gateway(
        chart,
        "gateway",
        GatewayProps(
            placement=_placement(values, GATEWAY),
            ref=gateway,
            tls=Acme(dns01_token=DNS_TOKEN) if cluster.acme else SelfSigned(),
            redirects=cluster.redirects,
            proxy_protocol_from=cluster.load_balancer_networks,
            service_annotations=cluster.load_balancer_annotations,
        ),
    )


def _add_database_server(chart: Chart, values: Values, images: Mapping[str, ImageRef]) -> ObjectRef:
    return Database(
        chart,
        "database",
        DatabaseProps(
            placement=_placement(values, SERVER.namespace),
            server=SERVER,
            image=images["postgresql"],
            storage=values.cluster.storage,
            settings={"max_connections": values.cluster.max_connections},
            resources=values.cluster.database_resources,
        ),
    ).ref


def _database_job(
    values: Values, database: DatabaseName, images: Mapping[str, ImageRef], after: list[ObjectRef]
) -> DatabaseJobProps:
    return DatabaseJobProps(
        placement=_placement(values, SERVER.namespace),
        server=SERVER,
        image=images["postgresql"],
        database=database,
        role=database,
        verifier=SecretKey(f"db-role-{values.name}", "verifier"),
        suffix=values.name if values.number else "",
        connection_limit=values.connection_limit,
        after=after,
        resources=values.resources.database_job if values.resources else None,
    )


def _add_route(
    chart: Chart, hosting: Hosting, placement: Placement, gateway: GatewayRef, *, host: Hostname, service: ServiceRef
) -> None:
    Route(
        chart,
        f"{service.name}-route",
        RouteProps(
            placement=placement,
            name=service.name,
            hostnames=[host],
            gateway=gateway,
            service=service,
            rate_limit=RateLimit(requests_per_second=10, burst=20),
            max_body_size=MAX_BODY_SIZE,
            response_headers={} if hosting.indexed else {"X-Robots-Tag": "noindex"},
        ),
    )


def _backup(
    values: Values, backup: Backup, database: DatabaseJobProps, images: Mapping[str, ImageRef]
) -> DatabaseBackupProps:
    return DatabaseBackupProps(
        placement=_placement(values, SERVER.namespace),
        server=SERVER,
        database=database.database,
        role=database.role,
        bucket=Bucket(
            name=backup.bucket,
            endpoint=backup.endpoint,
            region=backup.region,
            provider="DigitalOcean",
            access_key_id=BACKUP_KEY_ID,
            secret_access_key=BACKUP_KEY,
        ),
        image=images["postgresql"],
        upload_image=images["rclone"],
        schedule=CronSchedule("0 2 * * *"),
        retention_days=backup.retention_days,
        resources=backup.resources,
        upload_resources=backup.resources,
    )
