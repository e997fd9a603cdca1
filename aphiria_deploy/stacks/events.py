"""What a run tells while it is under way, and its digest: plain data, whatever Pulumi's own form of it."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

_COLOURS: Final = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_PROVIDER: Final = "pulumi:providers:"
_STACK: Final = "pulumi:pulumi:Stack"
UNCHANGED: Final = frozenset(
    {
        "same",
        "read",
        "refresh",
        # What is only forgotten, or remembered otherwise: nothing happens to any object.
        "read-replacement",
        "discard",
        "discard-replaced",
        "remove-pending-replace",
        "extend-parameterize",
    }
)
"""The operations that change nothing."""
REPLACING: Final = frozenset({"create-replacement", "delete-replaced", "import-replacement"})
"""The steps of a replacement. It is the step ``replace`` that is the program's own, wherever it comes among them."""


@dataclass(frozen=True)
class Step:
    """What happens to a resource.

    Attributes:
        op: ``create``, ``update``, ``delete``, ``replace``, ``import``, …
        type: Its type's token.
        name: Its name in the program.
        state: ``begun``, ``done`` or ``failed``; ``planned`` in a preview.
        fields: The inputs that change.
        protected: Whether it may not be deleted.
        urn: What Pulumi knows it by: another resource below another parent may have its type and name.
        left: Whether it is what an earlier run has replaced and could not delete then.
    """

    op: str
    type: str
    name: str
    state: str
    fields: tuple[str, ...] = ()
    protected: bool = False
    urn: str = ""
    left: bool = False

    def __str__(self) -> str:
        changed = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.op} {self.type.rpartition(':')[2]} {self.name}{changed}: {self.state}"


@dataclass(frozen=True)
class Diagnostic:
    """What the program, a provider or the engine has to say.

    Attributes:
        severity: ``info``, ``warning`` or ``error``.
        message: The text, without secrets.
        name: The resource that it is about; empty for none.
    """

    severity: str
    message: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {f'{self.name}: ' if self.name else ''}{self.message}"


Event = Step | Diagnostic


@dataclass(frozen=True)
class Digest:
    """What a run did, or a preview would do, as data.

    Attributes:
        stack: The stack.
        action: ``up``, ``preview`` or ``destroy``.
        changes: How many resources were created, updated, deleted, and so on; what stayed is ``same``.
        steps: Those that changed.
        diagnostics: What was said, but for what was only about progress.
        seconds: How long it took.
        attempts: How often it was tried.
        credentials: Whether a provider got other credentials, which change nothing.
    """

    stack: str
    action: str
    changes: Mapping[str, int]
    steps: tuple[Step, ...]
    diagnostics: tuple[Diagnostic, ...]
    seconds: float
    attempts: int = 1
    credentials: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything changed, or would."""
        return bool(self.steps)

    def as_json(self) -> dict[str, Any]:
        """The digest as JSON data."""
        return {
            "stack": self.stack,
            "action": self.action,
            "changed": self.changed,
            "changes": dict(self.changes),
            "steps": [asdict(step) for step in self.steps],
            "diagnostics": [asdict(each) for each in self.diagnostics],
            "seconds": round(self.seconds, 1),
            "attempts": self.attempts,
        }


def read(event: Any, clean: Callable[[str], str]) -> Iterator[Event]:
    """Gives what an engine event tells.

    Args:
        event: The event, in the form of Pulumi's Automation API.
        clean: Takes the secrets out of a text.
    """
    if event.resource_pre_event:
        metadata, planning = event.resource_pre_event.metadata, event.resource_pre_event.planning
        yield _step(metadata, "planned" if planning else "begun")
    if event.res_outputs_event:
        # Also of a plan: that of a refresh says only here what it came to.
        metadata, planning = event.res_outputs_event.metadata, event.res_outputs_event.planning
        yield _step(metadata, "planned" if planning else "done")
    if event.res_op_failed_event:
        yield _step(event.res_op_failed_event.metadata, "failed")
    if event.diagnostic_event and not event.diagnostic_event.ephemeral:
        told = event.diagnostic_event
        yield from _said(told.severity.partition("#")[0], told.message, told.urn, clean)
    if event.policy_event:
        policy = event.policy_event
        severity = "error" if policy.enforcement_level == "mandatory" else "warning"
        yield from _said(severity, f"policy {policy.policy_name}: {policy.message}", policy.resource_urn, clean)


def _said(severity: str, message: str, urn: str | None, clean: Callable[[str], str]) -> Iterator[Diagnostic]:
    text = clean(_COLOURS.sub("", message)).strip()
    if text and severity != "debug":
        yield Diagnostic(severity, text, _name(urn or ""))


def _step(metadata: Any, state: str) -> Step:
    paths = tuple(sorted(metadata.detailed_diff)) if metadata.detailed_diff else tuple(sorted(metadata.diffs or ()))
    current = metadata.new or metadata.old
    return Step(
        op=metadata.op.value,
        type=metadata.type,
        name=_name(metadata.urn),
        state=state,
        fields=paths,
        protected=bool(current and current.protect),
        urn=metadata.urn,
        left=metadata.op.value == "delete" and bool(metadata.old and metadata.old.delete),
    )


def _name(urn: str) -> str:
    """The name at the end of ``urn:pulumi:STACK::PROJECT::TYPE::NAME``, in which there may be colons too."""
    return urn.split("::", 3)[-1]


@dataclass
class Recorder:
    """Keeps what a run tells, and hands it on.

    Attributes:
        tell: Is told each event as it comes, by several threads.
        steps: What happened to each resource last.
        diagnostics: What was said.
    """

    tell: Callable[[Event], None] = lambda _: None
    steps: dict[tuple[str, bool], Step] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _told: dict[tuple[str, bool], Step] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        with self._lock:
            if isinstance(event, Diagnostic):
                self.diagnostics.append(event)
            else:
                key = event.urn or f"{event.type}::{event.name}", event.left
                known = self._told.get(key)
                self._told[key] = event
                self.steps[key] = _merged(self.steps.get(key), event)
                if known == event:
                    return
        self.tell(event)

    def digest(self, stack: str, action: str, seconds: float, attempts: int) -> Digest:
        """Gives the digest of what was recorded."""
        with self._lock:
            steps = [step for step in self.steps.values() if step.type != _STACK]
            diagnostics = tuple(self.diagnostics)
        # A provider with other credentials, as a run makes them, is an update to Pulumi, and nothing to anybody else.
        own = [step for step in steps if not step.type.startswith(_PROVIDER)]
        return Digest(
            stack=stack,
            action=action,
            changes=Counter("same" if step.op in UNCHANGED else step.op for step in own if not step.left),
            steps=tuple(step for step in own if step.op not in UNCHANGED),
            diagnostics=diagnostics,
            seconds=seconds,
            attempts=attempts,
            credentials=any(step.op == "update" for step in steps if step.type.startswith(_PROVIDER)),
        )

    def errors(self) -> list[str]:
        """Gives what was said of errors."""
        with self._lock:
            return list(dict.fromkeys(str(each) for each in self.diagnostics if each.severity == "error"))


def _merged(known: Step | None, step: Step) -> Step:
    """What a resource's step is, after a further event: a replacement is one step, whatever its own steps are."""
    replaced = known is not None and known.op == "replace"
    if known and replaced and step.op in UNCHANGED:
        return known
    if step.op not in REPLACING and not (replaced and step.op == "replace"):
        return step
    fields = step.fields or (known.fields if known and replaced else ())
    failed = known is not None and replaced and known.state == "failed"
    return replace(step, op="replace", fields=fields, state="failed" if failed else step.state)
