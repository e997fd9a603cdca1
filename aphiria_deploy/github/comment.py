"""The comment of a pull request's preview, as a text. Pure: what it says comes in, Markdown comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aphiria_deploy.github.difference import Difference
from aphiria_deploy.github.engine import Diagnosed, Phase, ReceiptLine
from aphiria_deploy.github.markdown import Document, Section, block, code, escaped, link, table
from aphiria_deploy.github.production import Departure


class State(StrEnum):
    """Where a preview is in its life."""

    BUILDING = "building"
    WAITING = "waiting"
    REFUSED = "refused"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    FAILED = "failed"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    LEFTOVERS = "leftovers"


_TITLES: Mapping[State, str] = {
    State.BUILDING: "is being built",
    State.WAITING: "waits for approval",
    State.REFUSED: "is not deployed",
    State.DEPLOYING: "is being deployed",
    State.DEPLOYED: "is deployed",
    State.FAILED: "could not be deployed",
    State.DESTROYING: "is being removed",
    State.DESTROYED: "is gone",
    State.LEFTOVERS: "could not be removed whole",
}
_SIGNS: Mapping[State, str] = {
    State.WAITING: "⏸️",
    State.REFUSED: "🚫",
    State.DEPLOYED: "✅",
    State.FAILED: "❌",
    State.DESTROYED: "🧹",
    State.LEFTOVERS: "❌",
}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is told of a preview.

    Attributes:
        number: The pull request's number.
        state: Where it is in its life.
        commit: The commit that it is about.
        run_url: The page of the workflow's run.
        note: A sentence about the state: why it was refused, who may approve.
        urls: Its URLs, by name.
        images: Its images, by name.
        bundle: The bundle's hash.
        plan: What a deploy changes.
        reserves: What it reserves of the cluster, in one line.
        phases: The deploy's phases, one after the other.
        seconds: How long all of it took.
        diagnosis: Why it failed.
        findings: What preflight or the policy found.
        departures: How it differs from production.
        receipt: What was destroyed, and seen to be gone.
    """

    number: int
    state: State
    commit: str = ""
    run_url: str = ""
    note: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    bundle: str = ""
    plan: Difference | None = None
    reserves: str = ""
    phases: Sequence[Phase] = ()
    seconds: float = 0.0
    diagnosis: Diagnosed | None = None
    findings: Sequence[str] = ()
    departures: Sequence[Departure] = ()
    receipt: Sequence[ReceiptLine] = ()


def marker(number: int) -> str:
    """What the one comment of a pull request is found by."""
    return f"<!-- aphiria-deploy:pr-{number} -->"


def document(preview: Preview, secrets: Sequence[str] = ()) -> Document:
    """Gives the comment of a preview.

    Args:
        preview: What to tell.
        secrets: Values that must not be shown.
    """
    return Document(marker(preview.number), tuple(_head(preview)), tuple(_sections(preview)), tuple(secrets))


def render(preview: Preview, secrets: Sequence[str] = ()) -> str:
    """Writes the comment of a preview, cut to GitHub's limit, with a link to the run that has all of it."""
    more = link("the run has all of it", preview.run_url) if preview.run_url else ""
    return document(preview, secrets).render(more)


def gantt(phases: Sequence[Phase]) -> list[str]:
    """Draws phases, one after the other, as a Mermaid gantt chart: https://mermaid.js.org/syntax/gantt.html."""
    lines = ["gantt", "    dateFormat x", "    axisFormat %M:%S"]
    at = 0
    for number, phase in enumerate(phases):
        end = at + max(1, round(1000 * phase.seconds))
        # A name ends at a colon, and a hash or a semicolon begins something else.
        name = " ".join(re.sub(r"[^A-Za-z0-9 _./-]", " ", phase.name).split()) or f"phase {number + 1}"
        lines.append(f"    {name[:60]} ({phase.seconds:.1f} s) :p{number}, {at}, {end}")
        at = end
    return lines


def _head(preview: Preview) -> Iterator[str]:
    sign = _SIGNS.get(preview.state, "⏳")
    yield f"### {sign} The preview of pull request {preview.number} {_TITLES[preview.state]}"
    if preview.note:
        yield ""
        yield escaped(preview.note)
    rows = list(_rows(preview))
    if rows:
        yield ""
        yield from table(("", ""), rows)


def _rows(preview: Preview) -> Iterator[tuple[str, str]]:
    if preview.state in {State.DEPLOYED, State.DEPLOYING, State.FAILED, State.WAITING}:
        for name, url in preview.urls.items():
            yield escaped(name), link(url.removeprefix("https://"), url)
    if preview.commit:
        yield "commit", code(preview.commit)
    for name, ref in preview.images.items():
        yield f"image {escaped(name)}", code(ref)
    if preview.bundle:
        yield "bundle", code(preview.bundle)
    if preview.reserves:
        yield "capacity", escaped(preview.reserves)
    if preview.seconds:
        yield "took", f"{preview.seconds:.1f} s"
    if preview.run_url:
        yield "log", link("the workflow's run", preview.run_url)


def _sections(preview: Preview) -> Iterator[Section]:
    if preview.diagnosis:
        yield from _diagnosis(preview.diagnosis)
    if preview.findings:
        yield block(f"Findings ({len(preview.findings)})", preview.findings, is_open=True)
    if preview.receipt:
        yield _receipt(preview.receipt)
    if preview.plan:
        lines = [preview.plan.summary(), "", *preview.plan.lines()]
        yield block(f"Plan: {preview.plan.summary()}", lines, "diff")
    if preview.phases:
        yield Section("Phases", tuple(gantt(preview.phases)), "mermaid")
    if preview.departures:
        rows = [(code(one.what), code(one.preview), code(one.production)) for one in preview.departures]
        title = f"How this preview differs from production ({len(rows)})"
        yield Section(title, tuple(table(("", "preview", "production"), rows)))


def _diagnosis(diagnosis: Diagnosed) -> Iterator[Section]:
    what = f"{diagnosis.kind} {diagnosis.object}".strip()
    lines = [f"{what}: {diagnosis.message}" if what else diagnosis.message]
    if diagnosis.reason and diagnosis.reason not in diagnosis.message:
        lines.append(f"reason: {diagnosis.reason}")
    if diagnosis.hint:
        lines.append(f"what to do: {diagnosis.hint}")
    yield block("Why", lines, is_open=True)
    if diagnosis.events:
        yield block(f"Last events ({len(diagnosis.events)})", diagnosis.events)
    for log in diagnosis.logs:
        yield block(f"Log of {log.pod}, container {log.container}", log.lines)


def _receipt(receipt: Sequence[ReceiptLine]) -> Section:
    rows = [(escaped(line.kind), code(line.name), "gone" if line.gone else "**still there**") for line in receipt]
    everything = all(line.gone for line in receipt)
    title = f"Receipt: {'all' if everything else 'not all'} of {len(rows)} seen to be gone"
    return Section(title, tuple(table(("", "", ""), rows)), is_open=not everything)
