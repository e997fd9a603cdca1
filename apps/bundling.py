"""An environment's bundle: its manifests, and what the engine must know beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from aphiria_deploy.bundle import (
    ApiUrl,
    BackupJobs,
    Bundle,
    Check,
    Constant,
    Contract,
    CookieDomain,
    CorsCheck,
    Destruction,
    Environment,
    EnvironmentKind,
    EnvironmentVariables,
    Generated,
    Gone,
    HealthCheck,
    Image,
    Manifest,
    ManifestFile,
    Output,
    RedirectCheck,
    RegistryLogin,
    Rehearsal,
    ScramVerifier,
    SecretSpec,
)
from aphiria_deploy.preflight import checked_manifests, context_of
from apps import definition, environment_variables
from apps.environments import SITE, Hosting, Values, values_of
from apps.images import REGISTRY, settle
from constructs_lib import (
    App,
    Chart,
    DatabaseBackupProps,
    ImageRef,
    backup_jobs,
    drop_job,
    manifests,
    require_preflight,
)
from constructs_lib.gateway_ref import Protocol
from constructs_lib.preview_access import TEMPLATE
from constructs_lib.preview_policies import ACCOUNTS

_WEB_CONFIG_MAP = "js-config"
_WEB_CONFIG_FILE = "config.js"


def make_bundle(environment: str, given_images: Mapping[str, str]) -> Bundle:
    """Makes an environment's bundle.

    Raises:
        InvalidValueError: The environment, or the name or reference of an image is not one.
        PreflightError: The preflight rules find an error in what was made.
    """
    values = values_of(environment)
    images, samples = settle(given_images, local=values.kind is EnvironmentKind.LOCAL)
    # An App for each environment: one App of many takes a time that grows faster than their number.
    chart = Chart(App(), environment, disable_resource_name_hashes=True)
    objects = definition.build(chart, values, images)
    files = [
        ManifestFile(name=phase.value, manifests=[manifest for _, manifest in group])
        for phase, group in groupby(manifests(chart), key=lambda item: item[0])
    ]
    running = _running(files)
    destruction = None
    if values.kind is EnvironmentKind.PREVIEW and objects.database_job:
        database = objects.database_job
        destruction = Destruction(
            jobs=[drop_job(database)],
            absent=[
                Gone(kind="database", name=str(database.database)),
                Gone(kind="role", name=str(database.role)),
            ],
        )
    bundle = Bundle(
        site=SITE,
        environment=Environment(
            name=values.name,
            kind=values.kind,
            namespace=values.namespace,
            number=values.number,
            stack=values.stack,
        ),
        files=files,
        images={
            name: Image(ref=str(ref), sample=name in samples) for name, ref in images.items() if str(ref) in running
        },
        secrets=_secrets(values),
        base=_declared_base(values, objects),
        urls={"web": values.hosting.web_url, "api": values.hosting.api_url} if values.hosting else {},
        checks=_checks(values.hosting, values) if values.hosting else [],
        outputs=_outputs(values, images),
        contract=_contract(values),
        destruction=destruction,
        backup=_backup_jobs(objects.backup) if objects.backup else None,
    )
    require_preflight(chart, checked_manifests(bundle), context_of(bundle))
    return bundle


def _running(files: Sequence[ManifestFile]) -> set[str]:
    """Finds every image that a container of the manifests runs."""
    found = set()
    for file in files:
        for manifest in file.manifests:
            spec = manifest.get("spec", {})
            pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
            found |= {part["image"] for part in (*pod.get("initContainers", ()), *pod.get("containers", ()))}
    return found


def _secrets(values: Values) -> list[SecretSpec]:
    local = values.kind is EnvironmentKind.LOCAL
    secrets = []
    if values.owns_cluster:
        admin = definition.ADMIN_USERNAME
        secrets.append(
            SecretSpec(
                namespace=definition.SERVER.namespace,
                name=admin.secret,
                # A local cluster has no stack that could give a password.
                keys={
                    admin.key: Constant("postgres") if local else Output("postgresqlAdminUser"),
                    definition.ADMIN_PASSWORD.key: Generated() if local else Output("postgresqlAdminPassword"),
                },
            )
        )
        if values.cluster.acme:
            token = definition.DNS_TOKEN
            keys = {token.key: Output("digitaloceanDnsToken")}
            secrets.append(SecretSpec(namespace="cert-manager", name=token.secret, keys=dict(keys)))
    if values.database:
        name, key = environment_variables.SECRET, environment_variables.PASSWORD_KEY
        secrets += [
            SecretSpec(namespace=values.namespace, name=name, keys={key: Generated()}),
            SecretSpec(
                namespace=definition.SERVER.namespace,
                name=f"db-role-{values.name}",
                keys={"verifier": ScramVerifier(namespace=values.namespace, secret=name, key=key)},
            ),
        ]
        if not local:
            login = RegistryLogin(registry=REGISTRY, username="ghcrUsername", token="ghcrToken")  # noqa: S106 - an output's name
            secrets.append(
                SecretSpec(
                    namespace=values.namespace,
                    name=definition.PULL_SECRET,
                    type="kubernetes.io/dockerconfigjson",
                    keys={".dockerconfigjson": login},
                )
            )
    if values.backup:
        secrets.append(
            SecretSpec(
                namespace=definition.SERVER.namespace,
                name=definition.BACKUP_KEY_ID.secret,
                keys={
                    definition.BACKUP_KEY_ID.key: Output("backupAccessKeyId"),
                    definition.BACKUP_KEY.key: Output("backupSecretAccessKey"),
                },
            )
        )
    return secrets


def _backup_jobs(props: DatabaseBackupProps) -> BackupJobs:
    jobs = backup_jobs(props)
    return BackupJobs(
        take=jobs.take,
        list=jobs.list,
        restore=jobs.restore,
        restore_variable=jobs.BACKUP_NAME,
        discard=jobs.discard,
        discard_variable=jobs.KEPT_DATABASE,
        rehearsal=Rehearsal(job=jobs.rehearse, variable=jobs.BACKUP_NAME, database=str(props.database)),
    )


def _declared_base(values: Values, objects: definition.SiteObjects) -> list[Manifest]:
    """Gives what exists beside the manifests: what the Helm releases, the cluster and the preview base bring."""
    namespaces = ["default", "kube-system", "cert-manager", definition.GATEWAY]
    base: list[Manifest] = [_bare("v1", "Namespace", name) for name in namespaces]
    base.append(_bare("gateway.networking.k8s.io/v1", "GatewayClass", "nginx"))
    if values.kind is EnvironmentKind.PREVIEW_BASE:
        base.append(_bare("v1", "Namespace", definition.STATE_NAMESPACE))
    if values.owns_cluster:
        return base
    gateway, server = objects.gateway, definition.SERVER
    listeners = [
        {
            "name": listener.name,
            "port": listener.port,
            "protocol": listener.protocol.value,
            "hostname": str(listener.hostname),
            **({"tls": {"certificateRefs": [{"name": "tls-cert"}]}} if listener.protocol is Protocol.HTTPS else {}),
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }
        for listener in gateway.listeners()
    ]
    admin = _bare("v1", "Secret", definition.ADMIN_USERNAME.secret, server.namespace)
    service = _bare("v1", "Service", server.name, server.namespace)
    claim = _bare("v1", "PersistentVolumeClaim", str(server.claim), server.namespace)
    return [
        *base,
        _bare("gateway.networking.k8s.io/v1", "Gateway", gateway.name, gateway.namespace)
        | {"spec": {"gatewayClassName": "nginx", "listeners": listeners}},
        service | {"spec": {"selector": {"app": server.name}, "ports": [{"name": "postgresql", "port": server.port}]}},
        claim,
        _bare("v1", "ConfigMap", server.config, server.namespace)
        | {"data": {"postgresql.conf": f"max_connections = {values.cluster.max_connections}\n"}},
        # A preview is deployed by an account of its own, made by this.
        _bare("v1", "ConfigMap", TEMPLATE, ACCOUNTS),
        # The keys alone: what they hold is nowhere but in the cluster.
        admin | {"data": dict.fromkeys([definition.ADMIN_USERNAME.key, definition.ADMIN_PASSWORD.key], "")},
    ]


def _bare(api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _checks(hosting: Hosting, values: Values) -> list[Check]:
    redirects = [
        RedirectCheck(url=f"https://{source}/", location=f"https://{target}/")
        for source, target in values.cluster.redirects.items()
    ]
    return [
        HealthCheck(url=f"{hosting.web_url}/"),
        HealthCheck(url=f"{hosting.api_url}/health"),
        CorsCheck(url=f"{hosting.api_url}/", origin=hosting.web_url),
        RedirectCheck(url=f"http://{hosting.web}/", location=f"{hosting.web_url}/"),
        *redirects,
    ]


def _outputs(values: Values, images: Mapping[str, ImageRef]) -> dict[str, str]:
    if not values.hosting or not values.database:
        return {"namespace": values.namespace}
    return {
        "webUrl": values.hosting.web_url,
        "apiUrl": values.hosting.api_url,
        "namespace": values.namespace,
        "databaseName": str(values.database),
        "webImageRef": str(images["web"]),
        "apiImageRef": str(images["api"]),
    }


def _contract(values: Values) -> Contract:
    if not values.hosting:
        return Contract()
    hosting = values.hosting
    return Contract(
        environment_variables=[
            EnvironmentVariables(
                config_map=environment_variables.CONFIG_MAP, required=list(environment_variables.REQUIRED)
            )
        ],
        api_url=ApiUrl(config_map=_WEB_CONFIG_MAP, key=_WEB_CONFIG_FILE, url=hosting.api_url, route="api"),
        cookie_domains=[CookieDomain(domain=hosting.cookie_domain, hosts=list(map(str, hosting.cookie_hosts)))],
        production_cookie_domain=".aphiria.com",
        private_registries=[] if values.kind is EnvironmentKind.LOCAL else [REGISTRY],
        previews=values.cluster.previews if values.kind is EnvironmentKind.PREVIEW else 1,
        cluster_cidrs=list(definition.PRIVATE_NETWORKS),
    )
