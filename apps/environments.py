"""The four environments of the site, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from aphiria_deploy.bundle import EnvironmentKind
from constructs_lib.errors import InvalidValueError
from constructs_lib.values import DatabaseName, Hostname, Quantity, Resources

SITE = "aphiria.com"
SAMPLE_PREVIEW = "pr-107"
"""The preview that is synthesized when none is named."""

ENVIRONMENTS = ("local", "preview-base", SAMPLE_PREVIEW, "production")
"""What is synthesized when nothing is named."""


@dataclass(frozen=True, kw_only=True)
class SiteResources:
    """What the containers of the site are promised and may use."""

    web: Resources
    nginx: Resources
    php: Resources
    copy_code: Resources
    database_job: Resources
    migration: Resources
    wait_for_db: Resources


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """Where the site answers, and what it is told of it.

    Attributes:
        web: The front end's host.
        api: The API's host.
        cookie_domain: The domain that it sets its cookies for.
        cookie_hosts: The hosts that set cookies for that domain.
        indexed: Whether search engines may show it.
    """

    web: Hostname
    api: Hostname
    cookie_domain: str
    cookie_hosts: tuple[Hostname, ...]
    indexed: bool

    @property
    def web_url(self) -> str:
        """The front end's origin."""
        return f"https://{self.web}"

    @property
    def api_url(self) -> str:
        """The API's origin."""
        return f"https://{self.api}"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """Where backups go, how long they stay, and what taking one may use."""

    bucket: str
    endpoint: str
    region: str
    retention_days: int
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What an environment finds in, or brings to, its cluster.

    Attributes:
        gateway_hosts: The hosts that the Gateway listens for.
        acme: Whether a public authority signs the certificate; else it is self-signed.
        redirects: Hosts that only redirect, and where to.
        load_balancer_networks: Networks of a load balancer that tells the client's address by PROXY protocol.
        load_balancer_annotations: Annotations of the load balancer's Service.
        storage: The size of the database's claim.
        max_connections: How many connections the database server takes.
        previews: How many previews share it.
        database_resources: What the database server is promised and may use.
    """

    gateway_hosts: tuple[Hostname, ...]
    acme: bool
    redirects: dict[Hostname, Hostname] = field(default_factory=dict)
    load_balancer_networks: tuple[str, ...] = ()
    load_balancer_annotations: dict[str, str] = field(default_factory=dict)
    storage: Quantity = Quantity("20Gi")
    max_connections: int = 100
    previews: int = 0
    database_resources: Resources | None = None


@dataclass(frozen=True, kw_only=True)
class Values:
    """One environment.

    Attributes:
        name: Its name.
        kind: What it is.
        namespace: Where its workloads are.
        stack: The Pulumi stack of its cluster.
        number: The number of its pull request.
        cluster: The Gateway and the database server.
        owns_cluster: Whether these are its own; else another environment brought them.
        hosting: Where the site answers; an environment without one has no site.
        replicas: How many pods of the front end and of the API.
        resources: What they are promised and may use.
        database: The name of its database, and of the role that owns it.
        connection_limit: How many connections that role may have.
        quota: CPU and memory of the namespace, and pods.
        log_level: What the site logs.
        seed: Whether the migrations also seed. Phinx keeps no record of seeds: they run again with every image, on the
            data that is there. Where that data is worth something the site says so itself, once its seeds do no harm
            when they run again.
        backup: Where its backups go.
    """

    name: str
    kind: EnvironmentKind
    namespace: str
    stack: str | None
    cluster: Cluster
    owns_cluster: bool
    number: int | None = None
    hosting: Hosting | None = None
    replicas: int = 1
    resources: SiteResources | None = None
    database: DatabaseName | None = None
    connection_limit: int = 20
    quota: tuple[Quantity, Quantity, int] | None = None
    log_level: str = "debug"
    seed: bool = False
    backup: Backup | None = None


_RESOURCES = SiteResources(
    web=Resources.parse("100m/256Mi", "500m/1Gi"),
    nginx=Resources.parse("100m/128Mi", "200m/256Mi"),
    php=Resources.parse("500m/1280Mi", "1/2560Mi"),
    copy_code=Resources.parse("100m/128Mi", "200m/256Mi"),
    database_job=Resources.parse("100m/128Mi", "200m/256Mi"),
    migration=Resources.parse("200m/256Mi", "500m/512Mi"),
    wait_for_db=Resources.parse("50m/64Mi", "100m/128Mi"),
)

_SITE_HOSTS = (Hostname("aphiria.com"), Hostname("*.aphiria.com"))
_SITE = Hosting(
    web=Hostname("www.aphiria.com"),
    api=Hostname("api.aphiria.com"),
    cookie_domain=".aphiria.com",
    cookie_hosts=(Hostname("www.aphiria.com"), Hostname("api.aphiria.com")),
    indexed=True,
)
_WWW = {Hostname("aphiria.com"): Hostname("www.aphiria.com")}

# The networks of DigitalOcean's load balancers, and its two ways to say that they speak PROXY protocol:
# https://docs.digitalocean.com/products/kubernetes/how-to/configure-load-balancers/
_DIGITALOCEAN_NETWORKS = ("10.0.0.0/8",)
_DIGITALOCEAN_ANNOTATIONS = {"service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true"}

_LOCAL_CLUSTER = Cluster(gateway_hosts=_SITE_HOSTS, acme=False, redirects=_WWW, storage=Quantity("5Gi"))
_PREVIEW_CLUSTER = Cluster(
    gateway_hosts=(Hostname("*.pr.aphiria.com"), Hostname("*.pr-api.aphiria.com")),
    acme=True,
    load_balancer_networks=_DIGITALOCEAN_NETWORKS,
    load_balancer_annotations=_DIGITALOCEAN_ANNOTATIONS,
    # Ten previews with twenty connections each, and what they leave: a Job of the administrator's for each of them.
    max_connections=250,
    previews=10,
    database_resources=Resources.parse("250m/512Mi", "1/1Gi"),
)
_PRODUCTION_CLUSTER = Cluster(
    gateway_hosts=_SITE_HOSTS,
    acme=True,
    redirects=_WWW,
    load_balancer_networks=_DIGITALOCEAN_NETWORKS,
    load_balancer_annotations=_DIGITALOCEAN_ANNOTATIONS,
    database_resources=Resources.parse("250m/512Mi", "1/1Gi"),
)

_LOCAL = Values(
    name="local",
    kind=EnvironmentKind.LOCAL,
    namespace="default",
    stack=None,
    cluster=_LOCAL_CLUSTER,
    owns_cluster=True,
    hosting=_SITE,
    database=DatabaseName("aphiria"),
    seed=True,
)
_PREVIEW_BASE = Values(
    name="preview-base",
    kind=EnvironmentKind.PREVIEW_BASE,
    namespace="default",
    stack="preview-base",
    cluster=_PREVIEW_CLUSTER,
    owns_cluster=True,
)
_PRODUCTION = Values(
    name="production",
    kind=EnvironmentKind.PRODUCTION,
    namespace="default",
    stack="production",
    cluster=_PRODUCTION_CLUSTER,
    owns_cluster=True,
    hosting=_SITE,
    replicas=2,
    resources=_RESOURCES,
    database=DatabaseName("aphiria"),
    connection_limit=50,
    log_level="warning",
    backup=Backup(
        bucket="aphiria-com-backups",
        endpoint="https://nyc3.digitaloceanspaces.com",
        region="nyc3",
        retention_days=30,
        resources=Resources.parse("100m/128Mi", "500m/512Mi"),
    ),
)


def _preview(number: int) -> Values:
    return replace(
        _PREVIEW_BASE,
        name=f"pr-{number}",
        kind=EnvironmentKind.PREVIEW,
        namespace=f"preview-pr-{number}",
        number=number,
        owns_cluster=False,
        hosting=Hosting(
            web=Hostname(f"{number}.pr.aphiria.com"),
            api=Hostname(f"{number}.pr-api.aphiria.com"),
            cookie_domain=".pr.aphiria.com",
            # The API is not below it, so only the front end can set these.
            cookie_hosts=(Hostname(f"{number}.pr.aphiria.com"),),
            indexed=False,
        ),
        resources=_RESOURCES,
        database=DatabaseName(f"aphiria_pr_{number}"),
        seed=True,
        quota=(Quantity("4"), Quantity("8Gi"), 5),
    )


def values_of(environment: str) -> Values:
    """Gives an environment's values.

    Raises:
        InvalidValueError: There is no such environment.
    """
    for values in (_LOCAL, _PREVIEW_BASE, _PRODUCTION):
        if values.name == environment:
            return values
    if re.fullmatch(r"pr-[1-9][0-9]{0,8}", environment):
        return _preview(int(environment.removeprefix("pr-")))
    raise InvalidValueError(
        "environment", environment, "local, preview-base, production, or pr-N with N from 1 to 999999999"
    )
