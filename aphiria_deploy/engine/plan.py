"""What a deploy will do, object by object. Pure: from what is wanted, what is there, and what the server said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.applyset import Parent, Pruning, is_member, select_for_pruning
from aphiria_deploy.engine.changes import FieldChange, field_changes
from aphiria_deploy.engine.former_owners import NOTHING_LEFT, LeftBehind, owner
from aphiria_deploy.engine.jobs import (
    Course,
    Decision,
    JobClass,
    decide,
    decide_once,
    done_once,
    is_job,
    job_class,
    template_difference,
)
from aphiria_deploy.engine.jobs import outcome as outcome_of
from aphiria_deploy.engine.managed_fields import by_hand, comparable, owned_fields
from aphiria_deploy.engine.refusals import PlanError, explained, refuse_another_s
from aphiria_deploy.engine.wanted import Wanted
from aphiria_deploy.errors import (
    Errors,
    InvalidError,
    UnknownKindError,
)
from aphiria_deploy.kube import Outcome
from aphiria_deploy.objects import GroupKind, ObjectKey

_NOT_THERE: Manifest = {"metadata": {}}


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """It is deleted, and created anew: a Job, or what somebody is deleting already."""
    NOTHING = "nothing"


@dataclass(frozen=True)
class Step:
    """What is done to one object.

    Attributes:
        key: Which object.
        action: What.
        manifest: The object as it is applied.
        live: The object as it is now; None where it is not.
        awaited: Whether it is waited for until it is ready.
        force: Whether fields of others are taken over.
        adopts: Whether it is not ours yet, and becomes ours.
        changes: The fields that change.
        why: The reason, of what is not plain.
        done_once: What the release records when a Job of class ``once`` is complete.
    """

    key: ObjectKey
    action: Action
    manifest: Manifest = field(repr=False)
    live: Manifest | None = field(default=None, repr=False)
    awaited: bool = True
    force: bool = False
    adopts: bool = False
    changes: tuple[FieldChange, ...] = ()
    why: str = ""
    done_once: str = ""


@dataclass(frozen=True)
class PlannedWave:
    """Steps that are taken at the same time, and all ready before the next wave."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """What a deploy will do.

    Attributes:
        waves: What is applied, in order.
        prune: What is no longer wanted.
        parent: The ApplySet's parent, as it is now.
        target: The parent, when all is done.
        uids: The UIDs of the objects whose identity Jobs belong to, as far as these are there.
        unseen: Where nobody could look for what is left behind.
    """

    waves: tuple[PlannedWave, ...]
    prune: Pruning
    parent: Parent
    target: Parent
    uids: Mapping[ObjectKey, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()

    @property
    def steps(self) -> list[Step]:
        """All steps."""
        return [step for wave in self.waves for step in wave.steps]

    @property
    def changes_objects(self) -> bool:
        """Whether any object is written or deleted."""
        return any(step.action is not Action.NOTHING for step in self.steps) or bool(self.prune.delete)

    @property
    def changes_state(self) -> bool:
        """Whether the environment's membership is to be written down anew."""
        return (self.parent.group_kinds, self.parent.namespaces) != (
            self.target.group_kinds,
            self.target.namespaces - {self.target.namespace},
        )

    def fingerprint(self) -> list[tuple[str, ...]]:
        """What was shown and agreed to: two plans with the same one do the same."""
        steps = [(str(step.key), step.action, *map(str, step.changes)) for step in self.steps]
        return sorted([*steps, *((str(ObjectKey.of(item)), "prune") for item in self.prune.delete)])


@dataclass(frozen=True)
class Live:
    """What is there.

    Attributes:
        objects: The live objects among those that are wanted, and all members of the set.
        namespaces: The namespaces that are wanted and there, and stay.
        uids: The UIDs of the objects whose identity Jobs belong to.
        beside: What those that objects are taken over from have beside these.
    """

    objects: Mapping[ObjectKey, Manifest]
    namespaces: frozenset[str]
    uids: Mapping[ObjectKey, str]
    beside: LeftBehind = NOTHING_LEFT


@dataclass(frozen=True)
class Circumstances:
    """What else decides.

    Attributes:
        environment: Whose objects these are.
        site: The site.
        set_id: The ID of its ApplySet.
        take_over: Whether objects and fields of others are taken over.
        jobs_run: Whether Jobs run at all: not in a rollback.
        jobs_recorded: What releases have recorded of complete Jobs of class ``once``.
    """

    environment: str
    site: str
    set_id: str
    take_over: bool = False
    jobs_run: bool = True
    jobs_recorded: frozenset[str] = frozenset()


def is_ours(live: Mapping[str, object]) -> bool:
    """Whether this tool has applied an object before."""
    return owned_fields(live) is not None


