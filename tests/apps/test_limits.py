"""What each environment may use and do: resources, quota, network, users, images and secrets."""

from __future__ import annotations

import re

import pytest

from apps import site
from tests.apps.made import DIGEST, ENVIRONMENTS, bundle, containers, objects, pods
from tests.objects import Object, leaves, one
from tests.objects import environment as variables
from tests.pod_security import violations

# Requests and limits of CPU and memory.
RESOURCES = {
    "web/web": ("100m/256Mi", "500m/1Gi"),
    "api/nginx": ("100m/128Mi", "200m/256Mi"),
    "api/php": ("500m/1280Mi", "1/2560Mi"),
    "api/copy-api-code": ("100m/128Mi", "200m/256Mi"),
    "db-init/db-init": ("100m/128Mi", "200m/256Mi"),
    "db-migration/db-migration": ("200m/256Mi", "500m/512Mi"),
    "db-migration/wait-for-db": ("50m/64Mi", "100m/128Mi"),
}
DATABASE = {"db/postgresql": ("250m/512Mi", "1/1Gi")}
BACKUP = dict.fromkeys(["db-backup/dump", "db-backup/upload"], ("100m/128Mi", "500m/512Mi"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("local", dict.fromkeys([*RESOURCES, *DATABASE])),
        ("preview-base", DATABASE),
        ("pr-107", RESOURCES),
        ("production", RESOURCES | DATABASE | BACKUP),
    ],
)
def test_every_container_may_use_this_much(environment: str, expected: dict[str, tuple[str, str] | None]) -> None:
    found = {
        name: tuple(
            f"{part['resources'][what]['cpu']}/{part['resources'][what]['memory']}" for what in ("requests", "limits")
        )
        if "resources" in part
        else None
        for name, part in containers(environment).items()
    }

    assert found == expected


def test_ten_previews_are_what_the_preview_cluster_is_made_for() -> None:
    requests = [part["resources"]["requests"] for app in ("web", "api") for part in pods("pr-107")[app]["containers"]]

    assert sum(int(request["cpu"].removesuffix("m")) for request in requests) == 700
    assert sum(int(request["memory"].removesuffix("Mi")) for request in requests) == 1664


def test_a_preview_stays_within_its_quota() -> None:
    assert one(objects("pr-107"), "ResourceQuota", "preview-quota")["spec"] == {
        "hard": {
            "requests.cpu": "4",
            "requests.memory": "8Gi",
            "limits.cpu": "4",
            "limits.memory": "8Gi",
            "pods": "5",
        }
    }


@pytest.mark.parametrize("environment", ["local", "preview-base", "production"])
def test_nothing_else_has_a_quota_or_a_policy(environment: str) -> None:
    assert {item["kind"] for item in objects(environment)}.isdisjoint({"ResourceQuota", "NetworkPolicy"})


