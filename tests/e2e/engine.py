"""A cluster in which previews are deployed: CRDs, the namespaces of the Helm releases, its marker, and its base."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.engine import destroying, marker
from aphiria_deploy.engine.applyset import PART_OF
from aphiria_deploy.engine.deploying import Report, Request, deploy
from aphiria_deploy.engine.plan import Step
from aphiria_deploy.engine.rolling_back import roll_back
from aphiria_deploy.engine.state import Remembered, State
from aphiria_deploy.errors import NotFoundError
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref, Tried, load
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Silent
from aphiria_deploy.secrets import SecretInputs
from apps import site
from tests.crds import load_crds
from tests.e2e.controllers import Controllers
from tests.e2e.kubelet import Kubelet
from tests.e2e.plane import Plane
from tests.e2e.pod_status import Behaviour

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
class Requests:
    """Counts the requests that a client makes."""

    made: list[Tried] = field(default_factory=list)

    def __call__(self, tried: Tried) -> None:
        self.made.append(tried)

    @property
    def writes(self) -> list[Tried]:
        """Those that change something."""
        return [one for one in self.made if one.method != "GET" and "dryRun=All" not in one.target]

    @property
    def dry_runs(self) -> list[Tried]:
        """Those that ask what a change would do."""
        return [one for one in self.made if "dryRun=All" in one.target]

    @property
    def watches(self) -> list[Tried]:
        """Those that watch."""
        return [one for one in self.made if "watch=true" in one.target]

    @property
    def reads(self) -> list[Tried]:
        """Those that read once."""
        return [one for one in self.made if one.method == "GET" and "watch=true" not in one.target]


@dataclass
class Cluster:
    """The cluster, and what stands in for its nodes and controllers."""

    plane: Plane
    client: Client
    kubelet: Kubelet
    controllers: Controllers
    behaviours: dict[tuple[str, str, str], Behaviour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kubelet.rule = self._behaviour

    def deploy(
        self, bundle: Bundle, progress: Silent | None = None, client: Client | None = None, **how: Any
    ) -> Report:
        """Deploys a bundle."""
        cancellation = how.pop("cancellation", None) or Cancellation()
        settings: dict[str, Any] = {"inputs": inputs(), "timeout": 60.0} | how
        request = Request(bundle=bundle, **settings)
        return deploy(client or self.client, request, progress or Heard(), cancellation)

    def roll_back(self, environment: str, client: Client | None = None, *, to: int | None = None) -> Report:
        """Brings a release back."""
        return roll_back(client or self.client, environment, Heard(), Cancellation(), to=to)

    def destroy(
        self, environment: str, progress: Silent | None = None, client: Client | None = None, **how: Any
    ) -> destroying.Report:
        """Destroys a preview."""
        cancellation = how.pop("cancellation", None) or Cancellation()
        request = destroying.Request(environment=environment, **({"timeout": 60.0} | how))
        return destroying.destroy(client or self.client, request, progress or Heard(), cancellation)

    def remembered(self, environment: str) -> Remembered:
        """What is remembered of an environment."""
        return State(self.client).of(environment, soon())

    @contextmanager
    def asked(self) -> Iterator[tuple[Client, Requests]]:
        """A client of its own, and the requests that it makes."""
        requests = Requests()
        with Client(load(self.plane.kubeconfig), observe=requests) as client:
            yield client, requests

    @contextmanager
    def behaving(self, namespace: str, image: str = "", **containers: Behaviour) -> Iterator[None]:
        """While in the block, containers in a namespace do this, by their names: those of an image, where one is said.

        What runs already is to be left out by that: it would do so too.
        """
        these = {(namespace, name.replace("_", "-"), image): behaviour for name, behaviour in containers.items()}
        self.behaviours |= these
        try:
            yield
        finally:
            for key in these:
                self.behaviours.pop(key, None)
            self._look_again(namespace)

    def ready(self, namespace: str) -> None:
        """Lets the containers in a namespace do as usual from now on."""
        for key in [key for key in self.behaviours if key[0] == namespace]:
            del self.behaviours[key]
        self._look_again(namespace)

    def _look_again(self, namespace: str) -> None:
        """Has the kubelet see to pods that have been left as they were."""
        for pod in self.listed("v1", "Pod", namespace):
            with contextlib.suppress(NotFoundError):
                self.client.patch(Ref.of(pod), {"metadata": {"annotations": {"kubelet.test/seen": "again"}}}, soon())

    def find(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Reads an object that may not be there."""
        return self.client.find(Ref(Kind(api_version, kind), name, namespace), soon())

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads an object."""
        found = self.find(api_version, kind, name, namespace)
        assert found, f"there is no {kind} {namespace}/{name}"
        return found

    def listed(self, api_version: str, kind: str, namespace: str, labels: str = "") -> list[dict[str, Any]]:
        """Lists objects."""
        return self.client.list(Kind(api_version, kind), soon(), namespace=namespace, labels=labels).items

    def secret(self, name: str, namespace: str) -> dict[str, str]:
        """The values of a Secret."""
        data = self.get("v1", "Secret", name, namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def pods(self, namespace: str, app: str = "") -> dict[str, str]:
        """The UIDs of the pods that are not about to go, by their names."""
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in self.listed("v1", "Pod", namespace, f"app={app}" if app else "")
            if not pod["metadata"].get("deletionTimestamp") and pod["status"].get("phase") != "Succeeded"
        }

    def leftovers(self, environment: str) -> list[str]:
        """What is there of an environment, wherever it is; its Lease and what is remembered of it too."""
        part = re.compile(rf"\b{re.escape(environment)}\b")
        return [line for line in self._everything() if part.search(line)]

    def members(self, environment: str) -> set[str]:
        """The members of an environment's ApplySet, wherever they are."""
        return set(self._everything(f"--selector={PART_OF}={self.remembered(environment).as_parent().id}"))

    def _everything(self, *selected: str) -> list[str]:
        found = self.plane.kubectl(
            "get",
            "namespaces,secrets,configmaps,jobs,pods,deployments,services,leases",
            "--all-namespaces",
            *selected,
            "--output=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{'\\n'}{end}",
        )
        assert found.returncode == 0, found.stderr
        return [line.replace(" /", " ") for line in found.stdout.splitlines()]

    def _behaviour(self, pod: Mapping[str, Any], container: str) -> Behaviour | None:
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        images = {one["name"]: one["image"] for one in [*spec["containers"], *spec.get("initContainers", ())]}
        of_image = self.behaviours.get((namespace, container, images[container]))
        return of_image or self.behaviours.get((namespace, container, ""))


def soon() -> Deadline:
    """More than a look takes."""
    return Deadline.after(30, "the test")


def steps(report: Report) -> dict[str, Step]:
    """The steps of a report's plan, by the names of their objects."""
    assert report.plan, report.error
    return {str(step.key): step for step in report.plan.steps}


def mark(client: Client, stack: str = "preview-base") -> None:
    """Puts the marker of the site's cluster into a cluster."""
    deadline = Deadline.after(30, "the marker")
    _, uid = marker.find(client, deadline)
    for manifest in marker.Marker(site.name, stack, uid).manifests():
        client.apply(manifest, deadline, force=True)


def prepare(plane: Plane, client: Client, stack: str = "preview-base") -> None:
    """Puts into a cluster what a stack of the Pulumi program and its Helm releases bring."""
    crds = load_crds()
    plane.apply(*crds)
    for crd in crds:
        plane.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s")
    for name in SHARED_NAMESPACES:
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    mark(client, stack)


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
