"""Jobs are named after what they run: the same input is a no-op, another input is another Job."""

from __future__ import annotations

import re
from typing import Any

import pytest

from constructs_lib import InvalidValueError, ObjectRef, Placement, PodOptions
from constructs_lib.checksum import checksum
from constructs_lib.job import JobClass, job, job_ref
from tests.constructs_lib.samples import MIGRATED, PLACEMENT
from tests.objects import Object

POD = {
    "containers": [{"name": "run", "image": "a", "command": ["b"], "args": ["c"]}, {"name": "aside", "image": "d"}],
    "initContainers": [{"name": "wait", "image": "e"}],
}


def make(**changes: Any) -> Object:
    given: dict[str, Any] = {
        "placement": PLACEMENT,
        "prefix": "work",
        "app": "work",
        "component": "database",
        "job_class": JobClass.ONCE,
        "pod": POD,
        "options": PodOptions(),
        "deadline": 300,
        "retries": 2,
    }
    given |= changes
    return job(given.pop("placement"), **given)


def test_a_job_says_what_it_runs_for_how_long_and_how_often() -> None:
    made = make(after=[MIGRATED])

    assert (made["apiVersion"], made["kind"]) == ("batch/v1", "Job")
    assert made["metadata"]["namespace"] == "shop"
    assert made["spec"] == {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 300,
        "template": {"metadata": {"labels": PLACEMENT.object_labels("work", "database")}, "spec": POD},
    }
    assert made["metadata"]["annotations"]["config.kubernetes.io/depends-on"] == (
        "batch/namespaces/shop/Job/migration-1"
    )


def test_a_finished_job_stays_with_its_log() -> None:
    assert "ttlSecondsAfterFinished" not in make()["spec"]


def test_a_jobs_name_ends_in_a_hash() -> None:
    assert re.fullmatch(r"work-[0-9a-f]{10}", make()["metadata"]["name"])


@pytest.mark.parametrize(
    "changes",
    [
        {"pod": {"containers": [{"name": "run", "image": "other"}]}},
        {"pod": POD | {"initContainers": []}},
        {"deadline": 301},
        {"retries": 3},
        {"job_class": JobClass.ENSURE},
        {"options": PodOptions(labels={"team": "a"})},
        {"options": PodOptions(annotations={"note": "a"})},
        {"placement": Placement(namespace="shop", part_of="shop.example", instance="other")},
    ],
    ids=str,
)
def test_another_input_is_another_job(changes: dict[str, Any]) -> None:
    assert make(**changes)["metadata"]["name"] != make()["metadata"]["name"]


@pytest.mark.parametrize(
    "changes",
    [
        {"pod": dict(reversed(POD.items()))},
        {"after": [ObjectRef(group="apps", kind="Deployment", namespace="data", name="db")]},
        {"placement": Placement(namespace="elsewhere", part_of="shop.example", instance="staging")},
    ],
    ids=["keys in another order", "waits for something else", "another namespace"],
)
def test_the_same_input_is_the_same_job(changes: dict[str, Any]) -> None:
    assert make(**changes)["metadata"]["name"] == make()["metadata"]["name"]


@pytest.mark.parametrize("job_class", list(JobClass))
def test_a_job_says_when_it_runs_again(job_class: JobClass) -> None:
    annotations = make(job_class=job_class)["metadata"]["annotations"]

    assert (
        annotations["deploy.aphiria.com/job-class"]
        == {"ENSURE": "ensure", "ONCE": "once", "ALWAYS": "always"}[job_class.name]
    )
    # What was done is remembered of those alone that are done once.
    assert ("deploy.aphiria.com/job-input" in annotations) == (job_class is JobClass.ONCE)


@pytest.mark.parametrize(
    ("pod", "same"),
    [
        (POD | {"initContainers": [], "restartPolicy": "Never"}, True),
        ({"containers": [{"name": "renamed", "image": "a", "command": ["b"], "args": ["c"]}, {"image": "d"}]}, True),
        ({"containers": [{"name": "run", "image": "x", "command": ["b"], "args": ["c"]}, {"image": "d"}]}, False),
        ({"containers": [{"name": "run", "image": "a", "command": ["x"], "args": ["c"]}, {"image": "d"}]}, False),
        ({"containers": [{"name": "run", "image": "a", "command": ["b"], "args": ["x"]}, {"image": "d"}]}, False),
    ],
)
def test_what_is_done_once_is_an_image_and_its_command(pod: Object, *, same: bool) -> None:
    done, other = (made["metadata"]["annotations"]["deploy.aphiria.com/job-input"] for made in (make(), make(pod=pod)))

    assert (done == other) == same


@pytest.mark.parametrize(("length", "fits"), [(52, True), (53, False)])
def test_a_name_leaves_room_for_the_hash_within_a_label(length: int, *, fits: bool) -> None:
    # The Job controller copies the name into the label `job-name`, which has 63 characters.
    if fits:
        assert len(make(prefix="a" * length)["metadata"]["name"]) == 63
    else:
        with pytest.raises(InvalidValueError, match=r"name: found 'aaa.*, expected a DNS label"):
            make(prefix="a" * length)


@pytest.mark.parametrize(("deadline", "retries"), [(0, 0), (-1, 0), (1, -1)])
def test_numbers_that_mean_nothing_are_refused(deadline: int, retries: int) -> None:
    with pytest.raises(
        InvalidValueError, match=f"Job work: found 'deadline {deadline}, retries {retries}', expected 1 or more, and 0"
    ):
        make(deadline=deadline, retries=retries)


def test_others_wait_for_a_job_by_its_name() -> None:
    made = make()

    assert str(job_ref(made)) == f"batch/namespaces/shop/Job/{made['metadata']['name']}"


def test_a_checksum_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert checksum({"a": 1, "b": ["x"]}) == checksum({"b": ["x"], "a": 1})
    assert checksum({"a": 1}) != checksum({"a": "1"})
    assert re.fullmatch("[0-9a-f]{64}", checksum({}))
