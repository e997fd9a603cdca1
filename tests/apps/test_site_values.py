"""What each environment is, fact by fact, beside the specification's own numbers and names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.apps.made import ENVIRONMENTS, WITH_SITE, bundle, containers, objects, pods
from tests.objects import environment as variables
from tests.objects import key, names, one

CLUSTER_WIDE = {
    *("Namespace", "ClusterIssuer", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
}

OBJECTS = {
    "local": (
        "ConfigMap/db-config ConfigMap/env-vars ConfigMap/js-config ConfigMap/api-nginx-config "
        "ConfigMap/api-php-config PersistentVolumeClaim/db-pv-claim ClusterIssuer/selfsigned-issuer "
        "Certificate/tls-cert Gateway/nginx-gateway Service/db Deployment/db Job/db-init-… Job/db-migration-… "
        "Service/web Service/api Deployment/web Deployment/api HTTPRoute/https-redirect HTTPRoute/www-redirect "
        "HTTPRoute/web HTTPRoute/api RateLimitPolicy/web ClientSettingsPolicy/web RateLimitPolicy/api "
        "ClientSettingsPolicy/api"
    ),
    "preview-base": (
        "Namespace/aphiria-deploy-previews Namespace/aphiria-deploy-issuer "
        "ValidatingAdmissionPolicy/aphiria-deploy-previews ValidatingAdmissionPolicy/aphiria-deploy-issuer "
        "ValidatingAdmissionPolicyBinding/aphiria-deploy-previews "
        "ValidatingAdmissionPolicyBinding/aphiria-deploy-issuer ServiceAccount/preview-issuer "
        "ClusterRole/aphiria-deploy-previews ClusterRole/aphiria-deploy-preview ClusterRole/aphiria-deploy-issuer "
        "ClusterRoleBinding/aphiria-deploy-previews ClusterRoleBinding/aphiria-deploy-issuer "
        "Role/aphiria-deploy-previews Role/aphiria-deploy-previews Role/aphiria-deploy-previews "
        "Role/aphiria-deploy-previews Role/aphiria-deploy-issuer Role/aphiria-deploy-issuer "
        "Role/aphiria-deploy-issuer "
        "RoleBinding/aphiria-deploy-previews RoleBinding/aphiria-deploy-previews RoleBinding/aphiria-deploy-previews "
        "RoleBinding/aphiria-deploy-previews RoleBinding/aphiria-deploy-issuer RoleBinding/aphiria-deploy-issuer "
        "RoleBinding/aphiria-deploy-issuer "
        "ConfigMap/db-config ConfigMap/account PersistentVolumeClaim/db-pv-claim ClusterIssuer/letsencrypt-prod "
        "Certificate/tls-cert NginxProxy/nginx-gateway Gateway/nginx-gateway Service/db Deployment/db "
        "HTTPRoute/https-redirect"
    ),
    "pr-107": (
        "Namespace/preview-pr-107 ResourceQuota/preview-quota NetworkPolicy/preview-isolation ConfigMap/env-vars "
        "ConfigMap/js-config ConfigMap/api-nginx-config ConfigMap/api-php-config Job/db-init-pr-107-… "
        "Job/db-migration-… Service/web Service/api Deployment/web Deployment/api HTTPRoute/web HTTPRoute/api "
        "RateLimitPolicy/web ClientSettingsPolicy/web RateLimitPolicy/api ClientSettingsPolicy/api"
    ),
    "production": (
        "ConfigMap/db-config ConfigMap/env-vars ConfigMap/js-config ConfigMap/api-nginx-config "
        "ConfigMap/api-php-config PersistentVolumeClaim/db-pv-claim ClusterIssuer/letsencrypt-prod "
        "Certificate/tls-cert NginxProxy/nginx-gateway Gateway/nginx-gateway Service/db Deployment/db Job/db-init-… "
        "Job/db-migration-… Service/web Service/api Deployment/web Deployment/api CronJob/db-backup "
        "PodDisruptionBudget/web PodDisruptionBudget/api HTTPRoute/https-redirect HTTPRoute/www-redirect "
        "HTTPRoute/web HTTPRoute/api RateLimitPolicy/web ClientSettingsPolicy/web RateLimitPolicy/api "
        "ClientSettingsPolicy/api"
    ),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_these_objects_in_this_order(environment: str) -> None:
    found = [f"{item['kind']}/{item['metadata']['name']}" for item in objects(environment)]

    assert [re.sub(r"^(Job/.*-)[0-9a-f]{10}$", r"\1…", name) for name in found] == OBJECTS[environment].split()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_two_objects_share_their_name(environment: str) -> None:
    keys = [key(item) for item in objects(environment)]

    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_files_are_numbered_and_hold_what_their_names_say(environment: str) -> None:
    files = {file.name: {item["kind"] for item in file.manifests} for file in bundle(environment).files}

    assert list(files) == sorted(files)
    assert files.keys() <= {"10-base", "20-jobs", "30-workloads"}
    assert files.get("20-jobs", {"Job"}) == {"Job"}
    assert files["30-workloads"].isdisjoint({"Job", "Namespace", "ConfigMap"})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("local", {"default", "nginx-gateway"}),
        # Where environments are remembered, accounts are, and what accounts may do is said.
        (
            "preview-base",
            {"default", "nginx-gateway", "aphiria-deploy", "aphiria-deploy-previews", "aphiria-deploy-issuer"},
        ),
        # The database's Job is beside the database, where the administrator's password is.
        ("pr-107", {"preview-pr-107", "default"}),
        ("production", {"default", "nginx-gateway"}),
    ],
)
def test_objects_are_in_these_namespaces(environment: str, expected: set[str]) -> None:
    namespaced = [item for item in objects(environment) if item["kind"] not in CLUSTER_WIDE]

    assert {item["metadata"]["namespace"] for item in namespaced} == expected


def test_a_preview_makes_nothing_outside_of_its_namespace_but_the_databases_job() -> None:
    outside = [item for item in objects("pr-107") if item["metadata"].get("namespace") != "preview-pr-107"]

    assert [item["kind"] for item in outside] == ["Namespace", "Job"]
    assert outside[0]["metadata"]["name"] == "preview-pr-107"
    assert outside[1]["metadata"]["name"].startswith("db-init-pr-107-")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_namespace_of_the_cluster_is_made(environment: str) -> None:
    made = names(objects(environment), "Namespace")

    expected = {
        "pr-107": ["preview-pr-107"],
        "preview-base": ["aphiria-deploy-previews", "aphiria-deploy-issuer"],
    }
    assert made == expected.get(environment, [])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_says_which_environment_made_it(environment: str) -> None:
    for item in objects(environment):
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == environment
        assert labels["app.kubernetes.io/part-of"] == "aphiria.com"
        assert labels["app.kubernetes.io/managed-by"] == "aphiria-deploy"


VARIABLES = {
    "local": {
        "DB_NAME": "aphiria",
        "DB_USER": "aphiria",
        "APP_ENV": "local",
        "WEB_URL": "https://www.aphiria.com",
        "API_URL": "https://api.aphiria.com",
        "APP_COOKIE_DOMAIN": ".aphiria.com",
        "LOG_LEVEL": "debug",
    },
    "pr-107": {
        "DB_NAME": "aphiria_pr_107",
        "DB_USER": "aphiria_pr_107",
        "APP_ENV": "preview",
        "WEB_URL": "https://107.pr.aphiria.com",
        "API_URL": "https://107.pr-api.aphiria.com",
        "APP_COOKIE_DOMAIN": ".pr.aphiria.com",
        "LOG_LEVEL": "debug",
        "PR_NUMBER": "107",
    },
    "production": {
        "DB_NAME": "aphiria",
        "DB_USER": "aphiria",
        "APP_ENV": "production",
        "WEB_URL": "https://www.aphiria.com",
        "API_URL": "https://api.aphiria.com",
        "APP_COOKIE_DOMAIN": ".aphiria.com",
        "LOG_LEVEL": "warning",
    },
}
EVERYWHERE = {
    "DB_HOST": "db.default.svc.cluster.local",
    "DB_PORT": "5432",
    "APP_COOKIE_SECURE": "1",
    "APP_BUILDER_API": "\\Aphiria\\Framework\\Api\\SynchronousApiApplicationBuilder",
    "APP_BUILDER_CONSOLE": "\\Aphiria\\Framework\\Console\\ConsoleApplicationBuilder",
}


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_api_is_told_these_and_no_other_variables(environment: str) -> None:
    expected = EVERYWHERE | VARIABLES[environment]
    expected |= {"APP_WEB_URL": expected["WEB_URL"], "APP_API_URL": expected["API_URL"]}

    assert one(objects(environment), "ConfigMap", "env-vars")["data"] == expected


@pytest.mark.parametrize("environment", WITH_SITE)
@pytest.mark.parametrize("container", ["api/php", "db-migration/db-migration"])
def test_the_sites_code_has_the_variables_and_the_password_beside_them(environment: str, container: str) -> None:
    assert containers(environment)[container]["envFrom"] == [
        {"configMapRef": {"name": "env-vars"}},
        {"secretRef": {"name": "env-var-secrets"}},
    ]


@pytest.mark.parametrize(
    ("environment", "api", "cookies"),
    [
        ("local", "https://api.aphiria.com", ".aphiria.com"),
        ("pr-107", "https://107.pr-api.aphiria.com", ".pr.aphiria.com"),
        ("production", "https://api.aphiria.com", ".aphiria.com"),
    ],
)
def test_the_front_end_is_told_where_its_own_api_is(environment: str, api: str, cookies: str) -> None:
    assert one(objects(environment), "ConfigMap", "js-config")["data"] == {
        "config.js": (
            f'export const apiUri = "{api}";\n'
            f'export const cookieDomain = "{cookies}";\n'
            "export default { apiUri, cookieDomain };\n"
        )
    }


@pytest.mark.parametrize(
    ("environment", "replicas", "budgets"),
    [("local", 1, []), ("pr-107", 1, []), ("production", 2, ["web", "api"])],
)
def test_production_alone_has_two_of_each_and_guards_them(environment: str, replicas: int, budgets: list[str]) -> None:
    for app in ("web", "api"):
        assert one(objects(environment), "Deployment", app)["spec"]["replicas"] == replicas
    assert names(objects(environment), "PodDisruptionBudget") == budgets


@pytest.mark.parametrize("environment", WITH_SITE)
@pytest.mark.parametrize("app", ["web", "api"])
def test_a_rollout_loses_no_request(environment: str, app: str) -> None:
    deployment = one(objects(environment), "Deployment", app)

    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert pods(environment)[app]["terminationGracePeriodSeconds"] == 60
    for part in deployment["spec"]["template"]["spec"]["containers"]:
        assert part["lifecycle"]["preStop"]["exec"]["command"][2].startswith("sleep 10; ")


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_api_waits_for_its_migrations_and_these_for_the_database(environment: str) -> None:
    init, migration = (item for item in objects(environment) if item["kind"] == "Job")
    api = one(objects(environment), "Deployment", "api")
    depends_on = "config.kubernetes.io/depends-on"

    def ref(job: dict[str, Any]) -> str:
        return f"batch/namespaces/{job['metadata']['namespace']}/Job/{job['metadata']['name']}"

    assert api["metadata"]["annotations"][depends_on] == ref(migration)
    assert migration["metadata"]["annotations"][depends_on] == ref(init)
    assert init["metadata"]["annotations"].get(depends_on) == (
        # A preview's server is the base's: it is there.
        None if environment == "pr-107" else "apps/namespaces/default/Deployment/db"
    )


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_migrations_are_phinxs_and_run_once(environment: str) -> None:
    migration = next(item for item in objects(environment) if item["metadata"]["labels"]["app"] == "db-migration")

    # Where the data is worth something, nothing is seeded over it.
    seeds = "" if environment == "production" else " && vendor/bin/phinx seed:run"
    assert containers(environment)["db-migration/db-migration"]["command"] == [
        "sh", "-c", f"vendor/bin/phinx migrate{seeds}",
    ]  # fmt: skip
    assert migration["metadata"]["annotations"]["deploy.aphiria.com/job-class"] == "once"
    assert (migration["spec"]["backoffLimit"], migration["spec"]["activeDeadlineSeconds"]) == (2, 300)


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_migrations_write_where_the_framework_caches(environment: str) -> None:
    mounts = containers(environment)["db-migration/db-migration"]["volumeMounts"]

    assert [mount["mountPath"] for mount in mounts] == ["/tmp", "/app/api/tmp"]


@pytest.mark.parametrize("environment", WITH_SITE)
def test_only_jobs_migrate(environment: str) -> None:
    migrating = [name for name, part in containers(environment).items() if "phinx" in str(part)]

    assert migrating == ["db-migration/db-migration"]


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_code_is_where_aphirias_image_has_it(environment: str) -> None:
    found = containers(environment)

    assert found["api/copy-api-code"]["command"] == ["cp", "-R", "/app/api/.", "/usr/share/nginx/html/"]
    config = one(objects(environment), "ConfigMap", "api-nginx-config")["data"]["default.conf"]
    assert "root /usr/share/nginx/html/public;" in config
    assert {"name": "js-config", "mountPath": "/usr/share/nginx/html/js/config", "readOnly": True} in found["web/web"][
        "volumeMounts"
    ]


@pytest.mark.parametrize("environment", WITH_SITE)
@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_http_is_asked_of_nginx_and_a_connection_of_php(environment: str, probe: str) -> None:
    found = containers(environment)

    assert found["web/web"][probe]["httpGet"] == {"path": "/", "port": "http"}
    assert found["api/nginx"][probe]["httpGet"] == {"path": "/health", "port": "http"}
    assert found["api/php"][probe]["tcpSocket"] == {"port": "fastcgi"}


@pytest.mark.parametrize(
    ("environment", "storage", "connections"),
    [("local", "5Gi", 100), ("preview-base", "20Gi", 250), ("production", "20Gi", 100)],
)
def test_the_database_is_one_server_with_its_claim(environment: str, storage: str, connections: int) -> None:
    made = objects(environment)
    server, spec = one(made, "Deployment", "db"), pods(environment)["db"]

    assert (server["spec"]["replicas"], server["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert one(made, "PersistentVolumeClaim", "db-pv-claim")["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage}},
    }
    assert one(made, "Service", "db")["spec"]["ports"] == [
        {"name": "postgresql", "port": 5432, "targetPort": "postgresql"}
    ]
    assert spec["terminationGracePeriodSeconds"] == 90
    assert spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == [
        "pg_ctl", "stop", "-m", "fast", "-t", "60",
    ]  # fmt: skip
    assert f"max_connections = {connections}\n" in one(made, "ConfigMap", "db-config")["data"]["postgresql.conf"]


@pytest.mark.parametrize(("environment", "limit"), [("local", "20"), ("pr-107", "20"), ("production", "50")])
def test_ten_previews_fit_the_servers_connections(environment: str, limit: str) -> None:
    assert variables(containers(environment)["db-init/db-init"])["DATABASE_CONNECTION_LIMIT"] == limit


def test_production_is_backed_up_every_night() -> None:
    backup = one(objects("production"), "CronJob", "db-backup")

    assert backup["spec"]["schedule"] == "0 2 * * *"
    upload = variables(containers("production")["db-backup/upload"])
    assert upload["BACKUP_BUCKET"] == "aphiria-com-backups"
    assert upload["BACKUP_PREFIX"] == "postgres"
    assert upload["BACKUP_RETENTION_DAYS"] == "30"
    assert upload["RCLONE_CONFIG_BACKUP_ENDPOINT"] == "https://nyc3.digitaloceanspaces.com"
    assert "pg_dump --no-password -Fc" in containers("production")["db-backup/dump"]["command"][2]


@pytest.mark.parametrize("environment", ["local", "preview-base", "pr-107"])
def test_nothing_else_is_backed_up(environment: str) -> None:
    assert names(objects(environment), "CronJob") == []
