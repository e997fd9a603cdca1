"""What previews are deployed with: made where an administrator is, kept as GitHub's secrets, written down for a job."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from aphiria_deploy import issuing, preview_outputs
from aphiria_deploy.cli.clustering import write_secretly
from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.errors import InputError
from aphiria_deploy.github.job import Job
from aphiria_deploy.kube import Client, Deadline
from aphiria_deploy.masked import SecretValue

STACK: Final = "preview-base"
"""The stack of the previews' cluster."""

_ASK_SECONDS: Final = 30.0
_EARLY: Final = timedelta(days=14)
"""How long before its end a renewal is asked for."""


def issued(where: Where, seconds: float) -> dict[str, SecretValue]:
    """Makes what previews are deployed with anew, and gives it as secrets, by their names.

    Args:
        where: The previews' cluster; where nothing names it, its stack is asked.
        seconds: How long the token is to last.

    Raises:
        AphiriaDeployError: It cannot be had.
    """
    stack = Stack(where, STACK)
    outputs = stack.outputs or {}
    with Client(connect(where, stack)) as client:
        made = issuing.issue(client, seconds, Deadline.after(_ASK_SECONDS, "asking for a token"))
    chosen = preview_outputs.for_previews(outputs, made.kubeconfig.reveal(), stack.label)
    return preview_outputs.taken_apart(chosen, stack.label)


def write_outputs(file: Path) -> str:
    """Writes what previews are deployed with into a file that nobody else may read.

    Raises:
        InputError: The job's secrets do not say it, or have ended; or the file cannot be written.
    """
    outputs = preview_outputs.put_together(os.environ)
    end = issuing.ends(SecretValue(os.environ[preview_outputs.ISSUER].strip()))
    what = f"{preview_outputs.ISSUER}, which previews are deployed with"
    until = f"it ends {end:%Y-%m-%d %H:%M} UTC" if end else "it says of no end"
    if end and end <= datetime.now(UTC):
        raise InputError(f"{what}: found one that ended {end:%Y-%m-%d %H:%M} UTC: `{preview_outputs.RENEW}`")
    if end and end - datetime.now(UTC) < _EARLY:
        Job(os.environ).summarize(f"⚠️ {what}: {until}; renew it before: `{preview_outputs.RENEW}`.")
    write_secretly(file, json.dumps(outputs, indent=2))
    return f"{file}: {what}: {until}"
