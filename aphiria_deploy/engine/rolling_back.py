"""A rollback: an earlier release as a new revision, without its Jobs, with the Secrets that are there."""

from __future__ import annotations

from dataclasses import replace

from aphiria_deploy.engine.deploying import Report, Request, deploy
from aphiria_deploy.engine.releases import Release, Result
from aphiria_deploy.engine.state import Remembered, State
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Cancellation, Client, Deadline
from aphiria_deploy.progress import Progress

_READ_SECONDS = 30.0


def roll_back(
    client: Client,
    environment: str,
    progress: Progress,
    cancellation: Cancellation,
    *,
    to: int | None = None,
    how: Request | None = None,
) -> Report:
    """Brings an earlier release back.

    The schema of the database stays what it is, and so do the Secrets; both are said.

    Args:
        client: The cluster.
        environment: The environment.
        progress: Is told what happens.
        cancellation: What stops it.
        to: The revision; without one, the newest that was deployed before the present one, or, where the newest
            release failed, the newest that was deployed.
        how: A request whose settings are used; its bundle is the release's.

    Raises:
        InputError: There is no such release, or none to go back to.
    """
    deadline = Deadline.after(_READ_SECONDS, f"reading the releases of {environment}", cancellation)
    target = choose(State(client).of(environment, deadline), environment, to)
    progress.note(
        f"back to revision {target.revision}: no Job runs; the database's schema and the Secrets stay as they are"
    )
    bundle, revision = target.bundle, target.revision
    wanted = replace(
        how or Request(bundle=bundle), bundle=bundle, inputs=None, commit=target.commit, rollback_of=revision
    )
    return deploy(client, wanted, progress, cancellation)


def choose(known: Remembered, environment: str, to: int | None) -> Release:
    """Says which release is brought back.

    Raises:
        InputError: There is no such release, or none to go back to.
    """
    deployed = [header.revision for header in known.headers if header.result is Result.DEPLOYED]
    if to is None:
        newest = known.headers[0].revision if known.headers else 0
        # After a failure the last that was deployed is what one wants back.
        earlier = [revision for revision in deployed if revision < newest]
        if not earlier:
            raise InputError(f"{environment}: found no earlier release that was deployed, expected one to go back to")
        to = earlier[0]
    release = known.release(to)
    if release is None:
        kept = ", ".join(str(header.revision) for header in known.headers) or "none"
        raise InputError(f"{environment}: --to: found {to}, expected one of the releases that are kept: {kept}")
    if release.result is not Result.DEPLOYED:
        raise InputError(
            f"{environment}: --to: found {to}, which {release.result}, expected one that was deployed: "
            f"{', '.join(map(str, deployed)) or 'there is none'}"
        )
    return release
