"""Plans and reports, as text for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine import deploying
from aphiria_deploy.engine.plan import Action, Plan, Step, counts
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.objects import ObjectKey

if TYPE_CHECKING:
    from aphiria_deploy.capacity import Outlook
    from aphiria_deploy.diagnosis import Diagnosis
    from aphiria_deploy.engine import destroying

_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.NOTHING: " "}
_SHOWN = 160


def plan_text(plan: Plan, environment: str, outlook: Outlook | None = None) -> str:
    """A plan: what is done to which object, and in which fields; and what is reserved by that, where it is known."""
    number = counts(plan)
    head = ", ".join(f"{amount} {what}" for what, amount in number.items())
    lines = [f"{environment}: {head}"]
    for step in plan.steps:
        if step.action is not Action.NOTHING:
            lines += _step_lines(step)
    lines += [f"- {ObjectKey.of(item)}: {_why_deleted(item)}" for item in plan.prune.delete]
    lines += [f"  {ObjectKey.of(item)}: left alone: {reason}" for item, reason in plan.prune.kept]
    lines += [f"! not looked for what is left behind, for want of rights: {what}" for what in plan.unseen]
    if outlook:
        from aphiria_deploy.capacity import describe

        lines.append(f"capacity: {describe(outlook)}")
    return "\n".join(lines)


def _why_deleted(item: Manifest) -> str:
    from aphiria_deploy.engine.helm_records import is_record

    if is_record(item):
        release = item["metadata"]["labels"]["name"]
        return f"Helm's record of its release {release}: with it, helm uninstall would delete what is taken over"
    return "no longer in the site"


def _step_lines(step: Step) -> Iterator[str]:
    yield f"{_SIGNS[step.action]} {step.key}{f': {step.why}' if step.why else ''}"
    for change in step.changes:
        yield f"    {_cut(str(change))}"


def plan_data(plan: Plan, outlook: Outlook | None = None) -> dict[str, Any]:
    """A plan as data."""
    objects = [
        {
            "action": step.action.value,
            "kind": step.key.group_kind.kind,
            "namespace": step.key.namespace,
            "name": step.key.name,
            **({"why": step.why} if step.why else {}),
            "fields": [{"path": one.path, "before": one.before, "after": one.after} for one in step.changes],
        }
        for step in plan.steps
        if step.action is not Action.NOTHING
    ]
    objects += [{"action": "delete", **_named(item), "fields": []} for item in plan.prune.delete]
    data: dict[str, Any] = {"changes": counts(plan), "objects": objects}
    if plan.prune.kept:
        data["leftAlone"] = [{**_named(item), "why": why} for item, why in plan.prune.kept]
    if plan.unseen:
        data["notLookedFor"] = list(plan.unseen)
    if outlook:
        from aphiria_deploy.cli.room import outlook_data

        data["capacity"] = outlook_data(outlook)
    return data


def _named(item: Manifest) -> dict[str, str]:
    key = ObjectKey.of(item)
    return {"kind": key.group_kind.kind, "namespace": key.namespace, "name": key.name}


def deploy_text(report: deploying.Report) -> str:
    """What became of a deploy."""
    lines = []
    if report.result in {"planned", "refused"} and report.plan:
        lines.append(plan_text(report.plan, report.environment, report.outlook))
    if report.result != "planned":
        took = f" in {report.total:.1f} s" if report.total else ""
        revision = f" (revision {report.revision})" if report.revision else ""
        lines.append(f"{report.environment}: {report.result}{revision}{took}")
    if report.error:
        lines += ["", *failure_lines(report.error)]
    elif report.result in {"deployed", "unchanged"}:
        lines += [f"  {name}: {url}" for name, url in report.bundle.urls.items()]
    return "\n".join(lines)


def failure_lines(error: AphiriaDeployError) -> list[str]:
    """Why something failed: the cause first, and what to do."""
    from aphiria_deploy.diagnosis import Diagnosis

    diagnosis = getattr(error, "diagnosis", None)
    if not isinstance(diagnosis, Diagnosis):
        return [str(error)]
    lines = [f"{diagnosis.kind} {diagnosis.object}: {diagnosis.reason}: {diagnosis.message}", f"→ {diagnosis.hint}"]
    if diagnosis.events:
        lines += ["", "Events:", *(f"  {event}" for event in diagnosis.events)]
    for tail in diagnosis.logs:
        source = tail.source
        previous = ", the instance before" if source.previous else ""
        lines += ["", f"Log of {source.namespace}/{source.pod}, container {source.container}{previous}:"]
        lines += [f"  {line}" for line in tail.lines]
    return lines


def deploy_data(report: deploying.Report) -> dict[str, Any]:
    """What became of a deploy, as data."""
    bundle = report.bundle
    data: dict[str, Any] = {
        "environment": report.environment,
        "result": "failed" if report.result == "refused" else report.result,
        "revision": report.revision,
        "bundle": bundle.hash,
        "urls": bundle.urls,
        "images": {name: image.ref for name, image in bundle.images.items()},
        "outputs": bundle.outputs,
        **(plan_data(report.plan, report.outlook) if report.plan else {}),
        "phases": [{"name": name, "seconds": round(seconds, 3)} for name, seconds in report.seconds.items()],
        "seconds": round(report.total, 3),
    }
    if report.result == "refused":
        data["error"] = error_data(deploying.NotApprovedError(f"{report.environment}: the plan was not agreed to"))
    if report.error:
        data["error"] = error_data(report.error)
    if report.diagnosis:
        data["diagnosis"] = diagnosis_data(report.diagnosis)
    return data


def error_data(error: AphiriaDeployError) -> dict[str, Any]:
    """An error as data."""
    return {"kind": type(error).__name__, "message": str(error), "exitCode": error.exit_code}


def diagnosis_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis as data."""
    return {
        "kind": diagnosis.kind,
        "object": diagnosis.object,
        "reason": diagnosis.reason,
        "message": diagnosis.message,
        "hint": diagnosis.hint,
        "events": [str(event) for event in diagnosis.events],
        "logs": [
            {"pod": tail.source.pod, "container": tail.source.container, "lines": list(tail.lines)}
            for tail in diagnosis.logs
        ],
    }


def destroy_text(report: destroying.Report) -> str:
    """What became of a destruction, with the receipt."""
    lines = [f"{report.environment}: {report.result} in {report.total:.1f} s"]
    lines += [f"  {'gone' if one.gone else 'STILL THERE'}  {one.kind} {one.name}" for one in report.receipt]
    if report.error:
        lines += ["", *failure_lines(report.error)]
    return "\n".join(lines)


def destroy_data(report: destroying.Report) -> dict[str, Any]:
    """What became of a destruction, as data."""
    return {
        "environment": report.environment,
        "result": report.result,
        "receipt": [{"kind": one.kind, "name": one.name, "gone": one.gone} for one in report.receipt],
        "phases": [{"name": name, "seconds": round(seconds, 3)} for name, seconds in report.seconds.items()],
        "seconds": round(report.total, 3),
        **({"error": error_data(report.error)} if report.error else {}),
    }


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns of text, as wide as they have to be."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN * 2 else f"{text[:_SHOWN]} … {text[-_SHOWN:]}"
