"""What is told of a failure: one line for the cause, and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from aphiria_deploy.diagnosis.logs import explain
from aphiria_deploy.diagnosis.redaction import redact
from aphiria_deploy.diagnosis.signals import LogSource
from aphiria_deploy.diagnosis.snapshot import Occurrence
from aphiria_deploy.fields import one_line

_LINES = 20


@dataclass(frozen=True)
class LogTail:
    """The end of a container's log.

    Attributes:
        source: Whose log it is.
        lines: Its last lines, without secrets.
    """

    source: LogSource
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Why an object is not ready.

    Attributes:
        kind: The object's kind.
        object: ``namespace/name``, or the name alone.
        reason: The cluster's own word for it: ``ImagePullBackOff``, ``FailedCreate``.
        message: The cause in one line.
        hint: What to do next.
        doomed: Nothing good is to be expected of waiting any longer. If not, it is named while waiting.
        events: The last events about the object and its pods, the oldest first.
        logs_wanted: The logs that tell more.
        logs: Their last lines, once they are there.
    """

    kind: str
    object: str
    reason: str
    message: str
    hint: str
    doomed: bool
    events: tuple[Occurrence, ...] = ()
    logs_wanted: tuple[LogSource, ...] = ()
    logs: tuple[LogTail, ...] = ()


def with_logs(diagnosis: Diagnosis, tails: Mapping[LogSource, str], secrets: Iterable[str] = ()) -> Diagnosis:
    """Completes a diagnosis by logs: their last lines, and a closer cause and hint where a line is understood.

    Args:
        diagnosis: What was found.
        tails: The logs that were asked for, as far as there are any.
        secrets: Values that must not be shown, wherever they appear.

    Returns:
        The diagnosis, with nothing secret left in any of its texts.
    """
    values = tuple(secrets)
    logs = tuple(
        LogTail(source, tuple(one_line(line) for line in redact(tails[source], values).splitlines()[-_LINES:]))
        for source in diagnosis.logs_wanted
        if tails.get(source, "").strip()
    )
    message, hint = diagnosis.message, diagnosis.hint
    if found := next(filter(None, (explain(tail.lines) for tail in logs)), None):
        line, hint = found
        message = f"{message}: {line}"
    return replace(
        diagnosis,
        message=one_line(redact(message, values)),
        hint=redact(hint, values),
        events=tuple(replace(entry, message=redact(entry.message, values)) for entry in diagnosis.events),
        logs=logs,
    )
