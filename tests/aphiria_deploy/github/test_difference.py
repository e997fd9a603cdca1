"""The plan that a reviewer sees, and what a preview does not tell of production."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.github.difference import Kind, difference, fields
from aphiria_deploy.github.production import departures
from tests.aphiria_deploy.github.bundles import changed, manifest, preview, production

Data = dict[str, Any]


def changes(before: Any, after: Any) -> list[str]:
    return [f"{one.path}: {' '.join(f'{line.sign}{line.text}' for line in one.lines)}" for one in fields(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: -1 +2"]),
        ({"a": 1}, {}, ["a: -1"]),
        ({}, {"a": {"b": 1}}, ['a: +{"b": 1}']),
        ({"a": True}, {"a": 1}, ["a: -true +1"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["a[1]: -2 +3", "a[2]: +4"]),
        (
            {"c": [{"name": "web", "image": "a"}, {"name": "php", "image": "b"}]},
            {"c": [{"name": "php", "image": "b"}, {"name": "web", "image": "c"}]},
            ['c: -in the order ["web", "php"] +["php", "web"]', "c[web].image: -a +c"],
        ),
        ({"c": [{"name": "x"}, {"name": "x"}]}, {"c": [{"name": "x"}]}, ['c[1]: -{"name": "x"}']),
        ({"t": "one\ntwo\nthree\n"}, {"t": "one\n2\nthree\n"}, ["t:  one -two +2  three"]),
        ({"t": ""}, {"t": "x"}, ['t: -"" +x']),
    ],
)
def test_a_field_says_what_it_was_and_what_it_will_be(before: Any, after: Any, expected: list[str]) -> None:
    assert changes(before, after) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_what_differs_is_always_told(before: Any, after: Any) -> None:
    assert bool(list(fields(before, after))) == (not _same(before, after))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def test_a_first_deploy_creates_everything() -> None:
    found = difference(None, preview())

    assert found.count(Kind.CREATED) == len(found.items) > 20
    assert "compared with nothing" in found.summary()
    assert "+ Namespace preview-pr-107" in found.lines()


def test_the_same_again_changes_nothing() -> None:
    found = difference(preview(), preview())

    assert found.items == ()
    assert found.summary() == f"0 to create, 0 to change, 0 to delete, {found.unchanged} unchanged"


def test_it_says_what_is_created_changed_and_deleted() -> None:
    def change(data: Data) -> None:
        manifest(data, "Deployment", "web")["spec"]["replicas"] = 2
        data["files"][2]["manifests"].remove(manifest(data, "Service", "web"))
        data["secrets"].append({"namespace": "preview-pr-107", "name": "mine", "keys": {"k": {"from": "generated"}}})
        data["checks"].pop()

    found = difference(preview(), changed(preview(), change))
    lines = list(found.lines())

    assert found.summary().startswith("1 to create, 1 to change, 2 to delete")
    assert "! Deployment preview-pr-107/web" in lines
    assert "    spec.replicas" in lines
    assert "+     2" in lines
    assert "- Service preview-pr-107/web" in lines
    assert "+ Secret preview-pr-107/mine, made of" in lines
    assert any(line.startswith("- check after the deploy") for line in lines)


def test_what_is_there_twice_is_told_twice() -> None:
    def twice(data: Data) -> None:
        data["files"][2]["manifests"].append(manifest(data, "Service", "web"))

    found = difference(preview(), changed(preview(), twice))

    assert [item.title for item in found.items] == ["Service preview-pr-107/web (2)"]


@pytest.mark.parametrize("odd", [{}, {"kind": 7}, {"metadata": "x"}, {"apiVersion": "v1", "kind": "X", "metadata": {}}])
def test_what_is_no_object_is_told_all_the_same(odd: Data) -> None:
    found = difference(preview(), changed(preview(), lambda data: data["files"][0]["manifests"].append(odd)))

    assert "something that is no object" in found.items[0].title


# Production


def test_a_preview_says_how_it_differs_from_production() -> None:
    found = {one.what: (one.preview, one.production) for one in departures(preview(), production())}

    assert found["Deployment web: replicas"] == ("1", "2")
    assert found["Deployment api: replicas"] == ("1", "2")
    assert found["Deployment db"] == ("shared by all previews", "its own")
    assert found["CronJob db-backup"] == ("—", "its own")
    assert found["PodDisruptionBudget web"] == ("—", "its own")
    assert found["ResourceQuota preview-quota"] == ("its own", "—")
    assert found["integration: backupAccessKeyId"] == ("no", "yes")
    assert found["integration: postgresqlAdminPassword"] == ("no", "yes")
    assert found["setting APP_ENV"] == ("preview", "production")
    assert found["setting LOG_LEVEL"] == ("debug", "warning")
    assert not any("integration: ghcr" in what for what in found)


def test_other_limits_are_told() -> None:
    def change(data: Data) -> None:
        web = manifest(data, "Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
        web["resources"]["limits"] = {"cpu": "100m", "memory": "64Mi"}

    found = {one.what: one.preview for one in departures(changed(preview(), change), production())}

    assert found["Deployment web: web limits"] == "100m / 64Mi"
