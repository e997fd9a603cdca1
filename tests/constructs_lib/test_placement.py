"""Where objects live, what they belong to, and what they wait for."""

from __future__ import annotations

import re

import pytest

from constructs_lib import InvalidValueError, ObjectRef, Placement
from constructs_lib.order import depends_on


def test_an_object_says_what_it_is_and_what_it_belongs_to() -> None:
    placement = Placement(namespace="shop", part_of="shop.example", instance="pr-7", labels={"team": "a"})

    assert placement.metadata("web-config", app="web", component="frontend", annotations={"note": "x"}) == {
        "name": "web-config",
        "namespace": "shop",
        "labels": {
            "app": "web",
            "app.kubernetes.io/name": "web",
            "app.kubernetes.io/component": "frontend",
            "app.kubernetes.io/instance": "pr-7",
            "app.kubernetes.io/part-of": "shop.example",
            "app.kubernetes.io/managed-by": "aphiria-deploy",
            "team": "a",
        },
        "annotations": {"note": "x"},
    }


def test_an_object_of_the_whole_cluster_has_no_namespace_and_nothing_empty() -> None:
    placement = Placement(namespace="shop", part_of="shop.example", instance="pr-7")

    metadata = placement.metadata("shop", app="namespace", component="environment", namespaced=False)

    assert metadata.keys() == {"name", "labels"}


@pytest.mark.parametrize("value", ["", "a", "A.b_c-1", "a" * 63])
def test_every_value_of_a_label_is_taken(value: str) -> None:
    placement = Placement(namespace="shop", part_of=value, instance=value, labels={"example.com/team": value})

    assert placement.object_labels("web", "frontend")["example.com/team"] == value


@pytest.mark.parametrize("value", ["a" * 64, "-a", "a-", "a b", "a/b", "ä", "a\n"])
@pytest.mark.parametrize("where", ["part-of", "instance", "team"])
def test_what_is_no_value_of_a_label_is_refused(value: str, where: str) -> None:
    given = {"part-of": "a", "instance": "b", "team": "c"} | {where: value}

    with pytest.raises(InvalidValueError, match=re.escape(f"label {where}: found {value!r}, expected at most 63")):
        Placement(
            namespace="shop", part_of=given["part-of"], instance=given["instance"], labels={"team": given["team"]}
        )


@pytest.mark.parametrize("key", ["", "a b", "-a", "a" * 64, "a/b/c", "Example.com/a", "/a", "a/"])
def test_what_is_no_name_of_a_label_is_refused(key: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(f"label: found {key!r}, expected [prefix/]name")):
        Placement(namespace="shop", part_of="a", instance="b", labels={key: "c"})


@pytest.mark.parametrize("key", ["app", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"])
def test_the_librarys_own_labels_stay_its_own(key: str) -> None:
    with pytest.raises(InvalidValueError, match=f"label: found '{key}', expected one that the library does not set"):
        Placement(namespace="shop", part_of="a", instance="b", labels={key: "c"})


@pytest.mark.parametrize("namespace", ["", "Shop", "a.b", "a" * 64])
def test_what_is_no_namespace_is_refused(namespace: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(f"name: found {namespace!r}")):
        Placement(namespace=namespace, part_of="a", instance="b")


def test_what_comes_first_is_written_as_kpt_reads_it() -> None:
    job = ObjectRef(group="batch", kind="Job", namespace="shop", name="migration")
    namespace = ObjectRef(group="", kind="Namespace", namespace="", name="shop")

    assert depends_on([job, namespace]) == {
        "config.kubernetes.io/depends-on": "batch/namespaces/shop/Job/migration,/Namespace/shop"
    }


def test_what_waits_for_nothing_says_nothing() -> None:
    assert depends_on([]) == {}
