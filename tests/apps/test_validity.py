"""Every object of every environment is valid, strictly, by schemas that are not ours."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from aphiria_deploy.files import write
from tests.apps.made import ENVIRONMENTS, bundle, objects
from tests.crds import load_crds
from tests.objects import Object, one

# In one process: schemas are read, and checkov runs, once.
pytestmark = pytest.mark.xdist_group("validity")

KUBERNETES_OWN = {"admissionregistration.k8s.io", "networking.k8s.io", "rbac.authorization.k8s.io"}
"""Groups that no CRD brings, though their names have a dot."""

ROOT = Path(__file__).parents[2]
# The oldest and the newest version that the provider offers, or soon will.
VERSIONS = ("1.33", "1.35")
CUSTOM_RESOURCES = {
    "cert-manager.io/v1/Certificate",
    "cert-manager.io/v1/ClusterIssuer",
    "gateway.networking.k8s.io/v1/Gateway",
    "gateway.networking.k8s.io/v1/HTTPRoute",
    "gateway.nginx.org/v1alpha1/ClientSettingsPolicy",
    "gateway.nginx.org/v1alpha1/RateLimitPolicy",
    "gateway.nginx.org/v1alpha2/NginxProxy",
}


@pytest.fixture(scope="module", autouse=True)
def _schemas_are_read_once() -> None:
    # kubernetes-validate reads two megabytes of JSON anew for each object.
    kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


def kind_of(item: Object) -> str:
    return f"{item['apiVersion']}/{item['kind']}"


def passed_over(items: list[Object], version: str) -> set[str]:
    """Validates objects strictly, and gives the kinds that there is no schema for."""
    found = set()
    for item in items:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            found.add(kind_of(item))
    return found


def with_its_destruction(environment: str) -> list[Object]:
    destruction = bundle(environment).destruction
    return [*objects(environment), *(destruction.jobs if destruction else [])]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_of_kubernetes_own_is_valid_and_only_custom_ones_are_passed_over(
    environment: str, version: str
) -> None:
    custom = {kind_of(item) for item in objects(environment)} & CUSTOM_RESOURCES

    assert passed_over(with_its_destruction(environment), version) == custom
    assert custom


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "replica"), 1),
        ("Deployment", ("spec", "replicas"), "1"),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "imagePullPolice"), "Always"),
        ("NetworkPolicy", ("spec", "ingres"), []),
        ("ResourceQuota", ("spec", "hard", "pods"), ["5"]),
        ("Namespace", ("metadata", "label"), {}),
    ],
)
def test_a_misspelt_field_or_a_wrong_type_would_be_found(kind: str, path: tuple[str | int, ...], value: Any) -> None:
    item = copy.deepcopy(next(item for item in objects("pr-107") if item["kind"] == kind))
    place: Any = item
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, VERSIONS[-1], strict=True)


def strict(schema: Any) -> Any:
    """A CRD's schema as the API server reads it with strict validation: what is not declared is refused."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if made.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
        made.pop("anyOf", None)
    open_ended = made.get("x-kubernetes-preserve-unknown-fields") or made.get("x-kubernetes-embedded-resource")
    if isinstance(made.get("properties"), dict) and "type" in made and not open_ended:
        made.setdefault("additionalProperties", False)
    return made


@pytest.fixture(scope="module")
def validators() -> dict[str, jsonschema.Draft202012Validator]:
    """A validator for each custom resource, by its kind."""
    made = {}
    for crd in load_crds():
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            properties = schema["properties"]
            properties.setdefault("apiVersion", {})
            properties.setdefault("kind", {})
            # The API server knows an object's metadata itself.
            fields: dict[str, Any] = {"name": {"type": "string"}, "namespace": {"type": "string"}}
            texts = {"type": "object", "additionalProperties": {"type": "string"}}
            fields |= {"labels": texts, "annotations": texts}
            properties["metadata"] = {"type": "object", "properties": fields, "additionalProperties": False}
            kind = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
            made[kind] = jsonschema.Draft202012Validator(schema)
    return made


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_custom_object_is_valid_by_its_own_schema(
    environment: str, validators: dict[str, jsonschema.Draft202012Validator]
) -> None:
    custom = [item for item in objects(environment) if kind_of(item) in CUSTOM_RESOURCES]

    assert custom
    problems = [
        f"{kind_of(item)} {item['metadata']['name']}: {error.json_path}: {error.message}"
        for item in custom
        for error in validators[kind_of(item)].iter_errors(item)
    ]
    assert problems == []


def test_every_custom_resource_has_a_schema_to_be_checked_by(
    validators: dict[str, jsonschema.Draft202012Validator],
) -> None:
    assert validators.keys() >= CUSTOM_RESOURCES
    found = {kind_of(item) for environment in ENVIRONMENTS for item in objects(environment)}
    assert {kind for kind in found if "." in (group := kind.partition("/")[0]) and group not in KUBERNETES_OWN} == (
        CUSTOM_RESOURCES
    )


