"""Releases: what is recorded is read back, and nothing that went wrong is in the way of the next one."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from aphiria_deploy.bundle import Bundle, Contract, Environment, EnvironmentKind, ManifestFile
from aphiria_deploy.engine import releases
from aphiria_deploy.engine.releases import Release, ReleaseError, Result
from apps import site

STARTED = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def _bundle(*manifests: dict[str, Any]) -> Bundle:
    return Bundle(
        site="example.com",
        environment=Environment(
            name="pr-7", kind=EnvironmentKind.PREVIEW, namespace="preview-pr-7", number=7, stack="preview-base"
        ),
        files=[ManifestFile(name="10-base", manifests=list(manifests))],
        images={},
        secrets=[],
        base=[],
        urls={},
        checks=[],
        outputs={},
        contract=Contract(),
    )


def _release(revision: int, result: Result = Result.DEPLOYED, **more: Any) -> Release:
    bundle = more.pop("bundle", None) or _bundle()
    return Release(
        revision=revision, result=result, bundle=bundle, started=STARTED, author="ann@laptop", tool="1.0", **more
    )


def test_what_is_recorded_is_read_back() -> None:
    release = _release(3, commit="a" * 40, rollback_of=1, secrets={"preview-pr-7/env-var-secrets": 2}, jobs=["0" * 64])

    assert releases.read(releases.record(release, "aphiria-deploy")) == release


@pytest.mark.parametrize("environment", site.environments)
def test_every_environment_of_the_site_can_be_recorded(environment: str) -> None:
    release = _release(1, bundle=site.bundle(environment, {}))

    secret = releases.record(release, "aphiria-deploy")

    assert releases.read(secret).bundle == release.bundle
    assert len(secret["data"]["release"]) < releases.LARGEST / 20


def test_a_record_is_found_by_its_labels_and_is_the_same_each_time() -> None:
    release = _release(3, Result.FAILED)
    secret = releases.record(release, "aphiria-deploy")

    assert secret["metadata"] == {
        "name": "release.pr-7.v3",
        "namespace": "aphiria-deploy",
        "labels": {
            "deploy.aphiria.com/environment": "pr-7",
            "deploy.aphiria.com/site": "example.com",
            "deploy.aphiria.com/revision": "3",
            "deploy.aphiria.com/result": "failed",
        },
        "annotations": {"deploy.aphiria.com/bundle": release.bundle.hash},
    }
    assert secret == releases.record(_release(3, Result.FAILED), "aphiria-deploy")


def test_a_release_that_a_secret_cannot_hold_is_refused() -> None:
    noise = base64.b85encode(random.Random(1).randbytes(2_000_000)).decode()
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"noise": noise}}
    with pytest.raises(ReleaseError, match=r"release 1 of pr-7: found [0-9,]+ bytes, expected at most 1,048,576"):
        releases.record(_release(1, bundle=_bundle(large)), "aphiria-deploy")


def _secret(document: bytes) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "aphiria-deploy", "name": "release.pr-7.v1"},
        "data": {"release": base64.b64encode(gzip.compress(document)).decode()},
    }


def test_a_newer_versions_record_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r"release.pr-7.v1: format: found 'aphiria-deploy/release/v2', expected"):
        releases.read(_secret(b'{"format": "aphiria-deploy/release/v2"}'))


@pytest.mark.parametrize(
    "secret",
    [
        {"metadata": {"name": "x"}, "data": {}},
        {"metadata": {"name": "x"}, "data": {"release": "%%%"}},
        {"metadata": {"name": "x"}, "data": {"release": base64.b64encode(b"no gzip").decode()}},
        _secret(b"no JSON"),
        _secret(b"[]"),
    ],
)
def test_what_is_no_release_is_said(secret: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError, match="found no release"):
        releases.read(secret)


def test_a_record_that_was_changed_is_refused() -> None:
    document = json.loads(msgspec.json.encode(_release(1)))
    document["bundle"]["urls"] = {"web": "https://elsewhere.example"}

    with pytest.raises(ReleaseError, match="it was changed after it was made"):
        releases.read(_secret(json.dumps(document).encode()))


def test_the_newest_deployed_release_runs_whatever_failed_or_died_after_it() -> None:
    history = [_release(1), _release(2), _release(3, Result.FAILED), _release(4, Result.PENDING)]

    assert releases.current(history) == history[1]
    assert releases.next_revision(history) == 5


def test_a_first_install_that_failed_is_in_nobodys_way() -> None:
    history = [_release(1, Result.FAILED)]

    assert releases.current(history) is None
    assert releases.next_revision(history) == 2
    assert releases.next_revision([]) == 1


def test_ten_are_kept_and_always_the_one_that_runs() -> None:
    history = [_release(1), *(_release(number, Result.FAILED) for number in range(2, 14))]

    assert [release.revision for release in releases.superfluous(history)] == [2, 3]
    assert releases.superfluous(history[:10]) == []
