"""An API of PHP: nginx and PHP-FPM in one pod, which share the code."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    Api,
    ApiProps,
    ApiResources,
    BodySize,
    Drain,
    EnvSource,
    HttpProbe,
    InvalidPropsError,
    InvalidValueError,
    PodOptions,
    ServiceRef,
    TcpProbe,
    User,
    Volume,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import API, ENVIRONMENT, LARGE, MIGRATED, NGINX, PLACEMENT, SMALL
from tests.objects import Object, container, names, one, pod_spec

PROPS = ApiProps(placement=PLACEMENT, image=API, nginx_image=NGINX, environment=ENVIRONMENT)


def test_the_defaults_are_these() -> None:
    assert required(ApiProps) == {"placement", "image", "nginx_image", "environment"}
    assert defaults(ApiProps) == {
        "name": "api",
        "replicas": 1,
        "port": 80,
        "resources": None,
        "code_path": "/app/api",
        "public_path": "public",
        "php_user": User(33, 33),
        "nginx_user": User(101, 101),
        "fpm_config_path": "/usr/local/etc/php-fpm.d",
        "max_body_size": BodySize("10m"),
        "request_timeout": 60,
        "trusted_proxies": (),
        "readiness": HttpProbe(path="/health", period=5),
        "liveness": HttpProbe(path="/health", initial_delay=10, period=30),
        "php_probe": TcpProbe(period=10),
        "drain": Drain(pause=10, grace=60),
        "after": (),
        "options": PodOptions(),
    }
    assert required(ApiResources) == {"nginx", "php", "copy_code"}


@pytest.fixture
def deployment(render: Render) -> Object:
    """The Deployment of an API of which nobody said more than what is required."""
    return one(render(Api, PROPS), "Deployment")


def test_an_api_is_a_deployment_its_service_and_its_configuration(render: Render) -> None:
    objects = render(Api, PROPS)

    assert [(item["kind"], item["metadata"]["name"]) for item in objects] == [
        ("ConfigMap", "api-nginx-config"),
        ("ConfigMap", "api-php-config"),
        ("Service", "api"),
        ("Deployment", "api"),
    ]
    assert one(objects, "Service")["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    assert one(objects, "Deployment")["metadata"]["labels"] == PLACEMENT.object_labels("api", "backend")


def test_routes_find_its_service(chart: Any) -> None:
    assert Api(chart, "api", replace(PROPS, port=8080)).service == ServiceRef(name="api", port=8080, namespace="shop")


def test_the_code_is_copied_from_the_image_before_anything_serves_it(deployment: Object) -> None:
    copy = container(deployment, "copy-api-code")

    assert [part["name"] for part in pod_spec(deployment)["initContainers"]] == ["copy-api-code"]
    assert copy["image"] == str(API)
    assert copy["command"] == ["cp", "-R", "/app/api/.", "/usr/share/nginx/html/"]
    assert copy["volumeMounts"] == [{"name": "api-code", "mountPath": "/usr/share/nginx/html"}]
    assert {"name": "api-code", "emptyDir": {}} in pod_spec(deployment)["volumes"]


def test_the_code_may_lie_elsewhere(render: Render) -> None:
    deployment = one(render(Api, replace(PROPS, code_path="/srv/shop")), "Deployment")

    assert container(deployment, "copy-api-code")["command"][2] == "/srv/shop/."


def test_nginx_reads_the_code_and_php_may_write_to_it(deployment: Object) -> None:
    mounts = {
        name: next(mount for mount in container(deployment, name)["volumeMounts"] if mount["name"] == "api-code")
        for name in ("nginx", "php")
    }

    assert mounts["nginx"]["readOnly"] is True
    assert "readOnly" not in mounts["php"]


def test_http_goes_to_nginx_and_fastcgi_to_php(deployment: Object) -> None:
    nginx, php = container(deployment, "nginx"), container(deployment, "php")

    assert (nginx["image"], php["image"]) == (str(NGINX), str(API))
    assert nginx["ports"] == [{"name": "http", "containerPort": 80}]
    assert php["ports"] == [{"name": "fastcgi", "containerPort": 9000}]
    for probe in ("readinessProbe", "livenessProbe"):
        assert nginx[probe]["httpGet"] == {"path": "/health", "port": "http"}
        assert php[probe]["tcpSocket"] == {"port": "fastcgi"}
        assert "httpGet" not in php[probe]


def test_the_environment_is_phps_alone(deployment: Object) -> None:
    assert container(deployment, "php")["envFrom"] == [
        {"configMapRef": {"name": "env-vars"}},
        {"secretRef": {"name": "env-secrets"}},
    ]
    for name in ("nginx", "copy-api-code"):
        assert container(deployment, name).keys().isdisjoint({"env", "envFrom"})


@pytest.mark.parametrize(("name", "uid"), [("nginx", 101), ("php", 33), ("copy-api-code", 33)])
def test_each_container_runs_as_the_user_of_its_image(deployment: Object, name: str, uid: int) -> None:
    assert container(deployment, name)["securityContext"]["runAsUser"] == uid


def test_each_container_gets_the_resources_that_are_its_own(render: Render) -> None:
    middle = replace(SMALL, cpu_limit=LARGE.cpu_limit)
    resources = ApiResources(nginx=SMALL, php=LARGE, copy_code=middle)

    deployment = one(render(Api, replace(PROPS, resources=resources)), "Deployment")

    assert container(deployment, "nginx")["resources"] == SMALL.manifest()
    assert container(deployment, "php")["resources"] == LARGE.manifest()
    assert container(deployment, "copy-api-code")["resources"] == middle.manifest()


def test_without_resources_there_are_none(deployment: Object) -> None:
    assert all("resources" not in container(deployment, name) for name in ("nginx", "php", "copy-api-code"))


def test_what_the_site_adds_goes_to_php(render: Render) -> None:
    options = PodOptions(env={"DEBUG": "1"}, volumes=[Volume.scratch("/data")], pull_secrets=["pull"])

    deployment = one(render(Api, replace(PROPS, options=options)), "Deployment")

    assert container(deployment, "php")["env"] == [{"name": "DEBUG", "value": "1"}]
    assert [name for name in ("nginx", "php") if "/data" in str(container(deployment, name)["volumeMounts"])] == ["php"]
    assert pod_spec(deployment)["imagePullSecrets"] == [{"name": "pull"}]


def test_the_configuration_is_mounted_where_each_server_reads_it(deployment: Object) -> None:
    assert {
        "name": "api-nginx-config",
        "mountPath": "/etc/nginx/conf.d/default.conf",
        "subPath": "default.conf",
        "readOnly": True,
    } in container(deployment, "nginx")["volumeMounts"]
    assert {
        "name": "api-php-config",
        "mountPath": "/usr/local/etc/php-fpm.d/zzz-drain.conf",
        "subPath": "zzz-drain.conf",
        "readOnly": True,
    } in container(deployment, "php")["volumeMounts"]


def directives(objects: list[Object]) -> list[str]:
    """The lines of nginx's configuration that are no comments."""
    text = one(objects, "ConfigMap", "api-nginx-config")["data"]["default.conf"]
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize(
    ("changes", "directive"),
    [
        ({}, "listen 80;"),
        ({}, "root /usr/share/nginx/html/public;"),
        ({}, "client_max_body_size 10m;"),
        ({}, "fastcgi_read_timeout 60s;"),
        ({}, "fastcgi_pass 127.0.0.1:9000;"),
        ({}, "try_files $uri /index.php$is_args$args;"),
        ({}, "server_tokens off;"),
        ({}, "fastcgi_hide_header X-Powered-By;"),
        ({}, 'fastcgi_param HTTP_PROXY "";'),
        ({}, "add_header X-Content-Type-Options nosniff always;"),
        ({"port": 8080}, "listen 8080;"),
        ({"public_path": "web"}, "root /usr/share/nginx/html/web;"),
        ({"max_body_size": BodySize("64k")}, "client_max_body_size 64k;"),
        ({"request_timeout": 5}, "fastcgi_read_timeout 5s;"),
        ({"trusted_proxies": ["10.0.0.0/8"]}, "set_real_ip_from 10.0.0.0/8;"),
        ({"trusted_proxies": ["10.0.0.0/8"]}, "real_ip_header X-Forwarded-For;"),
    ],
)
def test_nginx_is_configured_as_it_was_said(render: Render, changes: dict[str, Any], directive: str) -> None:
    assert directive in directives(render(Api, replace(PROPS, **changes)))


