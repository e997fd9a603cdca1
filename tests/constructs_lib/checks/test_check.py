"""The check as a whole: silencing, speed, what it loads, and that nothing makes it fall over."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constructs_lib.checks import Context, Severity, Source, all_rules, check
from constructs_lib.checks.load import load_text
from tests.constructs_lib.checks.cases import CASES, read

_DIGEST = "@sha256:" + "0123456789abcdef" * 4
_ROOT = Path(__file__).parents[3]


def _site(number: int) -> list[dict[str, Any]]:
    """Gives a front end as a preview has it: 5 objects without a finding."""
    name, namespace = f"web-{number}", f"preview-pr-{number % 10}"
    text = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: {namespace}}}
data: {{DB_HOST: db.default.svc.cluster.local, DB_PORT: "5432", APP_ENV: preview, LOG_LEVEL: debug}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  replicas: 1
  strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{checksum/config: 0a1b2c3d}}}}
    spec:
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      initContainers:
        - name: copy
          image: "code:1{_DIGEST}"
          command: [sh, -c, "cp -r /app /code"]
          resources: {{requests: {{cpu: 10m, memory: 8Mi}}, limits: {{cpu: 20m, memory: 16Mi}}}}
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
          volumeMounts: [{{name: code, mountPath: /code}}]
      containers:
        - name: web
          image: "web:1{_DIGEST}"
          envFrom: [{{configMapRef: {{name: {name}}}}}]
          ports: [{{name: http, containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /, port: http}}}}
          livenessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 30}}
          resources: {{requests: {{cpu: 10m, memory: 8Mi}}, limits: {{cpu: 20m, memory: 16Mi}}}}
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
          volumeMounts: [{{name: code, mountPath: /code}}]
      volumes: [{{name: code, emptyDir: {{}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hostnames: [{name}.pr.example.org]
  parentRefs: [{{name: gateway, namespace: gateway, sectionName: https}}]
  rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  podSelector: {{matchLabels: {{app: {name}}}}}
  policyTypes: [Ingress]
  ingress:
    - from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: gateway}}}}}}]
      ports: [{{port: http}}]
"""
    return [dict(source.data) for source in load_text(text, "site.yaml")]


_BASE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway, namespace: gateway}
spec:
  listeners:
    - {name: https, port: 443, protocol: HTTPS, hostname: "*.pr.example.org", allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {ports: [{port: 5432}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: preview-pr-1}
spec: {hard: {requests.cpu: 1000, limits.memory: 1000Gi, pods: 1000}}
"""
_CONTEXT = Context(
    environment="production", namespace="default", base=[source.data for source in load_text(_BASE, "base.yaml")]
)


def test_a_thousand_objects_are_checked_in_half_a_second() -> None:
    objects = [item for number in range(200) for item in _site(number)]
    check(objects[:5], _CONTEXT)
    times = []
    for _ in range(3):
        start = time.process_time()
        report = check(objects, _CONTEXT)
        times.append(time.process_time() - start)
    assert len(objects) == 1000
    assert report.findings == ()
    assert min(times) < 0.5


def test_a_silenced_finding_is_listed_with_its_reason() -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a",
            "annotations": {"deploy.aphiria.com/silence.host-access": " it reads the node's logs "},
        },
        "spec": {"hostNetwork": True, "hostPID": True, "containers": []},
    }
    report = check([pod])
    assert [one.finding.path for one in report.silenced] == ["spec.hostNetwork", "spec.hostPID"]
    assert {one.reason for one in report.silenced} == {"it reads the node's logs"}
    assert not [one for one in report.findings if one.rule == "host-access"]
    pod["metadata"]["annotations"] = {"deploy.aphiria.com/silence.host-access": ""}
    rules = [one.rule for one in check([pod]).errors]
    assert rules.count("host-access") == 2
    assert "silence-needs-reason" in rules


def test_a_silence_is_for_its_own_object_and_rule_alone() -> None:
    def pod(name: str, silent: str) -> dict[str, Any]:
        metadata = {"name": name, "annotations": {f"deploy.aphiria.com/silence.{silent}": "why"}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"hostPID": True, "containers": []}}

    report = check([pod("a", "host-access"), pod("b", "privileged")])
    assert [one.name for one in report.findings if one.rule == "host-access"] == ["b"]


def test_findings_are_in_the_order_of_the_objects_and_errors_are_told_from_warnings() -> None:
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "x"}], "hostPID": True},
        }
        for name in "ba"
    ]
    report = check(objects)
    assert [one.name for one in report.findings] == sorted((one.name for one in report.findings), reverse=True)
    assert {one.rule for one in report.errors} == {"host-access"}
    assert {one.severity for one in report.findings} == {Severity.ERROR, Severity.WARNING}


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'staging', expected one of local, preview-base, preview, production"):
        Context(environment="staging")


def test_the_checks_load_no_jsii_and_nothing_else_of_the_library() -> None:
    script = (
        "import sys; from constructs_lib.checks import check, all_rules; all_rules(); check([])\n"
        "wrong = [n for n in sys.modules if n.split('.')[0] in ('jsii', 'cdk8s', 'constructs', 'msgspec', 'imports')"
        " or n.startswith('constructs_lib.') and not n.startswith('constructs_lib.checks')]\n"
        "sys.exit(' '.join(wrong) or None)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


_FILES = sorted(CASES.rglob("*.yaml"))
_junk: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", "$(X)", 0, -1, 1.5, True, [], {}, [None], [{}], {"a": None}, {"name": ["x"]}, [["x"]]]
)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in entries for place in ((*path, key), *_places(value, (*path, key)))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_FILES), st.data())
def test_no_manifest_makes_a_rule_fall_over(file: Path, data: st.DataObject) -> None:
    case = read(file)
    objects = copy.deepcopy(case.objects)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(objects)
        *path, last = data.draw(st.sampled_from(places))
        inner: Any = objects
        for key in path:
            inner = inner[key]
        inner[last] = copy.deepcopy(data.draw(_junk))
    for environment in (case.context.environment, None):
        context = Context(
            environment=environment,
            namespace=case.context.namespace,
            base=case.context.base,
            secrets=case.context.secrets,
            contract=case.context.contract,
        )
        for finding in check([one for one in objects if isinstance(one, dict)], context).findings:
            assert finding.rule in all_rules()
            assert finding.message
            assert finding.hint


def test_a_source_is_where_the_finding_points() -> None:
    report = check([Source({"apiVersion": "v1", "kind": "Pod", "spec": {"hostPID": True}}, "a.yaml", (0, None), 7)])
    assert {(one.file, one.line) for one in report.findings} == {("a.yaml", 7)}