def is_going(live: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted: it is waited for, and is then another one."""
    return bool(live["metadata"].get("deletionTimestamp"))


def to_be_tried(wanted: Wanted, live: Live, circumstances: Circumstances) -> list[Manifest]:
    """Gives the objects that the server has to be asked about: what becomes of the others is known without it."""
    jobs = [manifest for manifest in wanted.manifests if is_job(manifest)]
    return [
        manifest
        for manifest in wanted.manifests
        if ObjectKey.of(manifest) not in wanted.secrets
        and (not (namespace := manifest["metadata"].get("namespace")) or namespace in live.namespaces)
        # Whoever has rights in a namespace alone has none to try to make it.
        and (manifest["kind"] != "Namespace" or manifest["metadata"]["name"] in live.namespaces)
        and not is_going(live.objects.get(ObjectKey.of(manifest)) or _NOT_THERE)
        and not (is_job(manifest) and _without_asking(manifest, jobs, live, circumstances))
    ]


def plan(
    wanted: Wanted,
    live: Live,
    tried: Mapping[ObjectKey, Outcome[Manifest]],
    parent: Parent,
    circumstances: Circumstances,
) -> Plan:
    """Plans a deploy.

    Args:
        wanted: What is wanted.
        live: What is there.
        tried: What came of the dry runs of what `to_be_tried` gives.
        parent: The ApplySet's parent as it is.
        circumstances: What else decides.

    Raises:
        PlanError: It cannot be done.
        CombinedError: Several things of it cannot.
    """
    errors = Errors()
    planner = _Planner(wanted, live, tried, circumstances)
    planned = []
    for wave in wanted.waves:
        steps = []
        for manifest in wave.manifests:
            with errors.collected():
                steps.append(planner.step(manifest))
        planned.append(PlannedWave(wave.name, tuple(steps)))
    errors.raise_all()
    members = [
        item for item in live.objects.values() if is_member(item, circumstances.set_id, circumstances.environment)
    ]
    prune = select_for_pruning(wanted.manifests, members, circumstances.set_id)
    return Plan(
        waves=tuple(planned),
        prune=Pruning(delete=(*prune.delete, *live.beside.records), kept=(*prune.kept, *live.beside.objects)),
        parent=parent,
        target=parent.holding(wanted.manifests),
        uids=live.uids,
        unseen=live.beside.unseen,
    )


class _Planner:
    def __init__(
        self,
        wanted: Wanted,
        live: Live,
        tried: Mapping[ObjectKey, Outcome[Manifest]],
        circumstances: Circumstances,
    ) -> None:
        self._wanted = wanted
        self._live = live
        self._tried = tried
        self._circumstances = circumstances
        self._jobs = [manifest for manifest in wanted.manifests if is_job(manifest)]
        self._defined = {
            GroupKind(manifest["spec"]["group"], manifest["spec"]["names"]["kind"])
            for manifest in wanted.manifests
            if manifest["kind"] == "CustomResourceDefinition"
        }

    def step(self, manifest: Manifest) -> Step:
        key = ObjectKey.of(manifest)
        live = self._live.objects.get(key)
        if live is not None:
            told = self._circumstances
            refuse_another_s(key, live, told.environment, told.site, take_over=told.take_over)
        if is_job(manifest):
            return self._job(key, manifest, live)
        if live is not None and is_going(live):
            return Step(key, Action.REPLACE, manifest, live, force=True, why="it is being deleted: that is waited for")
        if key in self._wanted.secrets:
            return secret_step(manifest, live)
        return self._object(key, manifest, live)

    def _object(self, key: ObjectKey, manifest: Manifest, live: Manifest | None) -> Step:
        outcome = self._tried.get(key)
        if outcome is None:
            return Step(key, Action.CREATE, manifest)
        if isinstance(outcome.error, UnknownKindError) and key.group_kind in self._defined:
            # It is one that the cluster gets with this deploy.
            return Step(key, Action.CREATE, manifest)
        if outcome.error:
            raise explained(key, live, outcome.error)
        would_be = outcome.get()
        if live is None:
            return Step(key, Action.CREATE, manifest)
        adopts = not is_ours(live)
        changes = field_changes(live, would_be)
        same = not adopts and not changes and owned_fields(live) == owned_fields(would_be)
        return Step(
            key,
            Action.NOTHING if same else Action.UPDATE,
            manifest,
            live,
            force=adopts or self._set_back(live),
            adopts=adopts,
            changes=changes,
            why="" if same else self._why(live, changes, adopts=adopts),
        )

    def _set_back(self, live: Manifest) -> bool:
        """Whether fields may be taken from others: what a person's commands changed in an object that is ours."""
        return self._circumstances.take_over or bool(by_hand(live))

    def _why(self, live: Manifest, changes: Sequence[FieldChange], *, adopts: bool) -> str:
        if adopts:
            return _taken_over(live)
        if not changes:
            return "no value changes, but whose fields they are"
        if hands := by_hand(live):
            return f"edited with {', '.join(sorted(hands))}: set back"
        return ""

    def _job(self, key: ObjectKey, manifest: Manifest, live: Manifest | None) -> Step:
        decision = _without_asking(manifest, self._jobs, self._live, self._circumstances)
        outcome = self._tried.get(key)
        if decision is None and outcome is None:
            decision = Decision(Course.RUN, "it is being deleted" if live else "it has not run yet")
        elif decision is None and outcome is not None:
            decision = self._decide(key, manifest, live, outcome)
        assert decision is not None  # noqa: S101 - every way above gives one
        once = self._circumstances.jobs_run and job_class(manifest) is JobClass.ONCE
        done = done_once(manifest, self._jobs, self._live.uids) if once else ""
        match decision.course:
            case Course.LEAVE:
                return Step(key, Action.NOTHING, manifest, live, awaited=False, why=decision.why, done_once=done)
            case Course.WAIT:
                return Step(key, Action.NOTHING, manifest, live, why=decision.why, done_once=done)
            case Course.RUN:
                action = Action.REPLACE if live else Action.CREATE
                return Step(key, action, manifest, live, force=True, why=decision.why, done_once=done)

    def _check(self, key: ObjectKey, live: Manifest | None, outcome: Outcome[Manifest]) -> None:
        """A Job that is replaced may differ from the one that is there in what is immutable, and in nothing else."""
        error = outcome.error
        if error and not (live is not None and isinstance(error, InvalidError) and error.immutable_fields):
            raise explained(key, live, error)

    def _decide(
        self, key: ObjectKey, manifest: Manifest, live: Manifest | None, outcome: Outcome[Manifest]
    ) -> Decision:
        self._check(key, live, outcome)
        differs = template_difference(live, manifest) if live else ""
        same = outcome.error is None and not (live and _template_changes(live, outcome.get()))
        return decide(live, job_class(manifest), same_template=same, differs=differs)


def secret_step(manifest: Manifest, live: Manifest | None) -> Step:
    """Plans a Secret: what it holds is known, so the server need not be asked, and no value is sent twice."""
    key = ObjectKey.of(manifest)
    if live is None:
        return Step(key, Action.CREATE, manifest)
    changes = field_changes(comparable(live, manifest), manifest)
    adopts = not is_ours(live)
    action = Action.UPDATE if changes or adopts else Action.NOTHING
    why = _taken_over(live) if adopts else ""
    return Step(key, action, manifest, live, force=True, adopts=adopts, changes=changes, why=why)


def _taken_over(live: Manifest) -> str:
    return f"taken over from {owner(live) or 'nobody'}"


def _without_asking(
    manifest: Manifest, jobs: Sequence[Manifest], live: Live, circumstances: Circumstances
) -> Decision | None:
    """Decides for a Job what can be decided without the server; None where it has to be asked."""
    if not circumstances.jobs_run:
        return Decision(Course.LEAVE, "a rollback runs no Job")
    found = live.objects.get(ObjectKey.of(manifest))
    if found is not None and not is_ours(found):
        return _decision_of_a_stranger(found)
    if job_class(manifest) is not JobClass.ONCE:
        return None
    decision = decide_once(found, done_once(manifest, jobs, live.uids), circumstances.jobs_recorded)
    # What is to run is tried, so that what the server will not have is known before anything is written.
    return None if decision.course is Course.RUN and found is None else decision


def _decision_of_a_stranger(found: Manifest) -> Decision:
    """Of a Job that ``kubectl apply`` made, say, nothing tells with what it has run."""
    if outcome_of(found) == "running":
        raise PlanError(
            f"{ObjectKey.of(found)}: found it running, and not made by this tool, expected it to have ended: wait for "
            "it, or delete it, and deploy again"
        )
    return Decision(Course.RUN, "this tool did not make the one that is there")


def _template_changes(live: Manifest, would_be: Manifest) -> bool:
    return any(change.path.startswith("spec.template") for change in field_changes(live, would_be))


def counts(plan: Plan) -> dict[str, int]:
    """How many objects are created, updated (replaced ones among them), deleted and left."""
    by_action = [step.action for step in plan.steps]
    return {
        "created": by_action.count(Action.CREATE),
        "updated": by_action.count(Action.UPDATE) + by_action.count(Action.REPLACE),
        "deleted": len(plan.prune.delete),
        "unchanged": by_action.count(Action.NOTHING),
    }
