import copy
import re
from pathlib import Path

import pytest

from tests.tools.crd import Json, crd
from tools.crds import CrdError
from tools.reduction import Use, load_table, prune, reduce_crd, strip_prose

STRING: Json = {"type": "string"}

SPEC: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 63, "description": "Its name."},
        "description": {"type": "string", "description": "A field of that name."},
        "listeners": {
            "type": "array",
            "minItems": 1,
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["port"],
                "properties": {"name": STRING, "port": {"type": "integer"}, "tls": STRING},
            },
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"a": STRING, "b": STRING}},
        },
        "address": {
            "type": "object",
            "oneOf": [{"required": ["ip"], "description": "prose"}, {"required": ["host"]}],
            "properties": {"ip": STRING, "host": STRING},
        },
    },
}


def pruned(*keep: str) -> Json:
    return prune(copy.deepcopy(SPEC), keep, "widgets v1")


def refusal(*keep: str) -> str:
    with pytest.raises(CrdError) as caught:
        pruned(*keep)
    return str(caught.value)


def test_prose_goes_and_a_field_named_description_stays() -> None:
    stripped = strip_prose(SPEC)

    assert stripped["properties"]["description"] == {"type": "string"}
    assert stripped["properties"]["name"] == {"type": "string", "maxLength": 63}
    assert stripped["properties"]["address"]["oneOf"] == [{"required": ["ip"]}, {"required": ["host"]}]


def test_prose_goes_below_lists_maps_and_alternatives() -> None:
    prose = {"type": "string", "description": "x", "title": "x", "example": "x", "externalDocs": {}}
    schema = {"items": prose, "additionalProperties": prose, "not": prose, "anyOf": [prose], "allOf": [prose]}

    bare = {"type": "string"}
    expected = {"items": bare, "additionalProperties": bare, "not": bare, "anyOf": [bare], "allOf": [bare]}
    assert strip_prose(schema) == expected


def test_data_that_looks_like_prose_stays() -> None:
    schema = {
        "default": {"description": "a value"},
        "enum": ["description"],
        "required": ["description"],
        "additionalProperties": True,
    }

    assert strip_prose(schema) == schema


def test_what_is_kept_is_exact() -> None:
    schema = pruned("name", "listeners[].name", "listeners[].port")

    assert schema == {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": SPEC["properties"]["name"],
            "listeners": {
                "type": "array",
                "minItems": 1,
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["port"],
                    "properties": {"name": STRING, "port": {"type": "integer"}},
                },
            },
        },
    }


def test_a_path_keeps_all_that_is_below_it() -> None:
    assert pruned("name", "listeners")["properties"]["listeners"] == SPEC["properties"]["listeners"]


def test_values_of_maps_can_be_pruned() -> None:
    labels = pruned("name", "labels{}.a")["properties"]["labels"]

    assert labels["additionalProperties"]["properties"] == {"a": STRING}


def test_the_order_of_the_table_changes_nothing() -> None:
    assert list(pruned("listeners", "name")["properties"]) == ["name", "listeners"]


def test_pruning_leaves_its_input_alone() -> None:
    schema = copy.deepcopy(SPEC)

    prune(schema, ["name"], "widgets v1")

    assert schema == SPEC


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (
            ("name", "listener"),
            "widgets v1: listener: no such field, but address, description, labels, listeners, name; "
            "correct the table.",
        ),
        (
            ("name", "listeners[].port", "listeners[].name", "listeners[].hostname"),
            "widgets v1: listeners[].hostname: no such field, but name, port, tls; correct the table.",
        ),
        (
            ("name", "listeners.port"),
            "widgets v1: listeners.port: no such field, but items, written []; correct the table.",
        ),
        (
            ("name", "labels.a"),
            "widgets v1: labels.a: no such field, but values, written {}; correct the table.",
        ),
        (
            ("name.first",),
            "widgets v1: name.first: no such field, but a value of type string; correct the table.",
        ),
        (
            ("name[]",),
            "widgets v1: name[]: found no list, but a value of type string; correct the table.",
        ),
        (
            ("name", "listeners{}"),
            "widgets v1: listeners{}: found no map, but items, written []; correct the table.",
        ),
        (("description",), "widgets v1: name: the CRD requires it; add it to what is kept."),
        (
            ("name", "listeners[].name"),
            "widgets v1: listeners[].port: the CRD requires it; add it to what is kept.",
        ),
        (
            ("name", "listeners[].port"),
            "widgets v1: listeners[].name: the CRD merges the list by it; add it to what is kept.",
        ),
        (
            ("name", "address.ip"),
            "widgets v1: address: found oneOf, which judges the whole of it; keep it whole.",
        ),
        (
            ("name", "listeners", "listeners[].port"),
            "widgets v1: listeners[].port: another path keeps it already; take one of them out.",
        ),
        (("name", "name"), "widgets v1: name: another path keeps it already; take one of them out."),
        (
            ("name", "listeners[].port", "listeners"),
            "widgets v1: listeners: other paths keep parts of it; take them, or it, out.",
        ),
        (("name", ".spec"), "widgets v1: found the path '.spec'; expected one like 'spec.rules[].name'."),
        (("name", "a[0]"), "widgets v1: found the path 'a[0]'; expected one like 'spec.rules[].name'."),
    ],
)
def test_a_table_that_does_not_fit_the_crd_is_refused(keep: tuple[str, ...], message: str) -> None:
    assert refusal(*keep) == message


def test_a_reduced_crd_has_one_version_and_no_status() -> None:
    use = Use("widgets.example.test", "widgets", "v1", ("spec.name",))

    reduced = reduce_crd(crd(SPEC), use)

    assert reduced["metadata"] == {"name": "widgets.example.test"}
    (version,) = reduced["spec"].pop("versions")
    assert reduced["spec"] == {
        "group": "example.test",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
        "scope": "Namespaced",
    }
    assert version["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": STRING,
            "kind": STRING,
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "maxLength": 63}},
            },
        },
    }


def test_a_reduced_crd_needs_a_usable_version() -> None:
    with pytest.raises(CrdError, match=r"widgets\.example\.test: found versions v1; expected v2, served and"):
        reduce_crd(crd(SPEC), Use("widgets.example.test", "widgets", "v2", ("spec",)))


def test_the_table_is_read_in_its_order(tmp_path: Path) -> None:
    table = tmp_path / "crds.yaml"
    table.write_text(
        "b.test: {project: p, version: v1, keep: [spec]}\na.test: {project: q, version: v2, keep: [spec.x]}\n"
    )

    assert load_table(table) == [Use("b.test", "p", "v1", ("spec",)), Use("a.test", "q", "v2", ("spec.x",))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "crds.yaml: found []; expected entries, each by the name of a CRD."),
        ("a.test: {version: v1}", "crds.yaml: a.test: found version; expected project, version and keep."),
        ("a.test: v1", "crds.yaml: a.test: found 'v1'; expected project, version and keep."),
        ("a.test: {project: p, version: 1, keep: [a]}", "a.test: found 'p' and 1; expected a project's name"),
        (
            "a.test: {project: p, version: v1, keep: spec}",
            "a.test: keep: found 'spec'; expected a list of path",
        ),
        ("a.test: {project: p, version: v1, keep: []}", "a.test: keep: found []; expected a list of paths."),
        ("a: [", "crds.yaml: found while parsing"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "crds.yaml"
    table.write_text(text)

    with pytest.raises(CrdError, match=re.escape(message)):
        load_table(table)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrdError, match=r"crds\.yaml: found .*No such file"):
        load_table(tmp_path / "crds.yaml")
