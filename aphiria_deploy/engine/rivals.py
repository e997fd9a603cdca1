"""Controllers that would set back what is taken over: each has to be stopped first. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.former_owners import controlled
from aphiria_deploy.engine.refusals import PlanError
from aphiria_deploy.errors import Errors
from aphiria_deploy.kube import Client, Deadline, concurrently
from aphiria_deploy.objects import ObjectKey


def require_stopped(client: Client, strangers: Iterable[Manifest], deadline: Deadline) -> None:
    """Checks that no controller in this cluster still applies what is taken over.

    Args:
        client: The cluster.
        strangers: The objects that are taken over.
        deadline: By when.

    Raises:
        PlanError: One does.
        CombinedError: Several do.
    """
    told = {by: item for item in strangers if (by := controlled(item))}
    looks = [partial(client.find, by.ref, deadline) for by in told]
    errors = Errors()
    for (by, item), outcome in zip(told.items(), concurrently(looks, deadline.cancellation), strict=True):
        found = outcome.get()
        if found is None or not by.is_active(found):
            continue
        with errors.collected():
            raise PlanError(
                f"{ObjectKey.of(item)}: found {by}, which applies it and would set it back, expected it to be stopped: "
                f"{by.stop}, deploy with --take-over, and then have {by.by} forget it without deleting anything: "
                f"{by.forget}"
            )
    errors.raise_all()