def test_nobodys_word_is_taken_for_a_clients_address_unless_it_is_trusted(render: Render) -> None:
    assert not [line for line in directives(render(Api, PROPS)) if "real_ip" in line]


def test_nginx_serves_on_then_finishes_what_it_serves(render: Render) -> None:
    deployment = one(render(Api, replace(PROPS, drain=Drain(pause=5, grace=20))), "Deployment")

    assert container(deployment, "nginx")["lifecycle"]["preStop"]["exec"]["command"] == [
        "sh", "-c", "sleep 5; nginx -s quit; sleep 15",
    ]  # fmt: skip
    assert pod_spec(deployment)["terminationGracePeriodSeconds"] == 20


@pytest.mark.parametrize(("port", "digits"), [(80, "0050"), (8080, "1F90")])
def test_php_ends_after_nginx_is_gone_from_its_port(render: Render, port: int, digits: str) -> None:
    deployment = one(render(Api, replace(PROPS, port=port)), "Deployment")

    shell, option, script = container(deployment, "php")["lifecycle"]["preStop"]["exec"]["command"]
    steps = [step.strip() for step in script.split(";")]
    assert (shell, option) == ("sh", "-c")
    assert steps[0] == "sleep 10"
    assert steps[1].startswith("while grep")
    assert f":{digits} " in steps[1]
    assert steps[2:] == ["do sleep 0.2", "done", 'kill -QUIT "$(cat /tmp/php-fpm.pid)"', "sleep 50"]


