"""A cluster in which previews are deployed: CRDs, the namespaces of the Helm releases, its marker, and its base."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aphiria_deploy import marker
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.deploying import Report, Request, deploy
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Silent
from aphiria_deploy.secrets import SecretInputs
from apps import site
from tests.crds import load_crds
from tests.e2e.control_plane import ControlPlane
from tests.e2e.controllers import Controllers
from tests.e2e.kubelet import Kubelet

SHARED_NAMESPACES = ("nginx-gateway", "cert-manager")
OUTPUTS = {
    "postgresqlAdminUser": "postgres",
    "postgresqlAdminPassword": "the-admin-password",
    "ghcrUsername": "puller",
    "ghcrToken": "the-pull-token",
    "digitaloceanDnsToken": "the-dns-token",
    "backupAccessKeyId": "the-key-id",
    "backupSecretAccessKey": "the-backup-key",
}

_NUMBERS = itertools.count(1)


def inputs(**changes: str) -> SecretInputs:
    """What Secrets are made of."""
    return SecretInputs({name: SecretValue(value) for name, value in (OUTPUTS | changes).items()}, {})


@dataclass
class Heard(Silent):
    """Remembers what it was told."""

    notes: list[str] = field(default_factory=list)
    done: list[tuple[ObjectKey, str]] = field(default_factory=list)
    states: list[tuple[ObjectKey, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    hook: Callable[[str], None] = lambda _: None

    def did(self, key: ObjectKey, what: str) -> None:
        self.done.append((key, what))
        self.hook(what)

    def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
        self.states.append((key, message))

    def log(self, source: str, line: str) -> None:
        self.lines.append(line)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Cluster:
    """The cluster, and what stands in for its nodes and controllers."""

    plane: ControlPlane
    client: Client
    kubelet: Kubelet
    controllers: Controllers

    def deploy(
        self, bundle: Bundle, progress: Silent | None = None, client: Client | None = None, **how: Any
    ) -> Report:
        """Deploys a bundle."""
        settings: dict[str, Any] = {"inputs": inputs(), "timeout": 60.0} | how
        request = Request(bundle=bundle, **settings)
        return deploy(client or self.client, request, progress or Heard(), Cancellation())

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Reads an object."""
        return self.client.find(Ref(Kind(api_version, kind), name, namespace), Deadline.after(20, "the test"))


def mark(client: Client, stack: str = "preview-base") -> None:
    """Puts the marker of the site's cluster into a cluster."""
    deadline = Deadline.after(30, "the marker")
    _, uid = marker.find(client, deadline)
    for manifest in marker.Marker(site.name, stack, uid).manifests():
        client.apply(manifest, deadline, force=True)


def prepare(plane: ControlPlane, client: Client) -> None:
    """Puts into a cluster what the Pulumi program and the Helm releases bring."""
    crds = load_crds()
    plane.apply(*crds)
    for crd in crds:
        plane.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s")
    for name in SHARED_NAMESPACES:
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    mark(client)


def digest(letter: str) -> str:
    """A digest that is easily told from others."""
    return f"sha256:{letter * 64}"


def images(web: str = "a", api: str = "b") -> dict[str, str]:
    """References of the site's images."""
    return {
        "web": f"ghcr.io/aphiria/aphiria.com-web@{digest(web)}",
        "api": f"ghcr.io/aphiria/aphiria.com-api@{digest(api)}",
    }


def preview(number: int | None = None, **refs: str) -> Bundle:
    """A preview of the site that nothing of is there yet, unless a number is given."""
    return site.bundle(f"pr-{number or next(_NUMBERS)}", images(**refs))
