"""What is remembered of an environment, by its Secrets."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from aphiria_deploy.engine import releases
from aphiria_deploy.engine.applyset import Parent
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.releases import KEPT, Release, ReleaseError, Result
from aphiria_deploy.engine.state import State, age, parent_manifest, parent_name, read_summary, remembered
from aphiria_deploy.kube import Client, Deadline, Ref
from aphiria_deploy.secrets import SecretRef
from tests.aphiria_deploy.samples import make_bundle

STARTED = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def _record(revision: int, result: Result = Result.DEPLOYED, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"bundle": make_bundle(), "started": STARTED, "author": "ann", "tool": "1"} | more
    return _live(releases.record(Release(revision=revision, result=result, **given), NAMESPACE))


def _live(manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["metadata"]["uid"] = f"uid of {manifest['metadata']['name']}"
    return manifest


def _parent() -> dict[str, Any]:
    return _live(Parent(name=parent_name("pr-7"), namespace=NAMESPACE).manifest("1"))


class _Client:
    """Remembers what it was told to delete."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def delete(self, ref: Ref, _deadline: Deadline, *, uid: str, propagation: str) -> None:
        assert uid == f"uid of {ref.name}"
        assert propagation == "Background"
        self.deleted.append(ref.name)


def _state(client: _Client) -> State:
    return State(cast("Client", client))


def test_releases_come_the_newest_first_by_number_and_strangers_are_left_alone() -> None:
    stranger = {"metadata": {"name": "stranger"}, "type": "Opaque"}
    known = remembered("pr-7", [_record(9), stranger, _parent(), _record(10, Result.FAILED), _record(2)])
    assert [header.revision for header in known.headers] == [10, 9, 2]
    assert known.parent
    assert known.next_revision == 11
    assert (known.newest.revision, known.current.revision) == (10, 9)  # type: ignore[union-attr]


def test_nothing_is_remembered_of_what_was_never_there() -> None:
    known = remembered("pr-7", [])
    assert (known.newest, known.current, known.next_revision) == (None, None, 1)
    assert known.bundles_since_current() == []
    assert known.secret_versions == {}
    assert known.as_parent() == Parent(name="applyset.pr-7", namespace=NAMESPACE)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([Result.DEPLOYED], [1]),
        ([Result.DEPLOYED, Result.DEPLOYED], [2]),
        ([Result.DEPLOYED, Result.FAILED, Result.PENDING], [1, 3, 2]),
        ([Result.FAILED, Result.PENDING], [2, 1]),
        ([Result.FAILED, Result.DEPLOYED, Result.FAILED], [2, 3]),
    ],
)
def test_what_may_be_there_is_of_the_release_that_runs_and_those_after_it(
    results: list[Result], expected: list[int]
) -> None:
    known = remembered("pr-7", [_record(number, result) for number, result in enumerate(results, 1)])
    assert [release.revision for release in known.bundles_since_current()] == expected


def test_a_record_without_its_labels_is_read_and_one_that_is_none_is_told() -> None:
    record = _record(3, Result.FAILED)
    record["metadata"]["labels"] = {}
    assert remembered("pr-7", [record]).headers[0].result is Result.FAILED
    del record["data"]
    with pytest.raises(ReleaseError, match="found no release"):
        remembered("pr-7", [record])


def test_a_record_of_a_newer_type_is_one_too_so_that_it_is_refused() -> None:
    record = _record(3) | {"type": "deploy.aphiria.com/release.v2", "data": {}}
    with pytest.raises(ReleaseError):
        assert remembered("pr-7", [record]).newest


def test_the_versions_of_secrets_are_those_of_the_newest_release() -> None:
    known = remembered(
        "pr-7", [_record(1, secrets={"a/s": 1}), _record(2, Result.FAILED, secrets={"a/s": 2, "b/t": 1})]
    )
    assert known.secret_versions == {SecretRef("a", "s"): 2, SecretRef("b", "t"): 1}


@pytest.mark.parametrize("running", [None, 1, 2, 5, KEPT + 3])
def test_the_newest_are_kept_and_always_the_one_that_runs(running: int | None) -> None:
    client = _Client()
    results = [Result.DEPLOYED if number == running else Result.FAILED for number in range(1, KEPT + 4)]
    known = remembered("pr-7", [_record(number, result) for number, result in enumerate(results, 1)])
    _state(client).prune(known, Deadline.after(5))
    gone = {number for number in (1, 2, 3) if number != running}
    assert set(client.deleted) == {f"release.pr-7.v{number}" for number in gone}


def test_a_release_is_had_by_its_number() -> None:
    known = remembered("pr-7", [_record(1), _record(2, Result.FAILED), _record(3)])
    found = known.release(2)
    assert found
    assert (found.revision, found.result) == (2, Result.FAILED)
    assert known.release(4) is None


def test_the_parent_is_the_one_that_is_there() -> None:
    parent = Parent(name=parent_name("pr-7"), namespace=NAMESPACE, namespaces=frozenset({"shop"}))
    known = remembered("pr-7", [_live(parent.manifest("1"))])
    assert known.as_parent() == parent
    other = _live(Parent(name="applyset.pr-8", namespace=NAMESPACE).manifest("1"))
    assert remembered("pr-7", [other]).parent is None


def test_where_nothing_but_releases_is_remembered_they_are_forgotten() -> None:
    client = _Client()
    _state(client).forget(remembered("pr-7", [_record(1)]), Deadline.after(5))
    assert client.deleted == ["release.pr-7.v1"]


def test_what_is_forgotten_goes_the_newest_release_last() -> None:
    client = _Client()
    refs = _state(client).forget(remembered("pr-7", [_record(2), _parent(), _record(1)]), Deadline.after(5))
    assert client.deleted == ["applyset.pr-7", "release.pr-7.v1", "release.pr-7.v2"]
    assert [ref.name for ref in refs] == client.deleted


def test_a_list_of_environments_is_told_by_their_parents_alone() -> None:
    release = releases.read(_record(4, commit="c"))
    manifest = parent_manifest(
        Parent(name="applyset.pr-7", namespace=NAMESPACE), release, STARTED + timedelta(minutes=1)
    )
    assert manifest["metadata"]["labels"]["deploy.aphiria.com/environment"] == "pr-7"
    told = read_summary(manifest)
    assert (told["revision"], told["result"], told["commit"]) == (4, "deployed", "c")
    assert told["finished"] == "2026-11-23T12:31:00+00:00"
    assert age(told, STARTED + timedelta(hours=1)) == 3600
    assert age({}, STARTED) is None
    assert read_summary(parent_manifest(Parent(name="p", namespace="n"), release))["finished"] is None


@pytest.mark.parametrize("written", [None, "", "{", "[]", "1"])
def test_a_summary_that_cannot_be_read_tells_nothing(written: str | None) -> None:
    annotations = {} if written is None else {"deploy.aphiria.com/summary": written}
    assert read_summary({"metadata": {"annotations": annotations}}) == {}


def test_parents_are_read_in_whatever_order_they_come() -> None:
    for records in itertools.permutations([_record(1), _record(2), _parent()]):
        known = remembered("pr-7", records)
        assert ([header.revision for header in known.headers], known.parent is None) == ([2, 1], False)
