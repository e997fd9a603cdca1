"""What is refused before anything is written, and what is said of it. Pure."""

from __future__ import annotations

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.former_owners import owner
from aphiria_deploy.engine.managed_fields import managers, owned_fields
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE
from aphiria_deploy.errors import AphiriaDeployError, ConflictError, InvalidError
from aphiria_deploy.kube import FIELD_MANAGER
from aphiria_deploy.objects import ObjectKey

_WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


class PlanError(AphiriaDeployError):
    """The cluster would refuse what is planned, or it would touch what is not ours."""


def refuse_another_s(key: ObjectKey, live: Manifest, environment: str, site: str, *, take_over: bool) -> None:
    """Refuses to touch an object that is not ours.

    Args:
        key: Which object.
        live: The object as it is.
        environment: Whose it is to be.
        site: Of which site.
        take_over: Whether what nobody else's environment has is taken over.

    Raises:
        PlanError: It is another environment's, or somebody else's and is not to be taken over.
    """
    labels = live["metadata"].get("labels") or {}
    found = labels.get(ENVIRONMENT)
    if found not in {None, environment} or labels.get(SITE) not in {None, site}:
        raise PlanError(
            f"{key}: found the object of {labels.get(SITE, 'another site')}'s environment {found}, expected none, "
            f"or one of {environment}: two environments cannot share an object"
        )
    if owned_fields(live) is None and not take_over:
        fields = ", ".join(sorted(filter(None, managers(live)))) or "somebody else"
        whose = owner(live)
        of = f"it is of {whose}, " if whose and whose != fields else ""
        raise PlanError(
            f"{key}: found one that this tool did not make ({of}its fields are {fields}'s), expected none: nothing was "
            "touched; to make it this environment's, say --take-over, with --plan to see first what that changes"
        )


def explained(key: ObjectKey, live: Manifest | None, error: AphiriaDeployError) -> AphiriaDeployError:
    """Says of what the server refused what it means, where that is known.

    Args:
        key: Which object.
        live: The object as it is; None where it is not.
        error: What the server said.
    """
    if isinstance(error, ConflictError) and error.conflicts:
        fields = "; ".join(f"{conflict.field} is {conflict.manager}'s" for conflict in error.conflicts)
        return PlanError(
            f"{key}: found fields that others own: {fields}; expected them to be {FIELD_MANAGER}'s: take them out "
            "of the site, or say --take-over"
        )
    if isinstance(error, InvalidError) and error.immutable_fields:
        fields = ", ".join(error.immutable_fields)
        return PlanError(
            f"{key}: {fields}: found a change, expected none: the field is immutable, so the object would have to "
            f"be replaced, and nothing but Jobs ever is; {_instead(key, live)}: {error}"
        )
    return error


def _instead(key: ObjectKey, live: Manifest | None) -> str:
    if live is None or key.group_kind.kind not in _WITH_PODS:
        return "give it another name, or delete it first"
    orphan = f"kubectl delete {key.group_kind.kind.lower()} {key.name} --namespace {key.namespace} --cascade=orphan"
    return (
        "have the site keep what is there, or give it another name; or, where the site's selector fits the pods that "
        f"are there too, delete it without them, so that they serve on ({orphan}), and deploy again"
    )
