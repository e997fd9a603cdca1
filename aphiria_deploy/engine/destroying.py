"""The story of a destruction: the database first, then the namespace, then what is remembered; and the proof.

It works from what was recorded in the cluster: no source, no Node.js and no Pulumi is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import msgspec

from aphiria_deploy.bundle import Bundle, Contract, Destruction, Environment, EnvironmentKind, Gone, Manifest
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.applyset import Parent, as_member, is_member
from aphiria_deploy.engine.deleting import delete
from aphiria_deploy.engine.lease import Holder, Lease, exists, held
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE
from aphiria_deploy.engine.state import Remembered, State
from aphiria_deploy.engine.survey import Sought, secret_refs, survey
from aphiria_deploy.engine.waiting import Waiter
from aphiria_deploy.engine.waves import for_deletion
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.progress import Phases, Progress

PREVIEW_NAMESPACE = re.compile(r"preview-pr-[1-9][0-9]*")
"""The only namespaces that are ever deleted."""

_NAMESPACE = Kind("v1", "Namespace")


class DestroyError(AphiriaDeployError):
    """What is to be destroyed is not ours, or does not go."""


@dataclass(frozen=True)
class Receipt:
    """One thing that was there, or may have been.

    Attributes:
        kind: ``database``, ``role``, or a kind of object.
        name: Its name; of an object in a namespace ``namespace/name``.
        gone: Whether it was read back as absent.
    """

    kind: str
    name: str
    gone: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a destruction.

    Attributes:
        environment: Its name.
        result: ``destroyed``, ``absent`` or ``failed``.
        receipt: What is gone, and what is not.
        seconds: How long each phase took.
        total: How long all of it took.
        error: Why it failed.
    """

    environment: str
    result: str
    receipt: Sequence[Receipt]
    seconds: Mapping[str, float] = field(default_factory=dict)
    total: float = 0.0
    error: AphiriaDeployError | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be destroyed, and how.

    Attributes:
        environment: Its name.
        bundle: What to go by where nothing is recorded in the cluster.
        jobs: The Jobs that drop the database, where not those of the bundle: an account may run those of today alone.
        timeout: Seconds that all of it may take.
        wait_for_lock: Seconds to wait for another run to end.
    """

    environment: str
    bundle: Bundle | None = None
    jobs: Sequence[Manifest] | None = None
    timeout: float = 300.0
    wait_for_lock: float = 0.0


def destroy(client: Client, request: Request, progress: Progress, cancellation: Cancellation) -> Report:
    """Removes a preview and proves it.

    Args:
        client: The cluster.
        request: What, and how.
        progress: Is told what happens.
        cancellation: What stops it.

    Returns:
        The report, with the receipt; also of a destruction that failed after it began.

    Raises:
        InputError: It is no preview, or this is not its cluster. Nothing was changed.
        DestroyError: It is not this project's, or nothing says what belongs to it. Nothing was changed.
        LockedError: Somebody else works on it.
    """
    return _Destroy(client, request, progress, cancellation).run()


class _Destroy:
    def __init__(self, client: Client, request: Request, progress: Progress, cancellation: Cancellation) -> None:
        self._client = client
        self._request = request
        self._name = request.environment
        self._progress = progress
        self._phases = Phases(progress)
        self._cancellation = Cancellation(cancellation)
        self._deadline = Deadline.after(request.timeout, f"the destruction of {self._name}", self._cancellation)
        self._state = State(client)
        self._receipt: list[Receipt] = []

    def run(self) -> Report:
        if not re.fullmatch(r"pr-[1-9][0-9]*", self._name):
            raise InputError(f"{self._name}: found no preview, expected pr-N: nothing else is ever destroyed")
        found, uid = marker.find(self._client, self._deadline)
        known = self._state.of(self._name, self._deadline)
        namespace = self._namespace()
        bundle = self._bundle(known) or (_unrecorded(namespace, self._request, found) if namespace else None)
        if bundle is None and namespace is None:
            return self._absent(found)
        if bundle is None:
            raise DestroyError(
                f"{self._name}: found Namespace preview-{self._name} and no release of it in {marker.NAMESPACE}, "
                "expected one: it says what else belongs to it (its database). Give its bundle with --bundle FILE"
            )
        where = f"{self._client.access.where} ({self._client.access.url})"
        marker.require(found, uid, site=bundle.site, stack=bundle.environment.stack, where=where)
        destruction = _require_preview(bundle, self._name)
        if self._request.jobs is not None:
            destruction = msgspec.structs.replace(destruction, jobs=list(self._request.jobs))
        _require_ours(namespace, bundle)
        with self._held() as lease:
            error = self._carry_out(bundle, destruction, lease)
        return self._report("failed" if error else "destroyed", error)

    def _absent(self, found: marker.Marker | None) -> Report:
        if found is None:
            raise marker.WrongClusterError(
                f"{self._client.access.where} ({self._client.access.url}): found no {self._name}, and no marker of a "
                "site's cluster, expected one: that it is not here says nothing; name the right cluster with "
                "--kubeconfig, --context or --outputs"
            )
        if exists(self._client, self._name, self._deadline):
            # Of a run that has just begun: whoever waits for it looks again. Of one that died it goes with this.
            with self._held():
                pass
            return self.run()
        return self._report("absent")

    def _held(self) -> AbstractContextManager[Lease]:
        return held(
            self._client,
            self._name,
            Holder("destroy"),
            self._deadline,
            self._cancellation,
            wait_seconds=self._request.wait_for_lock,
        )

    def _bundle(self, known: Remembered) -> Bundle | None:
        """By what is recorded; of several releases the newest, whether or not it was deployed."""
        return known.newest.bundle if known.newest else self._request.bundle

    def _namespace(self) -> Manifest | None:
        return self._client.find(Ref(_NAMESPACE, f"preview-{self._name}"), self._deadline)

    def _carry_out(self, bundle: Bundle, destruction: Destruction, lease: Lease) -> AphiriaDeployError | None:
        try:
            # Under the lease, as it is now: another run may have ended meanwhile.
            known = self._state.of(self._name, self._deadline)
            with self._phases.phase("database"):
                self._drop(destruction, known, lease)
            with self._phases.phase("objects"):
                self._delete_outside(bundle, destruction, known, lease)
            with self._phases.phase("namespace"):
                self._delete_namespace(bundle, lease)
            with self._phases.phase("record"):
                lease.check()
                for ref in self._state.forget(known, self._deadline):
                    self._gone(ref.kind.name, ref.namespace or "", ref.name)
        except AphiriaDeployError as error:
            lease.check()
            return error
        return None

    def _drop(self, destruction: Destruction, known: Remembered, lease: Lease) -> None:
        """Runs the Jobs that drop the database and its role, and read back that both are absent."""
        set_id = known.as_parent().id
        for job in destruction.jobs:
            before = self._client.find(Ref.of(job), self._deadline)
            lease.check()
            if before:
                delete(self._client, [before], self._progress, self._deadline)
            metadata = job["metadata"]
            labels = {**metadata.get("labels", {}), ENVIRONMENT: self._name}
            wanted = as_member(job | {"metadata": metadata | {"labels": labels}}, set_id)
            since = self._client.now()
            made = self._client.apply(wanted, self._deadline, force=True)
            self._progress.did(ObjectKey.of(made), "created")
            Waiter(self._client, self._progress, self._deadline).until_ready([made], since)
        self._receipt += [Receipt(gone.kind, gone.name, gone=True) for gone in destruction.absent]

    def _delete_outside(self, bundle: Bundle, destruction: Destruction, known: Remembered, lease: Lease) -> None:
        """Deletes what is beside the namespace: Jobs and Secrets beside the database."""
        own = bundle.environment.namespace
        former = [release.bundle for release in known.bundles_since_current()]
        bundles = [bundle, *former]
        secrets = list(
            dict.fromkeys(ref for one in bundles for ref in secret_refs(one.secrets) if ref.namespace != own)
        )
        sought = Sought(
            manifests=[item for item in destruction.jobs if item["metadata"].get("namespace") != own],
            secrets=secrets,
            identities=[],
            parent=_outside_of(known.as_parent(), bundles, own),
            former=[_outside(one, own) for one in bundles],
        )
        live = survey(self._client, sought, self._deadline)
        set_id = known.as_parent().id
        members = [
            item
            for key, item in live.objects.items()
            if key.namespace != own
            and key.group_kind != GroupKind("", "Namespace")
            and is_member(item, set_id, self._name)
        ]
        for group in for_deletion(members):
            lease.check()
            delete(self._client, group, self._progress, self._deadline)
        self._prove_absent(members)

    def _delete_namespace(self, bundle: Bundle, lease: Lease) -> None:
        namespace = self._namespace()
        # Whatever happened meanwhile: what is deleted is what was looked at.
        _require_ours(namespace, bundle)
        lease.check()
        if namespace:
            delete(self._client, [namespace], self._progress, self._deadline)
            self._prove_absent([namespace])
        else:
            self._gone("Namespace", "", bundle.environment.namespace)

    def _prove_absent(self, items: Iterable[Manifest]) -> None:
        """Reads back each object as absent; one that was made anew meanwhile is another one."""
        for item in items:
            ref = Ref.of(item)
            live = self._client.find(ref, self._deadline, metadata_only=True)
            gone = live is None or live["metadata"]["uid"] != item["metadata"]["uid"]
            self._receipt.append(Receipt(ref.kind.name, _called(ref.namespace or "", ref.name), gone))
            if not gone:
                raise DestroyError(f"{ref}: found it still there after it was deleted, expected it gone")

    def _gone(self, kind: str, namespace: str, name: str) -> None:
        self._receipt.append(Receipt(kind, _called(namespace, name), gone=True))

    def _report(self, result: str, error: AphiriaDeployError | None = None) -> Report:
        return Report(
            environment=self._name,
            result=result,
            receipt=tuple(self._receipt),
            seconds=dict(self._phases.seconds),
            total=self._phases.total,
            error=error,
        )


def _unrecorded(namespace: Manifest, request: Request, found: marker.Marker | None) -> Bundle | None:
    """The bundle of a preview whose first deploy was refused before anything of it was recorded.

    There is no more of it than what was made with its account: its namespace. Nobody else's is taken for one; the
    database's Jobs are run all the same, since they prove that there is none.
    """
    labels = namespace["metadata"].get("labels") or {}
    if request.jobs is None or found is None or labels.get(ENVIRONMENT) != request.environment:
        return None
    variables = {
        entry["name"]: entry.get("value", "")
        for job in request.jobs
        for container in job["spec"]["template"]["spec"]["containers"]
        for entry in container.get("env") or ()
    }
    named = {"database": "DATABASE_NAME", "role": "DATABASE_ROLE"}
    gone = [Gone(kind=kind, name=variables[name]) for kind, name in named.items() if name in variables]
    return Bundle(
        site=labels.get(SITE, ""),
        environment=Environment(
            name=request.environment,
            kind=EnvironmentKind.PREVIEW,
            namespace=namespace["metadata"]["name"],
            number=int(request.environment.removeprefix("pr-")),
            stack=found.stack,
        ),
        files=[],
        images={},
        secrets=[],
        base=[],
        urls={},
        checks=[],
        outputs={},
        contract=Contract(),
        destruction=Destruction(jobs=list(request.jobs), absent=gone),
    )


def _require_preview(bundle: Bundle, name: str) -> Destruction:
    environment = bundle.environment
    if environment.kind is not EnvironmentKind.PREVIEW or bundle.destruction is None or environment.name != name:
        raise DestroyError(
            f"{name}: found the bundle of {environment.name}, a {environment.kind}, expected that of the preview {name}"
            ": nothing else is ever destroyed"
        )
    if environment.namespace != f"preview-{name}" or not PREVIEW_NAMESPACE.fullmatch(environment.namespace):
        raise DestroyError(
            f"{name}: environment.namespace: found {environment.namespace}, expected preview-{name}: nothing was "
            "changed"
        )
    return bundle.destruction


def _require_ours(namespace: Manifest | None, bundle: Bundle) -> None:
    if namespace is None:
        return
    labels = namespace["metadata"].get("labels") or {}
    wanted = {
        "app.kubernetes.io/managed-by": "aphiria-deploy",
        ENVIRONMENT: bundle.environment.name,
        SITE: bundle.site,
    }
    for label, value in wanted.items():
        if labels.get(label) != value:
            raise DestroyError(
                f"Namespace {namespace['metadata']['name']}: metadata.labels[{label}]: found {labels.get(label)!r}, "
                f"expected {value!r}: it is not this environment's, and was not touched"
            )


def _outside(bundle: Bundle, own: str) -> Bundle:
    """The bundle without what goes with the namespace."""
    files = [
        msgspec.structs.replace(file, manifests=[item for item in file.manifests if _is_outside(item, own)])
        for file in bundle.files
    ]
    return msgspec.structs.replace(bundle, files=files, hash="")


def _outside_of(parent: Parent, bundles: Sequence[Bundle], own: str) -> Parent:
    """The parent without the kinds that bundles have in the namespace alone.

    Where another one is that the parent names is not known, so it is looked for; these are nowhere else, and the
    account of a preview may not even ask.
    """
    items = [item for bundle in bundles for item in bundle.manifests]
    inside = {GroupKind.of(item) for item in items} - {GroupKind.of(item) for item in items if _is_outside(item, own)}
    return replace(parent, group_kinds=parent.group_kinds - inside)


def _is_outside(item: Manifest, own: str) -> bool:
    return bool(item["kind"] != "Namespace" and item["metadata"].get("namespace") != own)


def _called(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