@pytest.mark.parametrize(
    ("environment", "kind", "path", "value"),
    [
        ("pr-107", "HTTPRoute", ("spec", "hostname"), "x"),
        ("pr-107", "HTTPRoute", ("spec", "rules", 0, "backendRefs", 0, "port"), "80"),
        ("pr-107", "HTTPRoute", ("spec", "rules", 0, "matches", 0, "path", "typ"), "x"),
        ("pr-107", "RateLimitPolicy", ("spec", "rateLimit", "local", "rules", 0, "rate"), "ten"),
        ("pr-107", "ClientSettingsPolicy", ("spec", "body", "maxSize"), "10MB"),
        ("production", "Gateway", ("spec", "listeners", 0, "port"), 0),
        ("production", "Gateway", ("metadata", "label"), {}),
        ("production", "Certificate", ("spec", "dnsName"), ["x"]),
        ("production", "NginxProxy", ("spec", "rewriteClientIP", "mode"), "Proxy"),
    ],
)
def test_a_mistake_in_a_custom_object_would_be_found(
    environment: str,
    kind: str,
    path: tuple[str | int, ...],
    value: Any,
    validators: dict[str, jsonschema.Draft202012Validator],
) -> None:
    item = copy.deepcopy(next(item for item in objects(environment) if item["kind"] == kind))
    place: Any = item
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert list(validators[kind_of(item)].iter_errors(item))


# checkov's rules that fail on purpose: where, and why that is right. Everything else it finds is a mistake.
_ALL = "CronJob Deployment Job"
EXPLAINED: dict[str, tuple[str, str, str]] = {
    "CKV_K8S_10": ("local", _ALL, "a developer's machine shares what it has: no requests"),
    "CKV_K8S_11": ("local", _ALL, "a developer's machine shares what it has: no limits"),
    "CKV_K8S_12": ("local", _ALL, "a developer's machine shares what it has: no requests"),
    "CKV_K8S_13": ("local", _ALL, "a developer's machine shares what it has: no limits"),
    "CKV_K8S_14": ("local", _ALL, "images that were just built on the machine are called latest"),
    "CKV_K8S_43": ("local", _ALL, "images that were just built on the machine have no digest in a registry"),
    "CKV_K8S_15": ("local", _ALL, "images that were built on the machine are nowhere else to be pulled from"),
    "CKV_K8S_21": (
        "local preview-base pr-107 production",
        "ConfigMap CronJob Deployment Job Role RoleBinding Service",
        "the whole cluster is the site's; a preview's only object here is the database's Job, beside the database",
    ),
    "CKV_K8S_158": (
        "preview-base",
        "Role",
        "who makes the accounts of previews grants what it may not do itself: the policy says what (docs/access.md)",
    ),
    "CKV_K8S_35": (
        "local preview-base pr-107 production",
        _ALL,
        "the images take their passwords from the environment, as PostgreSQL's clients and the site's code do",
    ),
    "CKV_K8S_40": (
        "local preview-base pr-107 production",
        _ALL,
        "the users are those that the official images were built for; none is root",
    ),
}


def _checkov() -> str:
    own = ROOT / ".venv-checkov" / "bin" / "checkov"
    found = os.environ.get("CHECKOV") or (str(own) if own.exists() else shutil.which("checkov"))
    if not found:
        pytest.skip("no checkov in .venv-checkov or on PATH, and CHECKOV names none; `make test` installs it")
    return found


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """What checkov finds in the files of all environments: rule, environment and object."""
    folder = tmp_path_factory.mktemp("dist")
    write([bundle(environment) for environment in ENVIRONMENTS], folder)
    command = [_checkov(), "--directory", str(folder), "--framework", "kubernetes", "--output", "json", "--compact"]
    # Without a network it would ask for guidelines, and go on without them.
    run = subprocess.run(
        [*command, "--soft-fail", "--skip-download"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    summary = report["summary"]
    assert (summary["parsing_errors"], summary["skipped"]) == (0, 0)
    checked = {check["file_path"] for check in report["results"]["passed_checks"]}
    assert checked == {f"/{path.relative_to(folder)}" for path in folder.rglob("*.yaml") if _has_core_kinds(path)}
    return [
        (check["check_id"], check["file_path"].split("/")[1], check["resource"])
        for check in report["results"]["failed_checks"]
    ]


def _has_core_kinds(path: Path) -> bool:
    (file,) = [file for file in bundle(path.parent.name).files if f"{file.name}.k8s.yaml" == path.name]
    return any(kind_of(item) not in CUSTOM_RESOURCES for item in file.manifests)


def test_checkov_finds_nothing_that_is_not_explained(failures: list[tuple[str, str, str]]) -> None:
    unexplained = [
        (rule, environment, resource)
        for rule, environment, resource in failures
        if environment not in EXPLAINED.get(rule, ("",))[0].split()
        or resource.split(".")[0] not in EXPLAINED[rule][1].split()
    ]

    assert unexplained == []


def test_nothing_is_explained_that_checkov_does_not_find(failures: list[tuple[str, str, str]]) -> None:
    found = {(rule, environment) for rule, environment, _ in failures}

    assert {(rule, place) for rule, (places, _, _) in EXPLAINED.items() for place in places.split()} - found == set()


def test_in_a_preview_only_the_databases_job_is_in_the_default_namespace() -> None:
    made = [item for item in objects("pr-107") if item["metadata"].get("namespace") == "default"]

    assert [item["kind"] for item in made] == ["Job"]
    assert one(objects("pr-107"), "Namespace")
