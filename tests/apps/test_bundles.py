"""What the engine is told of each environment beside its manifests."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.bundle import (
    Constant,
    CorsCheck,
    EnvironmentKind,
    Generated,
    HealthCheck,
    Output,
    RedirectCheck,
    RegistryLogin,
    ScramVerifier,
)
from apps import environment_variables, site
from tests.apps.made import ENVIRONMENTS, WITH_SITE, bundle, objects, pods
from tests.objects import key, one


@pytest.mark.parametrize(
    ("environment", "kind", "namespace", "number", "stack"),
    [
        ("local", EnvironmentKind.LOCAL, "default", None, None),
        ("preview-base", EnvironmentKind.PREVIEW_BASE, "default", None, "preview-base"),
        ("pr-107", EnvironmentKind.PREVIEW, "preview-pr-107", 107, "preview-base"),
        ("production", EnvironmentKind.PRODUCTION, "default", None, "production"),
    ],
)
def test_an_environment_is_of_a_kind_and_lives_on_a_stacks_cluster(
    environment: str, kind: EnvironmentKind, namespace: str, number: int | None, stack: str | None
) -> None:
    made = bundle(environment)

    assert made.site == site.name == "aphiria.com"
    assert made.environment.name == environment
    assert (made.environment.kind, made.environment.namespace) == (kind, namespace)
    assert (made.environment.number, made.environment.stack) == (number, stack)


def test_the_environments_that_are_made_when_none_is_named() -> None:
    assert tuple(site.environments) == ENVIRONMENTS


ADMIN = {"username": Output("postgresqlAdminUser"), "password": Output("postgresqlAdminPassword")}
DNS = ("cert-manager/digitalocean-dns-token", {"access-token": Output("digitaloceanDnsToken")})
GENERATED = {"DB_PASSWORD": Generated()}
PULL = {".dockerconfigjson": RegistryLogin(registry="ghcr.io", username="ghcrUsername", token="ghcrToken")}

SECRETS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "local": [
        ("default/db-admin", {"username": Constant("postgres"), "password": Generated()}),
        ("default/env-var-secrets", GENERATED),
        ("default/db-role-local", {"verifier": ScramVerifier("default", "env-var-secrets", "DB_PASSWORD")}),
    ],
    "preview-base": [("default/db-admin", ADMIN), DNS],
    "pr-107": [
        ("preview-pr-107/env-var-secrets", GENERATED),
        ("default/db-role-pr-107", {"verifier": ScramVerifier("preview-pr-107", "env-var-secrets", "DB_PASSWORD")}),
        ("preview-pr-107/ghcr-pull-secret", PULL),
    ],
    "production": [
        ("default/db-admin", ADMIN),
        DNS,
        ("default/env-var-secrets", GENERATED),
        ("default/db-role-production", {"verifier": ScramVerifier("default", "env-var-secrets", "DB_PASSWORD")}),
        ("default/ghcr-pull-secret", PULL),
        (
            "default/db-backup",
            {"access-key-id": Output("backupAccessKeyId"), "secret-access-key": Output("backupSecretAccessKey")},
        ),
    ],
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_these_secrets_are_made_of_these_sources(environment: str) -> None:
    made = bundle(environment).secrets

    assert [(f"{secret.namespace}/{secret.name}", secret.keys) for secret in made] == SECRETS[environment]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_secrets_type_is_what_its_keys_are_for(environment: str) -> None:
    types = {secret.name: secret.type for secret in bundle(environment).secrets}

    assert {name for name, kind in types.items() if kind != "Opaque"} <= {"ghcr-pull-secret"}
    assert types.get("ghcr-pull-secret", "kubernetes.io/dockerconfigjson") == "kubernetes.io/dockerconfigjson"


def _referred_to(environment: str) -> set[str]:
    """The Secrets that pods refer to, as namespace/name."""
    found = set()
    for item in objects(environment):
        if item["metadata"]["labels"]["app"] not in pods(environment) or item["kind"] in {"Service", "ConfigMap"}:
            continue
        stack: list[Any] = [item]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                for field in ("secretKeyRef", "secretRef"):
                    if field in value:
                        found.add(f"{item['metadata']['namespace']}/{value[field]['name']}")
                for pull in value.get("imagePullSecrets", []):
                    found.add(f"{item['metadata']['namespace']}/{pull['name']}")
                stack += value.values()
            elif isinstance(value, list):
                stack += value
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_secret_that_pods_refer_to_is_made_or_there(environment: str) -> None:
    made = bundle(environment)
    there = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in made.base if item["kind"] == "Secret"
    }

    assert _referred_to(environment)
    assert _referred_to(environment) <= {f"{secret.namespace}/{secret.name}" for secret in made.secrets} | there


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_base_is_what_the_cluster_and_the_releases_bring(environment: str) -> None:
    base = [f"{item['kind']}/{item['metadata']['name']}" for item in bundle(environment).base]

    expected = [
        "Namespace/default",
        "Namespace/kube-system",
        "Namespace/cert-manager",
        "Namespace/nginx-gateway",
        "GatewayClass/nginx",
    ]
    shared = {
        "pr-107": [
            "Gateway/nginx-gateway",
            "Service/db",
            "PersistentVolumeClaim/db-pv-claim",
            "ConfigMap/db-config",
            "ConfigMap/account",
            "Secret/db-admin",
        ],
        "preview-base": ["Namespace/aphiria-deploy"],
    }
    assert base == [*expected, *shared.get(environment, [])]


def test_a_preview_finds_the_gateway_and_the_database_as_the_base_makes_them() -> None:
    base, made = bundle("pr-107").base, objects("preview-base")

    declared = one(base, "Gateway")["spec"]["listeners"]
    real = one(made, "Gateway")["spec"]["listeners"]
    for field in ("name", "port", "protocol", "hostname"):
        assert [item[field] for item in declared] == [item[field] for item in real]
    service, real_service = one(base, "Service", "db"), one(made, "Service", "db")
    assert service["spec"]["selector"] == real_service["spec"]["selector"]
    assert service["spec"]["ports"][0]["port"] == real_service["spec"]["ports"][0]["port"]
    config, real_config = one(base, "ConfigMap", "db-config"), one(made, "ConfigMap", "db-config")
    assert config["data"]["postgresql.conf"] in real_config["data"]["postgresql.conf"]
    assert {key(item) for item in base if item["kind"] in {"Gateway", "Service", "PersistentVolumeClaim"}} <= {
        key(item) for item in made
    }


def test_the_declared_base_holds_no_values() -> None:
    assert one(bundle("pr-107").base, "Secret")["data"] == {"username": "", "password": ""}


@pytest.mark.parametrize(
    ("environment", "web", "api"),
    [
        ("local", "https://www.aphiria.com", "https://api.aphiria.com"),
        ("pr-107", "https://107.pr.aphiria.com", "https://107.pr-api.aphiria.com"),
        ("production", "https://www.aphiria.com", "https://api.aphiria.com"),
    ],
)
def test_the_running_site_is_asked_for_health_cors_and_its_redirects(environment: str, web: str, api: str) -> None:
    made = bundle(environment)

    assert made.urls == {"web": web, "api": api}
    expected = [
        HealthCheck(url=f"{web}/"),
        HealthCheck(url=f"{api}/health"),
        CorsCheck(url=f"{api}/", origin=web),
        RedirectCheck(url=f"{web.replace('https', 'http')}/", location=f"{web}/"),
    ]
    if environment != "pr-107":
        expected.append(RedirectCheck(url="https://aphiria.com/", location="https://www.aphiria.com/"))
    assert made.checks == expected


def test_the_base_has_no_site_to_ask() -> None:
    made = bundle("preview-base")

    assert (made.urls, made.checks, made.outputs) == ({}, [], {"namespace": "default"})


@pytest.mark.parametrize("environment", WITH_SITE)
def test_a_deploy_reports_these(environment: str) -> None:
    made = bundle(environment)

    assert made.outputs == {
        "webUrl": made.urls["web"],
        "apiUrl": made.urls["api"],
        "namespace": made.environment.namespace,
        "databaseName": "aphiria_pr_107" if environment == "pr-107" else "aphiria",
        "webImageRef": made.images["web"].ref,
        "apiImageRef": made.images["api"].ref,
    }


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_contract_is_kept(environment: str) -> None:
    made = bundle(environment)
    contract = made.contract

    (promise,) = contract.environment_variables
    assert set(promise.required) <= one(made.manifests, "ConfigMap", promise.config_map)["data"].keys()
    assert tuple(promise.required) == environment_variables.REQUIRED
    assert contract.api_url
    told = one(made.manifests, "ConfigMap", contract.api_url.config_map)["data"][contract.api_url.key]
    assert contract.api_url.url in told
    route = one(made.manifests, "HTTPRoute", contract.api_url.route)
    assert f"https://{route['spec']['hostnames'][0]}" == contract.api_url.url


@pytest.mark.parametrize(
    ("environment", "domain", "hosts"),
    [
        ("local", ".aphiria.com", ["www.aphiria.com", "api.aphiria.com"]),
        ("pr-107", ".pr.aphiria.com", ["107.pr.aphiria.com"]),
        ("production", ".aphiria.com", ["www.aphiria.com", "api.aphiria.com"]),
    ],
)
def test_cookies_are_set_for_a_domain_that_each_host_may_set(environment: str, domain: str, hosts: list[str]) -> None:
    contract = bundle(environment).contract

    assert [(cookies.domain, cookies.hosts) for cookies in contract.cookie_domains] == [(domain, hosts)]
    assert all(host.endswith(domain) for host in hosts)
    assert contract.production_cookie_domain == ".aphiria.com"


@pytest.mark.parametrize("environment", ["local", "preview-base", "production"])
def test_nothing_but_a_preview_can_be_destroyed(environment: str) -> None:
    assert bundle(environment).destruction is None


def test_a_previews_database_and_role_are_dropped_and_must_be_absent() -> None:
    destruction = bundle("pr-107").destruction

    assert destruction
    assert [(gone.kind, gone.name) for gone in destruction.absent] == [
        ("database", "aphiria_pr_107"),
        ("role", "aphiria_pr_107"),
    ]
    (job,) = destruction.jobs
    assert (job["kind"], job["metadata"]["namespace"]) == ("Job", "default")
    assert job["metadata"]["name"].startswith("db-drop-pr-107-")
    assert job["metadata"]["annotations"]["deploy.aphiria.com/job-class"] == "always"
