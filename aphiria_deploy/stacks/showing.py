"""Shows what a stack's run tells, in the way that everything else is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.progress import Progress
from aphiria_deploy.stacks.events import REPLACING, UNCHANGED, Diagnostic, Digest, Event, Step

_DONE: Final[Mapping[str, str]] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created anew",
    "delete-replaced": "the old one deleted",
    "import": "imported",
    "same": "unchanged",
}


def showing(progress: Progress) -> Callable[[Event], None]:
    """Gives what is told of a run's events, and shows those that somebody wants to see."""

    def tell(event: Event) -> None:
        if isinstance(event, Diagnostic):
            if event.severity != "info":
                progress.note(str(event))
        elif event.op not in UNCHANGED:
            _show(event, progress)

    return tell


def _show(step: Step, progress: Progress) -> None:
    key = ObjectKey(GroupKind("", step.type.rpartition(":")[2]), "", step.name)
    fields = f" ({', '.join(step.fields)})" if step.fields else ""
    if step.state in {"planned", "begun"}:
        # What is only planned is over with that, and a replacement is planned as one.
        if step.state == "planned":
            if step.op not in REPLACING:
                progress.did(key, f"to {step.op}{fields}")
        else:
            progress.state(key, f"{step.op}{fields}", done=False)
    elif step.state == "failed":
        progress.did(key, f"{step.op} failed")
    else:
        progress.did(key, f"{_DONE.get(step.op, step.op)}{fields}")


def text(digest: Digest) -> str:
    """Gives a digest in a line."""
    counts = [f"{count} {_DONE.get(op, op)}" for op, count in sorted(digest.changes.items(), key=_last_what_stayed)]
    if digest.action == "preview":
        counts = [f"{count} to {op}" if op != "same" else f"{count} unchanged" for op, count in digest.changes.items()]
    attempts = f", at the {digest.attempts}. attempt" if digest.attempts > 1 else ""
    return (
        f"stack {digest.stack}: {digest.action}: {', '.join(counts) or 'nothing'} in {digest.seconds:.0f} s{attempts}"
    )


def _last_what_stayed(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] == "same", item[0]
