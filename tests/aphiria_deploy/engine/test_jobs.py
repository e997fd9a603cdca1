"""When a Job runs, and why."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.engine.jobs import (
    CLASS,
    IDENTITY,
    INPUT,
    RUNS_AGAIN_WITH,
    Course,
    Decision,
    JobClass,
    decide,
    decide_once,
    done_once,
    is_job,
    job_class,
    outcome,
    template_difference,
    with_identities,
)
from aphiria_deploy.engine.waves import DEPENDS_ON
from aphiria_deploy.errors import InputError
from aphiria_deploy.objects import GroupKind, ObjectKey

CLAIM = ObjectKey(GroupKind("", "PersistentVolumeClaim"), "default", "data")
REFERENCE = "/namespaces/default/PersistentVolumeClaim/data"


def _job(
    name: str = "j", *, annotations: dict[str, str] | None = None, template: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "annotations": annotations or {}}
    spec = {"template": {"metadata": {"annotations": template or {}}, "spec": {}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _status(*conditions: str, going: bool = False) -> dict[str, Any]:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {}
    said = [dict(zip(("type", "status"), one.split("="), strict=True)) for one in conditions]
    return {"metadata": metadata, "status": {"conditions": said}}


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (None, "absent"),
        ({"metadata": {}}, "running"),
        (_status(), "running"),
        (_status("Complete=True"), "complete"),
        (_status("SuccessCriteriaMet=True"), "running"),
        (_status("Complete=False"), "running"),
        (_status("Failed=True"), "failed"),
        (_status("FailureTarget=True"), "failed"),
        (_status("Suspended=True"), "running"),
        (_status("Complete=True", going=True), "going"),
    ],
)
def test_what_became_of_a_job(live: Any, expected: str) -> None:
    assert outcome(live) == expected


def test_a_job_is_one_of_its_group_alone() -> None:
    assert is_job(_job())
    assert not is_job({"apiVersion": "example.com/v1", "kind": "Job"})
    assert not is_job({"apiVersion": "batch/v1", "kind": "CronJob"})


def test_a_job_that_says_no_class_runs_once_and_one_that_is_none_is_refused() -> None:
    assert job_class(_job()) is JobClass.ONCE
    assert job_class(_job(annotations={CLASS: "always"})) is JobClass.ALWAYS
    with pytest.raises(
        InputError, match=r"Job shop/j: .*job-class.*: found 'sometimes', expected ensure, once or always"
    ):
        job_class(_job(annotations={CLASS: "sometimes"}))


@pytest.mark.parametrize(
    ("live", "wanted", "same", "course", "why"),
    [
        (None, JobClass.ENSURE, False, Course.RUN, "it has not run yet"),
        (_status("Complete=True"), JobClass.ENSURE, True, Course.LEAVE, "nothing has changed since it ran"),
        (_status("Complete=True"), JobClass.ENSURE, False, Course.RUN, "what it runs has changed"),
        (_status("Complete=True"), JobClass.ALWAYS, True, Course.RUN, "it runs on every deploy"),
        (_status(), JobClass.ENSURE, True, Course.WAIT, "it is running already"),
        (_status(), JobClass.ALWAYS, True, Course.WAIT, "it is running already"),
        (_status(), JobClass.ENSURE, False, Course.RUN, "what it runs has changed"),
        (_status("Failed=True"), JobClass.ENSURE, True, Course.RUN, "its last attempt failed"),
        (_status("Complete=True", going=True), JobClass.ENSURE, True, Course.RUN, "it is being deleted"),
    ],
)
def test_a_job_that_ensures_something_runs_where_that_is_not_sure(
    live: Any, wanted: JobClass, same: bool, course: Course, why: str
) -> None:
    assert decide(live, wanted, same_template=same) == Decision(course, why)


@pytest.mark.parametrize(
    ("live", "done", "recorded", "course"),
    [
        (None, "in", [], Course.RUN),
        (None, "in", ["in"], Course.LEAVE),
        (None, "in@server", ["in"], Course.RUN),
        (None, "in@server", ["in@other"], Course.RUN),
        (_status("Failed=True"), "in", ["in"], Course.LEAVE),
        (_status("Failed=True"), "in", [], Course.RUN),
        (_status("Complete=True"), "in", [], Course.LEAVE),
        (_status("Complete=True"), "in@server", [], Course.RUN),
        (_status(), "in@server", [], Course.WAIT),
        (_status("Complete=True", going=True), "in", [], Course.RUN),
    ],
)
def test_a_job_that_runs_once_does_so_for_an_input_and_a_server(
    live: Any, done: str, recorded: list[str], course: Course
) -> None:
    assert decide_once(live, done, recorded).course is course


def test_what_is_recorded_names_the_input_and_every_server_that_it_depends_on() -> None:
    database = _job("database", annotations={RUNS_AGAIN_WITH: REFERENCE})
    roles = _job("roles", annotations={DEPENDS_ON: "batch/namespaces/shop/Job/database"})
    migration = _job("migrate", annotations={INPUT: "in", DEPENDS_ON: "batch/namespaces/shop/Job/roles"})
    jobs = [database, roles, migration]
    assert done_once(migration, jobs, {CLAIM: "uid-1"}) == "in@uid-1"
    assert done_once(migration, jobs, {CLAIM: ""}) == "in", "a claim that is not there has no identity"
    assert done_once(migration, [migration], {CLAIM: "uid-1"}) == "in"
    assert done_once(_job("nameless"), [], {}) == "shop/nameless"


def test_jobs_that_depend_on_each_other_in_a_circle_are_each_looked_at_once() -> None:
    one = _job("one", annotations={DEPENDS_ON: "batch/namespaces/shop/Job/other", RUNS_AGAIN_WITH: REFERENCE})
    other = _job("other", annotations={DEPENDS_ON: "batch/namespaces/shop/Job/one"})
    assert done_once(other, [one, other], {CLAIM: "u"}) == "shop/other@u"


def test_the_template_says_on_which_server_it_works() -> None:
    job = _job(annotations={RUNS_AGAIN_WITH: REFERENCE})
    assert with_identities(job, {CLAIM: "u"})["spec"]["template"]["metadata"]["annotations"] == {IDENTITY: "u"}
    assert with_identities(job, {})["spec"]["template"]["metadata"]["annotations"] == {IDENTITY: ""}
    assert job["spec"]["template"]["metadata"]["annotations"] == {}, "what was given stays as it is"
    annotated = _job(annotations={RUNS_AGAIN_WITH: REFERENCE}, template={"checksum/secret": "a:1"})
    annotated["spec"]["template"]["metadata"]["labels"] = {"app": "j"}
    assert with_identities(annotated, {CLAIM: "u"})["spec"]["template"]["metadata"] == {
        "labels": {"app": "j"},
        "annotations": {"checksum/secret": "a:1", IDENTITY: "u"},
    }
    bare = _job(annotations={RUNS_AGAIN_WITH: REFERENCE})
    del bare["spec"]["template"]["metadata"]
    assert with_identities(bare, {CLAIM: "u"})["spec"]["template"]["metadata"] == {"annotations": {IDENTITY: "u"}}
    plain = _job()
    assert with_identities(plain, {CLAIM: "u"}) is plain


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({}, {}, ""),
        ({IDENTITY: "1"}, {IDENTITY: "2"}, "the database server is another one"),
        ({"checksum/secret": "a:1"}, {"checksum/secret": "a:2"}, "a Secret that it uses has changed"),
        ({"other": "1"}, {"other": "2"}, ""),
    ],
)
def test_in_what_two_templates_differ(old: dict[str, str], new: dict[str, str], why: str) -> None:
    assert template_difference(_job(template=old), _job(template=new)) == why
