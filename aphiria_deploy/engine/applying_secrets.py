"""Makes an environment's Secrets alone, for those who apply its manifests with ``kubectl``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.lease import Holder, held
from aphiria_deploy.engine.plan import Action, Step, secret_step
from aphiria_deploy.engine.state import SECRET, State
from aphiria_deploy.engine.wanted import wanted_secrets
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref, concurrently
from aphiria_deploy.secrets import SecretInputs, SecretRef, make_secrets

_NAMESPACE = Kind("v1", "Namespace")


@dataclass(frozen=True)
class Made:
    """A Secret, and what was done to it.

    Attributes:
        ref: Which one.
        action: What was done.
        keys: The keys whose value changed.
        version: Its version now.
    """

    ref: SecretRef
    action: Action
    keys: tuple[str, ...]
    version: int


def apply_secrets(
    client: Client, bundle: Bundle, inputs: SecretInputs, deadline: Deadline, cancellation: Cancellation
) -> list[Made]:
    """Makes the Secrets of a bundle; those that are as they should be are not written.

    Args:
        client: The cluster.
        bundle: The bundle.
        inputs: What the Secrets are made of.
        deadline: By when.
        cancellation: What stops it.

    Raises:
        InputError: A namespace is missing.
        LockedError: Somebody else works on the environment.
        SecretConflictError: A Secret in the cluster cannot become what it has to be.
    """
    environment = bundle.environment
    found, uid = marker.find(client, deadline)
    where = f"{client.access.where} ({client.access.url})"
    to_write = marker.require(found, uid, site=bundle.site, stack=environment.stack, where=where)
    _require_namespaces(client, bundle, deadline)
    for manifest in to_write.manifests() if to_write else ():
        client.apply(manifest, deadline)
    with held(client, environment.name, Holder("secrets apply"), deadline, cancellation) as lease:
        known = State(client).of(environment.name, deadline)
        refs = [Ref(SECRET, spec.name, spec.namespace) for spec in bundle.secrets]
        live = [outcome.get() for outcome in concurrently([partial(client.find, ref, deadline) for ref in refs])]
        made = make_secrets(bundle.secrets, inputs, [item for item in live if item], recorded=known.secret_versions)
        manifests = wanted_secrets(bundle, made, known.as_parent().id)
        done = []
        for secret, manifest, before in zip(made, manifests, live, strict=True):
            step: Step = secret_step(manifest, before)
            if step.action is not Action.NOTHING:
                lease.check()
                client.apply(manifest, deadline, force=step.force)
            done.append(Made(secret.ref, step.action, secret.changed, secret.version))
        return done


def _require_namespaces(client: Client, bundle: Bundle, deadline: Deadline) -> None:
    for name in sorted({spec.namespace for spec in bundle.secrets}):
        if client.find(Ref(_NAMESPACE, name), deadline, metadata_only=True) is None:
            raise InputError(
                f"Namespace {name}: found none, expected the one of the environment's Secrets: apply its first file "
                f"before (kubectl apply --server-side -f dist/{bundle.environment.name}/10-base.k8s.yaml)"
            )
