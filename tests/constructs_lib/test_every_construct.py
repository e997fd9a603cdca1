"""What holds for everything that the library makes, whatever it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

import constructs_lib
from constructs_lib import (
    Acme,
    Api,
    App,
    BodySize,
    Chart,
    Construct,
    Database,
    DatabaseBackup,
    DatabaseJob,
    EnvVars,
    Gateway,
    Hostname,
    MigrationJob,
    Namespace,
    PreviewAccess,
    RateLimit,
    Route,
    WebApp,
    backup_jobs,
    drop_job,
    manifests,
)
from tests.constructs_lib import (
    test_api,
    test_backup,
    test_database,
    test_database_job,
    test_env_vars,
    test_gateway,
    test_migration_job,
    test_namespace,
    test_preview_access,
    test_route,
    test_web_app,
)
from tests.constructs_lib.defaults import defaults
from tests.objects import Object, leaves, pod_spec, pod_template
from tests.pod_security import violations

# Each construct twice: with what is required alone, and with all that adds objects or fields.
_CASES: list[tuple[Callable[..., Construct], Any, dict[str, Any]]] = [
    (
        Namespace,
        test_namespace.PROPS,
        {"quota": test_namespace.QUOTA, "isolation": test_namespace.ISOLATION, "annotations": {"a": "b"}},
    ),
    (WebApp, test_web_app.PROPS, {"replicas": 2, "environment": {"A": "1"}, "runtime_config": test_web_app.MODULE}),
    (Api, test_api.PROPS, {"replicas": 2, "trusted_proxies": ["10.0.0.0/8"]}),
    (EnvVars, test_env_vars.PROPS, {}),
    (MigrationJob, test_migration_job.PROPS, {"writable_paths": ["/tmp", "/srv/.cache"]}),
    (
        Gateway,
        test_gateway.PROPS,
        {
            "tls": Acme(dns01_token=test_gateway.TOKEN),
            "redirects": {test_gateway.ROOT: test_gateway.WWW},
            "proxy_protocol_from": ["10.0.0.0/8"],
        },
    ),
    (
        Route,
        test_route.PROPS,
        {
            "rate_limit": RateLimit(requests_per_second=1, burst=1),
            "max_body_size": BodySize("1m"),
            "response_headers": {"X-A": "b"},
            "hostnames": [Hostname("www.shop.example"), Hostname("shop.example")],
        },
    ),
    (Database, test_database.PROPS, {"storage_class": "fast", "settings": {"fsync": True}}),
    (DatabaseJob, test_database_job.PROPS, {"suffix": ""}),
    (DatabaseBackup, test_backup.PROPS, {}),
    (PreviewAccess, test_preview_access.PROPS, {}),
]


def _objects() -> Iterator[tuple[str, Object]]:
    for construct, props, more in _CASES:
        for given, what in ((props, "plain"), (type(props)(**_values(props) | more), "full")):
            chart = Chart(App(), "test", disable_resource_name_hashes=True)
            made = construct(chart, "it", given)
            for _, item in manifests(chart):
                yield f"{type(made).__name__} {what} {item['kind']} {item['metadata']['name']}", item
    yield "drop_job", drop_job(test_database_job.PROPS)
    jobs = backup_jobs(test_backup.PROPS)
    for what in ("take", "list", "restore", "discard"):
        yield f"backup_jobs {what}", getattr(jobs, what)


def _values(props: Any) -> dict[str, Any]:
    return {field.name: getattr(props, field.name) for field in fields(props)}


@pytest.fixture(scope="module")
def objects() -> dict[str, Object]:
    """Every object that every construct makes."""
    return dict(_objects())


def test_every_construct_of_the_library_is_looked_at() -> None:
    constructs = {
        value
        for name in constructs_lib.__all__
        if inspect.isclass(value := getattr(constructs_lib, name)) and value.__module__.startswith("constructs_lib")
        if issubclass(value, Construct) and name != "Manifest"
    }

    assert {construct for construct, _, _ in _CASES} == constructs


def test_every_pod_is_admitted_as_restricted(objects: dict[str, Object]) -> None:
    pods = {what: pod_spec(item) for what, item in objects.items() if pod_template(item)}

    assert len(pods) >= 13
    assert {what: found for what, spec in pods.items() if (found := violations(spec))} == {}


def test_every_container_writes_only_where_a_volume_is(objects: dict[str, Object]) -> None:
    for what, item in objects.items():
        for part in _containers(item):
            assert part["securityContext"]["readOnlyRootFilesystem"] is True, what


def test_every_mount_has_its_volume_and_every_volume_its_mount(objects: dict[str, Object]) -> None:
    for what, item in objects.items():
        if pod_template(item):
            mounted = {mount["name"] for part in _containers(item) for mount in part.get("volumeMounts", [])}
            assert mounted == {volume["name"] for volume in pod_spec(item).get("volumes", [])}, what


def test_every_selector_finds_its_pods(objects: dict[str, Object]) -> None:
    for what, item in objects.items():
        template, selector = pod_template(item), item.get("spec", {}).get("selector", {})
        if template and selector:
            assert selector["matchLabels"].items() <= template["metadata"]["labels"].items(), what


def test_every_object_says_what_it_belongs_to(objects: dict[str, Object]) -> None:
    for what, item in objects.items():
        labels = item["metadata"]["labels"]
        assert labels.keys() >= {
            "app",
            "app.kubernetes.io/name",
            "app.kubernetes.io/component",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/part-of",
            "app.kubernetes.io/managed-by",
        }, what
        assert labels["app.kubernetes.io/part-of"] == "shop.example", what


def test_nothing_is_empty_that_was_only_left_out(objects: dict[str, Object]) -> None:
    own = r"^spec\.selfSigned|^spec\.podSelector"
    meant = re.compile(rf"({own}|\.emptyDir|\.group|\.apiGroups\.0|\.env\.\d+\.value)$")
    for what, item in objects.items():
        empty = [path for path, value in leaves(item) if value in ({}, [], None, "") and not meant.search(path)]
        assert empty == [], what


def test_no_secret_stands_anywhere(objects: dict[str, Object]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|VERIFIER")
    for what, item in objects.items():
        assert item["kind"] != "Secret", what
        for part in _containers(item):
            literal = [variable["name"] for variable in part.get("env", []) if "value" in variable]
            assert not [name for name in literal if secret.search(name)], what


def test_no_pod_talks_to_the_api_server(objects: dict[str, Object]) -> None:
    for what, item in objects.items():
        if pod_template(item):
            assert pod_spec(item)["automountServiceAccountToken"] is False, what
            assert "serviceAccountName" not in pod_spec(item), what


def test_props_are_frozen_and_given_by_name() -> None:
    props = [getattr(constructs_lib, name) for name in constructs_lib.__all__ if name.endswith("Props")]

    assert len(props) == len(_CASES)
    for cls in props:
        assert cls.__dataclass_params__.frozen, cls
        assert all(field.kw_only for field in fields(cls)), cls


def test_no_image_and_no_address_of_a_site_is_a_default() -> None:
    props = [value for name in constructs_lib.__all__ if is_dataclass(value := getattr(constructs_lib, name))]
    texts = {
        (str(cls.__name__), name): str(value)  # type: ignore[union-attr]
        for cls in props
        for name, value in defaults(cls).items()  # type: ignore[arg-type]
    }

    assert len(texts) > 100
    assert not [where for where, text in texts.items() if "sha256:" in text or "ImageRef" in text]
    # The one address is that of the public authority which signs for everybody.
    assert [where for where, text in texts.items() if "://" in text or "Hostname" in text] == [("Acme", "server")]


def _containers(item: Object) -> list[Object]:
    if not pod_template(item):
        return []
    spec = pod_spec(item)
    return [*spec.get("initContainers", []), *spec["containers"]]
