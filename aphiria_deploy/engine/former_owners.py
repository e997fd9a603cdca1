"""Whose an object is that is not ours: a Helm release, an application of a GitOps controller, or commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.managed_fields import managers
from aphiria_deploy.kube import Kind, Ref

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
TRACKING_ID = "argocd.argoproj.io/tracking-id"

_APPLICATION = Kind("argoproj.io/v1alpha1", "Application")
_ARGO_NAMESPACE = "argocd"
# By the beginning of the labels that tell which one it was.
_FLUX: Mapping[str, Kind] = {
    "kustomize.toolkit.fluxcd.io": Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    "helm.toolkit.fluxcd.io": Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
}


@dataclass(frozen=True)
class Controlled:
    """What a controller applies an object from.

    Attributes:
        by: Whose controller it is: ``Flux``, ``Argo CD``.
        ref: The object that tells the controller what to apply.
        stop: The command that has it leave everything as it is.
        forget: The command that then removes it, and nothing that it made.
    """

    by: str
    ref: Ref
    stop: str
    forget: str

    def __str__(self) -> str:
        return f"{self.by}'s {self.ref}"

    def is_active(self, found: Manifest) -> bool:
        """Whether the controller would set back what somebody else changes.

        Args:
            found: The object that tells it what to apply, as it is.
        """
        spec = found.get("spec") or {}
        if self.ref.kind == _APPLICATION:
            automated = (spec.get("syncPolicy") or {}).get("automated")
            return automated is not None and automated.get("enabled") is not False
        return not spec.get("suspend")


@dataclass(frozen=True)
class LeftBehind:
    """What former owners have beside an environment's objects.

    Attributes:
        records: Helm's records of the releases that made some of them: these go.
        objects: What else they made, and the site does not name, each with who made it: these stay.
        unseen: Where nobody could look for such, since whoever asked may not.
    """

    records: tuple[Manifest, ...] = ()
    objects: tuple[tuple[Manifest, str], ...] = ()
    unseen: tuple[str, ...] = ()


NOTHING_LEFT = LeftBehind()


def controlled(live: Mapping[str, Any]) -> Controlled | None:
    """Gives what a controller has applied an object from; None where none has."""
    labels = live["metadata"].get("labels") or {}
    for prefix, kind in _FLUX.items():
        name, namespace = labels.get(f"{prefix}/name"), labels.get(f"{prefix}/namespace")
        if name and namespace:
            what = f"{kind.name.lower()} {name} --namespace {namespace}"
            # What is suspended deletes nothing when it goes.
            return Controlled("Flux", Ref(kind, name, namespace), f"flux suspend {what}", f"flux delete {what}")
    # NAME:…, or NAMESPACE_NAME:… of an application outside of Argo CD's own namespace.
    owner, colon, _ = _annotation(live, TRACKING_ID).partition(":")
    if not colon:
        return None
    namespace, _, name = owner.rpartition("_")
    ref = Ref(_APPLICATION, name, namespace or _ARGO_NAMESPACE)
    what = f"{ref.namespace}/{name}"
    return Controlled(
        "Argo CD", ref, f"argocd app set {what} --sync-policy none", f"argocd app delete {what} --cascade=false"
    )


def helm_release(live: Mapping[str, Any]) -> tuple[str, str] | None:
    """Gives the namespace and the name of the Helm release that an object is of; None where it is of none."""
    name = _annotation(live, RELEASE_NAME)
    return (_annotation(live, RELEASE_NAMESPACE), name) if name else None


def owner(live: Mapping[str, Any]) -> str:
    """Says whose an object is; nothing where nobody says so."""
    # First the controllers: what Flux has Helm install is a release too.
    if controller := controlled(live):
        return str(controller)
    if release := helm_release(live):
        return f"the Helm release {'/'.join(filter(None, release))}"
    return ", ".join(sorted(filter(None, managers(live))))


def _annotation(live: Mapping[str, Any], name: str) -> str:
    return str((live["metadata"].get("annotations") or {}).get(name) or "")