def test_php_fpm_gets_the_time_that_is_left_to_finish_what_it_runs(render: Render) -> None:
    objects = render(Api, replace(PROPS, drain=Drain(pause=5, grace=20)))

    assert one(objects, "ConfigMap", "api-php-config")["data"] == {
        "zzz-drain.conf": "[global]\npid = /tmp/php-fpm.pid\nprocess_control_timeout = 15s\n"
    }


@pytest.mark.parametrize(("replicas", "budgets"), [(1, []), (2, ["api"])])
def test_a_disruption_budget_guards_two_pods(render: Render, replicas: int, budgets: list[str]) -> None:
    assert names(render(Api, replace(PROPS, replicas=replicas)), "PodDisruptionBudget") == budgets


def test_it_waits_for_the_migrations(render: Render) -> None:
    deployment = one(render(Api, replace(PROPS, after=[MIGRATED])), "Deployment")

    assert deployment["metadata"]["annotations"] == {
        "config.kubernetes.io/depends-on": "batch/namespaces/shop/Job/migration-1"
    }


@pytest.mark.parametrize(
    ("changes", "replaced"),
    [
        ({}, False),
        ({"after": [MIGRATED]}, False),
        ({"environment": replace(ENVIRONMENT, checksum="other")}, True),
        ({"max_body_size": BodySize("11m")}, True),
        ({"request_timeout": 61}, True),
        ({"drain": Drain(pause=10, grace=61)}, True),
    ],
)
def test_its_pods_are_replaced_when_what_they_read_changes(
    chart: Any, changes: dict[str, Any], *, replaced: bool
) -> None:
    def checksum(construct_id: str, props: ApiProps) -> str:
        made = Api(chart, construct_id, props)
        deployment = next(node for node in made.node.find_all() if node.node.id == "deployment")
        manifest: Object = deployment.to_json()  # type: ignore[attr-defined]
        return str(manifest["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert (checksum("before", PROPS) != checksum("after", replace(PROPS, **changes))) == replaced


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 0}, "Api api: replicas: found 0, expected 1 or more"),
        ({"port": 0}, "Api api: port: found 0, expected 1 to 65535"),
        ({"port": 65536}, "Api api: port: found 65536, expected 1 to 65535"),
        ({"port": 9000}, "Api api: port: found 9000, expected another one than PHP-FPM's"),
        ({"code_path": "app"}, "Api api: code_path: found 'app', expected an absolute path without '/' at its end"),
        ({"code_path": "/app/"}, "Api api: code_path: found '/app/'"),
        ({"public_path": "public; }"}, "Api api: public_path: found 'public; }', expected a folder below the code"),
        ({"public_path": "../src"}, "Api api: public_path: found '../src'"),
        ({"request_timeout": 0}, "Api api: request_timeout: found 0, expected 1 second or more"),
        ({"trusted_proxies": ["10.0.0.0/33"]}, "Api api: trusted_proxies: found '10.0.0.0/33', expected a network"),
        ({"name": "API"}, "Api API: name: found 'API', expected a DNS label"),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(InvalidPropsError) as error:
        replace(PROPS, replicas=0, port=0, code_path="", request_timeout=0, trusted_proxies=["x", "y"], name="")

    assert len(error.value.problems) == 7


def test_a_name_that_leaves_no_room_for_its_volumes_is_refused(render: Render) -> None:
    with pytest.raises(InvalidValueError, match="-nginx-config', expected a DNS label"):
        render(Api, replace(PROPS, name="a" * 60))


def test_an_environment_without_secrets_is_its_config_map_alone() -> None:
    assert EnvSource(config_map="vars", checksum="").manifest() == [{"configMapRef": {"name": "vars"}}]
