"""What ``aphiria-deploy cluster`` does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aphiria_deploy import preview_outputs
from aphiria_deploy.cli.connecting import Where, connect
from aphiria_deploy.cli.options import Format
from aphiria_deploy.cli.terminal import progress
from aphiria_deploy.engine.marking import mark as put_marker
from aphiria_deploy.errors import InputError
from aphiria_deploy.joining import DNS_SUFFIX
from aphiria_deploy.kube import Cancellation, Client, Deadline, cancelled_by_signals
from aphiria_deploy.site import cluster_folder
from aphiria_deploy.stacks import Digest, UnknownStackError, configuration, showing
from aphiria_deploy.stacks.runs import Runner, masked


def up(stack: str, settings: Mapping[str, str], seconds: float) -> Digest:
    """Makes a stack what the program says.

    Raises:
        AphiriaDeployError: It failed.
    """
    with _running(stack, "up", seconds) as (runner, _):
        return runner.up(stack, settings)


def preview(stack: str, settings: Mapping[str, str], seconds: float) -> Digest:
    """Shows what `up` would change.

    Raises:
        AphiriaDeployError: It failed.
    """
    with _running(stack, "preview", seconds) as (runner, _):
        return runner.preview(stack, settings)


def outputs(stack: str, file: Path | None, for_previews: Path | None, seconds: float) -> dict[str, Any]:
    """Gives a stack's outputs as they may be shown, and writes them into a file as they are.

    Args:
        stack: The stack.
        file: The file, if they are to be written.
        for_previews: The kubeconfig of the account that deploys previews, if only what it needs is wanted.
        seconds: How long it may take.

    Raises:
        AphiriaDeployError: They cannot be read, or the file cannot be written.
    """
    from aphiria_deploy.stacks.automation import Stacks

    cancellation = Cancellation()
    with cancelled_by_signals(cancellation):
        deadline = Deadline.after(seconds, f"the outputs of the stack {stack}", cancellation)
        found = Stacks(cluster_folder(Path.cwd()), deadline).outputs(stack)
    values = {name: value for name, (value, _) in found.items()}
    if for_previews:
        values = preview_outputs.for_previews(values, _read(for_previews), f"stack {stack}")
    if file:
        write_secretly(file, json.dumps(values, indent=2))
    return {name: value for name, value in masked(found).items() if name in values}


def destroy(stack: str, confirmed: str, seconds: float) -> Digest:
    """Deletes everything in a stack.

    Raises:
        InputError: It was not confirmed, or there are still names that lead to the cluster.
        AphiriaDeployError: It failed.
    """
    if confirmed != stack:
        raise InputError(
            f"stack {stack}: found no confirmation, expected --confirm {stack}: everything in it is deleted, a "
            "cluster with all that runs on it and all of its data; docs/operations.md says what to save before"
        )
    with _running(stack, "destroy", seconds) as (runner, folder):
        _require_no_names(runner, folder, stack)
        return runner.destroy(stack, run_program=_makes_credentials(folder, stack))


def mark(stack: str, site: str, where: Where, seconds: float) -> str:
    """Says in a cluster which one it is.

    Raises:
        AphiriaDeployError: It is marked as another one, or cannot be reached.
    """
    if not where.is_named:
        raise InputError("the cluster: found none named, expected --kubeconfig FILE or --context NAME")
    site = site or _site_of(stack)
    cancellation = Cancellation()
    with cancelled_by_signals(cancellation), Client(connect(where, None)) as client:
        deadline = Deadline.after(seconds, "marking the cluster", cancellation)
        client.probe(deadline)
        written = put_marker(client, site, stack, deadline)
        return f"{client.access.where}: {'marked' if written else 'was marked already'} as {site}'s stack {stack}"


def render(digest: Digest, output: Format) -> str:
    """Writes a digest in a format."""
    return json.dumps(digest.as_json(), indent=2) if output is Format.JSON else showing.text(digest)


def render_outputs(shown: Mapping[str, Any], output: Format) -> str:
    """Writes outputs in a format."""
    if output is Format.JSON:
        return json.dumps(shown, indent=2)
    return "\n".join(f"{name}: {value}" for name, value in sorted(shown.items()))


@contextmanager
def _running(stack: str, action: str, seconds: float) -> Iterator[tuple[Runner, Path]]:
    from aphiria_deploy.stacks.automation import Stacks

    folder = cluster_folder(Path.cwd())
    cancellation = Cancellation()
    with cancelled_by_signals(cancellation), progress() as shown:
        deadline = Deadline.after(seconds, f"{action} of the stack {stack}", cancellation)
        stacks = Stacks(folder, deadline)
        shown.phase(f"stack {stack}: {action}")
        yield Runner(stacks, deadline, showing.showing(shown)), folder


def _require_no_names(runner: Runner, folder: Path, stack: str) -> None:
    """Names must not lead to a cluster that is gone, whose address is soon somebody else's."""
    names = f"{stack}{DNS_SUFFIX}"
    if not (folder / f"Pulumi.{names}.yaml").exists():
        return
    try:
        found = runner.outputs(names)
    except (UnknownStackError, InputError):
        return
    raise InputError(
        f"stack {stack}: found names that lead to it ({', '.join(found.get('names') or ())}), expected none: first "
        f"aphiria-deploy cluster destroy {names} --confirm {names}"
    )


def _makes_credentials(folder: Path, stack: str) -> bool:
    """Whether a stack's program makes the credentials that its resources are deleted with."""
    return _setting(folder, stack, "kind") != "dns"


def _site_of(stack: str) -> str:
    folder = cluster_folder(Path.cwd())
    site = _setting(folder, stack, "site")
    if not site:
        raise InputError(f"stack {stack}: site: found none in its file, expected --site NAME")
    return site


def _setting(folder: Path, stack: str, key: str) -> str:
    config = configuration.read(folder, stack).get("config") or {}
    return str(config.get(f"{configuration.project(folder)}:{key}", ""))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"--for-previews: {file}: {error.strerror}; expected a kubeconfig") from error


def write_secretly(file: Path, text: str) -> None:
    """Writes a file that nobody else may read, also while it is written.

    Raises:
        InputError: It cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            os.fchmod(descriptor, 0o600)
            opened.write(text + "\n")
    except OSError as error:
        raise InputError(f"--file: {file}: {error.strerror}; expected a place that can be written to") from error
