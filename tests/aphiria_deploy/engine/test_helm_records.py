"""What Helm remembers of its releases: which objects they made, and no more than that."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from aphiria_deploy.engine.helm_records import HelmRecordError, is_record, releases
from aphiria_deploy.kube import Kind, Ref

_MANIFEST = """---
# Source: site/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
# Source: site/templates/empty.yaml
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: other}}
- {apiVersion: v1, kind: Namespace, metadata: {name: made}}
"""
_HOOK = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"
_DOCUMENT = {"name": "site", "manifest": _MANIFEST, "hooks": [{"manifest": _HOOK}], "config": {"password": "hidden"}}


def _record(version: int = 1, *, kind: str = "Secret", name: str = "site", document: Any = _DOCUMENT) -> dict[str, Any]:
    content = base64.b64encode(gzip.compress(json.dumps(document).encode()))
    data = (base64.b64encode(content) if kind == "Secret" else content).decode()
    metadata = {"name": f"sh.helm.release.v1.{name}.v{version}", "namespace": "shop"}
    metadata["labels"] = {"owner": "helm", "name": name, "version": str(version)}  # type: ignore[assignment]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {"release": data}}


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_a_release_names_what_it_made_hooks_and_lists_too(kind: str) -> None:
    [release] = releases([_record(kind=kind)])
    assert (release.namespace, release.name, str(release)) == ("shop", "site", "the Helm release shop/site")
    assert release.made == {
        Ref(Kind("apps/v1", "Deployment"), "web"),
        Ref(Kind("v1", "Service"), "web", "other"),
        Ref(Kind("v1", "Namespace"), "made"),
        Ref(Kind("batch/v1", "Job"), "migrate"),
    }


def test_all_revisions_of_a_release_count_and_go() -> None:
    former = {"manifest": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: former}\n", "hooks": None}
    found = releases([_record(2), _record(1, document=former), _record(name="other", document={})])
    assert [release.name for release in found] == ["other", "site"]
    site = found[1]
    assert [record["metadata"]["name"] for record in site.records] == [
        "sh.helm.release.v1.site.v1",
        "sh.helm.release.v1.site.v2",
    ]
    assert Ref(Kind("v1", "ConfigMap"), "former") in site.made
    assert len(site.made) == 5


def test_no_value_of_a_release_is_kept() -> None:
    record = _record()
    [release] = releases([record])
    assert [set(one) for one in release.records] == [{"apiVersion", "kind", "metadata"}]
    assert "hidden" not in repr(release)


def test_one_that_was_never_compressed_is_read() -> None:
    record = _record()
    record["data"]["release"] = base64.b64encode(base64.b64encode(json.dumps(_DOCUMENT).encode())).decode()
    assert releases([record])[0].made == releases([_record()])[0].made


def test_what_others_label_alike_is_no_record() -> None:
    other = _record()
    other["metadata"]["labels"] = {"owner": "helm"}
    pod = _record() | {"kind": "Pod"}
    mine = _record()
    mine["metadata"]["labels"]["owner"] = "me"
    assert [is_record(one) for one in (_record(), other, pod, mine)] == [True, False, False, False]
    assert releases([other, pod, mine]) == []


def _cut(record: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    return record | {"data": data}


_GZIPPED = base64.b64encode(base64.b64encode(gzip.compress(b"{}")[:-9])).decode()


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(_cut(_record(), {}), id="without-a-release"),
        pytest.param(_cut(_record(), {"release": "%"}), id="not-encoded"),
        pytest.param(_cut(_record(), {"release": _GZIPPED}), id="cut"),
        pytest.param(_record(document=["manifest"]), id="no-object"),
        pytest.param(_record(document={"manifest": "a: [hidden"}), id="no-yaml"),
        pytest.param(_record(document={"manifest": "hidden"}), id="no-manifest"),
        pytest.param(_record(document={"manifest": "kind: Service"}), id="no-name"),
    ],
)
def test_one_that_cannot_be_read_is_named_and_shows_nothing(record: Any) -> None:
    with pytest.raises(
        HelmRecordError, match=r"Secret shop/sh\.helm\.release\.v1\.site\.v1: found no release"
    ) as caught:
        releases([record])
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