def test_a_preview_talks_to_the_gateway_dns_the_web_and_the_database_alone() -> None:
    spec = one(objects("pr-107"), "NetworkPolicy", "preview-isolation")["spec"]

    def namespace(name: str) -> Object:
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}

    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": [namespace("nginx-gateway")], "ports": [{"protocol": "TCP", "port": 80}]}]
    dns, https, database = spec["egress"]
    assert dns == {
        "to": [namespace("kube-system")],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    assert https["ports"] == [{"protocol": "TCP", "port": 443}]
    assert [to["ipBlock"]["cidr"] for to in https["to"]] == ["0.0.0.0/0"]
    # The cluster's networks, and the address at which a cloud tells its machines their secrets.
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(
        https["to"][0]["ipBlock"]["except"]
    )
    assert database == {
        "to": [namespace("default") | {"podSelector": {"matchLabels": {"app": "db"}}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    }


def test_a_previews_namespace_enforces_restricted() -> None:
    labels = one(objects("pr-107"), "Namespace")["metadata"]["labels"]

    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")} == {"restricted"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_pod_is_admitted_as_restricted(environment: str) -> None:
    found = {app: violations(spec) for app, spec in pods(environment).items()}

    assert found
    assert not any(found.values()), found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_pod_gets_a_token_of_the_api_server(environment: str) -> None:
    assert {spec["automountServiceAccountToken"] for spec in pods(environment).values()} == {False}


@pytest.mark.parametrize("environment", ["preview-base", "pr-107", "production"])
def test_every_image_is_pinned_to_its_digest(environment: str) -> None:
    images = {part["image"] for part in containers(environment).values()}

    assert images
    assert not [image for image in images if not re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", image)]


def test_a_developers_machine_runs_what_was_built_on_it_and_pulls_nothing_of_it() -> None:
    own = {name: part for name, part in containers("local").items() if part["image"].startswith("aphiria.com-")}

    assert {name: part["image"] for name, part in own.items()} == {
        "web/web": "aphiria.com-web:latest",
        "api/copy-api-code": "aphiria.com-api:latest",
        "api/php": "aphiria.com-api:latest",
        "db-migration/db-migration": "aphiria.com-api:latest",
    }
    assert {part["imagePullPolicy"] for part in own.values()} == {"IfNotPresent"}
    assert not any("imagePullSecrets" in spec for spec in pods("local").values())


@pytest.mark.parametrize("environment", ["pr-107", "production"])
def test_pods_with_private_images_log_in_to_pull_them(environment: str) -> None:
    for app in ("web", "api", "db-migration"):
        assert pods(environment)[app]["imagePullSecrets"] == [{"name": "ghcr-pull-secret"}]
    assert "imagePullSecrets" not in pods(environment)["db-init"]


@pytest.mark.parametrize("environment", ["pr-107", "production"])
def test_the_images_that_were_asked_for_run_and_no_other(environment: str) -> None:
    given = {name: f"ghcr.io/aphiria/aphiria.com-{name}@{DIGEST}" for name in ("web", "api")}

    made = site.bundle(environment, given)

    assert {name: made.images[name].ref for name in given} == given
    assert made.sample_images == []
    text = repr(made.manifests)
    assert all(ref in text for ref in given.values())
    assert not any(bundle(environment).images[name].ref in text for name in given)


def test_the_same_digests_go_from_a_preview_to_production() -> None:
    given = {name: f"ghcr.io/aphiria/aphiria.com-{name}@{DIGEST}" for name in ("web", "api")}

    preview, production = (site.bundle(environment, given).images for environment in ("pr-107", "production"))

    assert {name: production[name] for name in preview} == preview


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_secret_is_in_any_file(environment: str) -> None:
    assert "Secret" not in {item["kind"] for item in objects(environment)}
    for part in containers(environment).values():
        for name, value in variables(part).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|VERIFIER|POSTGRES_USER", name):
                assert value.keys() == {"secretKeyRef"}, name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_config_map_holds_what_is_called_a_secret(environment: str) -> None:
    for item in objects(environment):
        if item["kind"] == "ConfigMap":
            assert not re.search(r"password\s*[=:]|token\s*[=:]|secret\s*[=:]", repr(item["data"]), re.IGNORECASE)
            assert not [name for name in item["data"] if re.search(r"PASSWORD|SECRET|TOKEN", name)]


def test_the_administrators_password_never_enters_a_previews_namespace() -> None:
    inside = [item for item in objects("pr-107") if item["metadata"].get("namespace") == "preview-pr-107"]

    assert "db-admin" not in repr(inside)
    assert "db-admin" in repr(objects("pr-107"))


def test_a_preview_connects_as_its_own_role() -> None:
    wait, create = (variables(containers("pr-107")[name]) for name in ("db-migration/wait-for-db", "db-init/db-init"))

    assert (wait["PGUSER"], wait["PGDATABASE"]) == ("aphiria_pr_107", "aphiria_pr_107")
    assert (create["DATABASE_ROLE"], create["DATABASE_NAME"]) == ("aphiria_pr_107", "aphiria_pr_107")
    assert create["DATABASE_PASSWORD_VERIFIER"] == {"secretKeyRef": {"name": "db-role-pr-107", "key": "verifier"}}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_is_empty_that_was_only_left_out(environment: str) -> None:
    meant = re.compile(r"(\.emptyDir|^spec\.selfSigned|^spec\.podSelector|\.group|\.apiGroups\.0)$")
    for item in objects(environment):
        empty = [path for path, value in leaves(item) if value in ({}, [], None, "") and not meant.search(path)]
        assert empty == [], item["metadata"]["name"]


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "pr-1", "pr-999999999"])
def test_every_label_and_every_name_is_one(environment: str) -> None:
    label = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
    for item in objects(environment):
        # A Job's name becomes the label of its pods, a Service's a label of a host.
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", item["metadata"]["name"])
        for path, value in leaves(item):
            if re.search(r"labels|matchLabels", path):
                assert label.fullmatch(value), path
