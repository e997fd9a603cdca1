from pathlib import Path

import pytest
import yaml

from tests.tools.crd import Json, crd_document
from tools.crds import Crd, CrdError, find_crd, load_crds, parse_crds

STRING: Json = {"type": "string"}


def version(name: str, *, served: bool = True, storage: bool = True) -> Json:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"x-version": name}}}}
    return {"name": name, "served": served, "storage": storage, "schema": schema}


def test_the_crds_of_a_release_are_found_among_its_other_objects() -> None:
    text = yaml.safe_dump_all([{"kind": "Namespace"}, crd_document(STRING), None])

    (crd,) = parse_crds(text, "release.yaml")

    assert (crd.name, crd.group, crd.kind) == ("widgets.example.test", "example.test", "Widget")
    assert crd.source == "release.yaml"


def test_what_is_no_yaml_is_refused() -> None:
    with pytest.raises(CrdError, match=r"^page\.html: found no YAML: "):
        parse_crds("<html>\n\t: [", "page.html")


def test_an_old_crd_is_refused() -> None:
    document = crd_document(STRING)
    document["spec"]["version"] = document["spec"].pop("versions")[0]["name"]

    with pytest.raises(CrdError, match=r"^old\.yaml: CRD number 1: found none of 'versions'; expected an api"):
        parse_crds(yaml.safe_dump(document), "old.yaml")


@pytest.mark.parametrize("versions", [[], [version("v1") | {"served": "yes"}]])
def test_a_crd_without_a_whole_version_is_refused(versions: list[Json]) -> None:
    document = crd_document(STRING)
    document["spec"]["versions"] = versions

    with pytest.raises(CrdError, match=r"CRD number 1 \(widgets\.example\.test\): found no version, or one"):
        parse_crds(yaml.safe_dump(document), "x.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrdError, match=r"absent\.yaml: found .*No such file.*; expected a file of CRDs\.$"):
        load_crds(tmp_path / "absent.yaml")


def test_the_schema_is_the_versions_own() -> None:
    crd = Crd("x", crd_document(STRING, versions=[version("v1beta1", storage=False), version("v1")]))

    assert crd.schema("v1")["properties"]["spec"] == {"x-version": "v1"}


@pytest.mark.parametrize("name", ["v1", "v1alpha1", "v2"])
def test_a_version_that_is_absent_or_not_served_or_not_stored_is_refused(name: str) -> None:
    versions = [version("v1alpha1", served=False, storage=False), version("v1", storage=False), version("v3")]
    crd = Crd("x.yaml", crd_document(STRING, versions=versions))

    with pytest.raises(CrdError) as caught:
        crd.schema(name)

    assert str(caught.value) == (
        "x.yaml: widgets.example.test: found versions v1alpha1 (not served and not stored), v1 (not stored), "
        f"v3; expected {name}, served and stored. Where the project has moved on, change the version in the "
        "table."
    )


def test_a_crd_is_found_by_its_name() -> None:
    widgets, gears = (Crd("x", crd_document(STRING, kind=kind)) for kind in ("Widget", "Gear"))

    assert find_crd([widgets, gears], "gears.example.test", "x") is gears


def test_a_crd_that_is_absent_or_there_twice_is_refused() -> None:
    widgets = Crd("x", crd_document(STRING))

    with pytest.raises(CrdError, match=r"^p 1: found widgets\.example\.test; expected one CRD gears\.e\.t\.$"):
        find_crd([widgets], "gears.e.t", "p 1")
    with pytest.raises(CrdError, match=r"^p 1: found no CRD; expected one CRD gears\.e\.t\.$"):
        find_crd([], "gears.e.t", "p 1")
    with pytest.raises(CrdError, match=r"^p 1: found it 2 times; expected one CRD widgets\.example\.test\.$"):
        find_crd([widgets, widgets], "widgets.example.test", "p 1")
