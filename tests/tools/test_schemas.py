"""The schemas that the checks carry are what the generator writes."""

from __future__ import annotations

import json

import pytest

from constructs_lib.checks.schema import Kind, Known, validate
from tools import schemas
from tools.crds import parse_crds

_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [size, color]
              properties:
                size: {type: integer, format: int32, minimum: 1}
                color: {type: string, enum: [red, blue], default: red}
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                labels: {type: object, additionalProperties: {type: string, maxLength: 3}}
                one:
                  type: object
                  properties: {a: {type: string}, b: {type: string}}
                  oneOf: [{required: [a]}, {required: [b]}]
                maybe: {type: string, nullable: true}
                names: {type: array, maxItems: 2, items: {type: string, pattern: "^[a-z]+$"}}
    - {name: v0, served: false, storage: false, schema: {openAPIV3Schema: {type: object, properties: {}}}}
"""


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return schemas.build(parse_crds(_CRD, "things.yaml"))


def _problems(files: dict[str, str], spec: object) -> list[tuple[str, str]]:
    content = json.loads(files["example.com.json"])
    kind = Kind(content["kinds"]["example.com/v1/Thing"], content["definitions"], cluster=False)
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a", "labels": {}}, "spec": spec}
    return [(problem.path, problem.message) for problem in validate(thing, kind)]


def test_the_same_input_gives_the_same_bytes(files: dict[str, str]) -> None:
    assert schemas.build(parse_crds(_CRD, "things.yaml")) == files


def test_the_carried_schemas_of_kubernetes_are_the_generators(files: dict[str, str]) -> None:
    assert (schemas.TARGET / "core.json").read_text() == files["core.json"], "run: make imports"


def test_only_served_versions_are_known(files: dict[str, str]) -> None:
    assert list(json.loads(files["example.com.json"])["kinds"]) == ["example.com/v1/Thing"]


def test_a_valid_object_has_no_problem(files: dict[str, str]) -> None:
    spec = {
        "size": 1,
        "port": "http",
        "free": {"x": {"y": 1}},
        "labels": {"a": "b"},
        "one": {"a": "x"},
        "maybe": None,
        "names": ["a", "b"],
        "color": None,
    }
    assert _problems(files, spec) == []


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({}, "spec", "size is missing"),
        ({"size": 0}, "spec.size", "found 0, expected at least 1"),
        ({"size": 2**31}, "spec.size", "expected a whole number of 32 bits"),
        ({"size": "1"}, "spec.size", 'found "1", expected a whole number'),
        ({"size": 1, "colour": "red"}, "spec.colour", "colour is not a field of spec"),
        ({"size": 1, "color": "green"}, "spec.color", "expected one of red, blue"),
        ({"size": 1, "port": True}, "spec.port", "expected a whole number or a string"),
        ({"size": 1, "labels": {"a": "long"}}, "spec.labels.a", "at most 3 characters"),
        ({"size": 1, "one": {}}, "spec.one", "expected exactly one of a; b"),
        ({"size": 1, "one": {"a": "", "b": ""}}, "spec.one", "expected exactly one of a; b"),
        ({"size": 1, "names": ["a", "b", "c"]}, "spec.names", "at most 2 items"),
        ({"size": 1, "names": ["a\n"]}, "spec.names[0]", "expected text that matches"),
        ({"size": 1, "names": [None]}, "spec.names[0]", "found null, expected a string"),
        ([], "spec", "found [], expected an object"),
    ],
)
def test_a_departure_is_named(files: dict[str, str], spec: object, path: str, message: str) -> None:
    ((found, said),) = _problems(files, spec)
    assert found == path
    assert message in said


def test_every_kind_of_kubernetes_is_known_with_its_scope() -> None:
    known = Known()
    assert known.kind("", "v1", "Pod")
    assert known.kind("networking.k8s.io", "v1", "NetworkPolicy")
    assert known.kind("gateway.networking.k8s.io", "v1", "HTTPRoute")
    assert known.kind("", "v2", "Pod") is None
    assert known.is_cluster_wide("", "Namespace") is True
    assert known.is_cluster_wide("cert-manager.io", "ClusterIssuer") is True
    assert known.is_cluster_wide("apps", "Deployment") is False
    assert known.is_cluster_wide("example.com", "Thing") is None
