"""What a run tells while it is under way, and its digest: plain data, whatever Pulumi's own form of it."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

_COLOURS: Final = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_PROVIDER: Final = "pulumi:providers:"
_STACK: Final = "pulumi:pulumi:Stack"
_UNCHANGED: Final = frozenset({"same", "read", "refresh"})


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
    """

    op: str
    type: str
    name: str
    state: str
    fields: tuple[str, ...] = ()
    protected: bool = False

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
    if event.res_outputs_event and not event.res_outputs_event.planning:
        yield _step(event.res_outputs_event.metadata, "done")
    if event.res_op_failed_event:
        yield _step(event.res_op_failed_event.metadata, "failed")
    if event.diagnostic_event and not event.diagnostic_event.ephemeral:
        told = event.diagnostic_event
        message = clean(_COLOURS.sub("", told.message)).strip()
        if message:
            yield Diagnostic(told.severity.partition("#")[0], message, _name(told.urn or ""))


def _step(metadata: Any, state: str) -> Step:
    paths = tuple(sorted(metadata.detailed_diff)) if metadata.detailed_diff else tuple(sorted(metadata.diffs or ()))
    current = metadata.new or metadata.old
    return Step(metadata.op.value, metadata.type, _name(metadata.urn), state, paths, bool(current and current.protect))


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


@dataclass
class Recorder:
    """Keeps what a run tells, and hands it on.

    Attributes:
        tell: Is told each event as it comes, by several threads.
        steps: What happened to each resource last.
        diagnostics: What was said.
    """

    tell: Callable[[Event], None] = lambda _: None
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        with self._lock:
            if isinstance(event, Diagnostic):
                self.diagnostics.append(event)
            elif event.type != _STACK:
                self.steps[event.type, event.name] = event
        self.tell(event)

    def digest(self, stack: str, action: str, seconds: float, attempts: int) -> Digest:
        """Gives the digest of what was recorded."""
        with self._lock:
            steps, diagnostics = list(self.steps.values()), tuple(self.diagnostics)
        # A provider with other credentials, as a run makes them, is an update to Pulumi, and nothing to anybody else.
        own = [step for step in steps if not step.type.startswith(_PROVIDER)]
        return Digest(
            stack=stack,
            action=action,
            changes=Counter("same" if step.op in _UNCHANGED else step.op for step in own),
            steps=tuple(step for step in own if step.op not in _UNCHANGED),
            diagnostics=diagnostics,
            seconds=seconds,
            attempts=attempts,
            credentials=any(step.op == "update" for step in steps if step.type.startswith(_PROVIDER)),
        )

    def errors(self) -> list[str]:
        """Gives what was said of errors."""
        with self._lock:
            return list(dict.fromkeys(str(each) for each in self.diagnostics if each.severity == "error"))
