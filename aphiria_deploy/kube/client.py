"""The verbs of the Kubernetes API on plain JSON objects, as a deploy needs them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import ClusterUnavailableError, GoneError, NotFoundError, UnknownKindError
from aphiria_deploy.kube import kubeconfig as kubeconfigs
from aphiria_deploy.kube.access import Access, Credentials
from aphiria_deploy.kube.caller import Caller, Manners, Tried
from aphiria_deploy.kube.deadline import Deadline
from aphiria_deploy.kube.mapping import (
    DISCOVERY,
    DISCOVERY_ACCEPT,
    KNOWN,
    Kind,
    Ref,
    Resource,
    collection_path,
    discovered,
    object_path,
)
from aphiria_deploy.kube.masking import secrets_of
from aphiria_deploy.kube.retries import Repeat
from aphiria_deploy.kube.seen import Seen, older
from aphiria_deploy.kube.transport import Request, Stream

FIELD_MANAGER = "aphiria-deploy"
"""Under which name the fields that we set are ours. It never changes."""

PAGE = 500
"""How many objects a list takes at a time."""

_JSON = {"Content-Type": "application/json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class Patch(StrEnum):
    """How a patch is written."""

    MERGE = "application/merge-patch+json"
    """RFC 7396: a partial object; null removes."""

    JSON = "application/json-patch+json"
    """RFC 6902: a list of operations."""


@dataclass(frozen=True)
class Version:
    """What the API server says that it is: ``v1.36.2``."""

    git_version: str
    major: str
    minor: str


@dataclass(frozen=True)
class ObjectList:
    """The objects of a kind, as they were at one moment.

    Attributes:
        items: The objects, each with its apiVersion and kind.
        resource_version: The moment: where a watch goes on.
    """

    items: list[Manifest]
    resource_version: str


class Client:
    """A cluster's API server. Any number of threads may use it.

    Every method that asks the server raises what `Caller.call` raises.

    Args:
        access: The server, and how to be let in.
        manners: How it is asked.
        observe: Is told of each request that was made, by the thread that made it.
        warn: Is given each warning of the server, with what the request does.

    Attributes:
        seen: The newest that was seen of each kind.
    """

    def __init__(
        self,
        access: Access,
        *,
        manners: Manners | None = None,
        observe: Callable[[Tried], None] | None = None,
        warn: Callable[[str, str], None] | None = None,
    ) -> None:
        self._caller = Caller(access, manners=manners, observe=observe, warn=warn)
        self._lock = threading.Lock()
        self._discovered: dict[Kind, Resource] = {}
        self.seen = Seen()

    @classmethod
    def load(cls, kubeconfig: Path | None = None, context: str | None = None, **settings: Any) -> Self:
        """The cluster that the kubeconfig names; nothing is asked of it yet.

        Args:
            kubeconfig: The file of ``--kubeconfig``.
            context: The context of ``--context``.
            settings: As of the class.

        Raises:
            KubeconfigError: There is none that can be used.
            CredentialError: It names a credential of a kind that is not known.
        """
        return cls(kubeconfigs.load(kubeconfig, context), **settings)

    @property
    def access(self) -> Access:
        """The server, and how to be let in."""
        return self._caller.access

    @property
    def manners(self) -> Manners:
        """How it is asked."""
        return self._caller.manners

    @property
    def width(self) -> int:
        """How many requests at a time are worth it, by how far away the server is."""
        return self._caller.width

    @property
    def connections(self) -> int:
        """How many connections were made so far, for counting."""
        return self._caller.connections

    def now(self) -> datetime:
        """The present by the cluster's clock, which is the one that timestamps in objects are compared with."""
        return self._caller.clock.now()

    def as_another(self, credentials: Credentials, where: str) -> Client:
        """The same server, asked in the same manner and with the same observers, as somebody else.

        Args:
            credentials: Who asks.
            where: What the server is called in messages.
        """
        access = replace(self.access, credentials=credentials, where=where)
        caller = self._caller
        return Client(access, manners=caller.manners, observe=caller._observe, warn=caller._warn)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, deadline: Deadline, seconds: float = 5.0) -> Version:
        """Asks what the server is, before anything else is asked of it: it has this long, retries included."""
        soon = deadline.within(seconds, f"the first answer of {self.access.url}")
        request = Request("GET", "/version", f"probe {self.access.url}")
        document = self._caller.call(request, soon, Repeat.SAFE)
        try:
            return Version(document["gitVersion"], document["major"], document["minor"])
        except KeyError as error:
            raise ClusterUnavailableError(
                f"probe {self.access.url} ({self.access.where}): the answer has no {error}; expected the version of an "
                "API server: is this its address?",
                transient=False,
            ) from None

    def get(self, ref: Ref, deadline: Deadline, *, metadata_only: bool = False) -> Manifest:
        """Reads an object.

        Raises:
            NotFoundError: There is none.
        """
        headers = {"Accept": _METADATA.format("")} if metadata_only else {}
        request = Request("GET", self._path(ref, deadline), f"get {ref}", headers=headers)
        document = self._caller.call(request, deadline, Repeat.SAFE)
        return _named(document, ref.kind)

    def find(self, ref: Ref, deadline: Deadline, *, metadata_only: bool = False) -> Manifest | None:
        """Reads an object that may not be there; nor may its kind."""
        try:
            return self.get(ref, deadline, metadata_only=metadata_only)
        except (NotFoundError, UnknownKindError):
            return None

    def list(
        self,
        kind: Kind,
        deadline: Deadline,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        page: int = PAGE,
    ) -> ObjectList:
        """Reads all objects of a kind, a page at a time, as they are now.

        A list that is older than what this client has already seen or written of the kind is asked for again.

        Args:
            kind: The kind.
            deadline: By when.
            namespace: In which namespace; in all of them where there is none.
            labels: A label selector.
            fields: A field selector.
            metadata_only: Whether the objects have their metadata alone, which is much smaller.
            page: How many objects a page has.
        """
        what = f"list {kind.name}{f' in {namespace}' if namespace else ''}"
        path = self._collection(kind, namespace, deadline)
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(page)}
        headers = {"Accept": _METADATA.format("List")} if metadata_only else {}
        patience = deadline.within(self.manners.patience_seconds)
        while True:
            newest = self.seen.newest(kind)
            found = self._pages(path, {name: value for name, value in query.items() if value}, headers, what, deadline)
            if not older(found.resource_version, newest):
                self.seen.saw(kind, found.resource_version)
                return ObjectList([_named(item, kind) for item in found.items], found.resource_version)
            if patience.remaining < 1:
                raise ClusterUnavailableError(
                    f"{what}: found the objects as of resource version {found.resource_version}, expected {newest} or "
                    "newer: an API server, or a cache before it, has fallen behind"
                )
            deadline.sleep(0.5 * self.manners.chance(), what)

    def _pages(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], what: str, deadline: Deadline
    ) -> ObjectList:
        items: list[Manifest] = []
        document: dict[str, Any] = {}
        more: dict[str, str] = {}
        while True:
            request = Request("GET", _with_query(path, {**query, **more}), what, headers=headers)
            try:
                document = self._caller.call(request, deadline, Repeat.SAFE)
            except GoneError:
                if not more:
                    raise
                # The rest is no longer kept: once more, and all of it at once.
                items, more = [], {"limit": ""}
                continue
            items += document.get("items") or ()
            metadata = document.get("metadata") or {}
            if not metadata.get("continue"):
                return ObjectList(items, str(metadata.get("resourceVersion") or ""))
            more = {"continue": metadata["continue"]}

    def apply(
        self,
        manifest: Manifest,
        deadline: Deadline,
        *,
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
        manager: str = FIELD_MANAGER,
    ) -> Manifest:
        """Applies a manifest, server-side and strictly: unknown and duplicate fields are refused.

        Args:
            manifest: What is wanted.
            deadline: By when.
            force: Whether fields of other managers are taken over.
            dry_run: Whether the server does everything but keep it.
            subresource: ``status``, for example.
            manager: In whose name.

        Returns:
            The object as it is now; of a dry run, as it would be.

        Raises:
            ConflictError: Other managers own some of the fields.
            BadRequestError: The manifest has fields that there are not.
            InvalidError: A value is not valid, or a field is immutable.
        """
        ref = Ref.of(manifest)
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": _flag(force), "dryRun": _all(dry_run)}
        what = f"{'try to apply' if dry_run else 'apply'} {ref}"
        path = _with_query(self._path(ref, deadline, subresource), query)
        request = Request("PATCH", path, what, msgspec.json.encode(manifest), _APPLY)
        builds_on = "resourceVersion" in manifest["metadata"] and not dry_run
        return self._write(request, ref, deadline, Repeat.UNSAFE if builds_on else Repeat.SAFE, manifest)

    def create(self, manifest: Manifest, deadline: Deadline, *, dry_run: bool = False) -> Manifest:
        """Creates an object.

        Args:
            manifest: The object; it may have a ``generateName`` in place of a name.
            deadline: By when.
            dry_run: Whether the server does everything but keep it.

        Raises:
            AlreadyExistsError: There is one.
            OutcomeUnknownError: The request was cut, and may have been done.
        """
        metadata = manifest["metadata"]
        ref = Ref(Kind.of(manifest), metadata.get("name") or f"{metadata['generateName']}…", metadata.get("namespace"))
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "dryRun": _all(dry_run)}
        path = self._path(ref, deadline).rpartition("/")[0]
        request = Request("POST", _with_query(path, query), f"create {ref}", msgspec.json.encode(manifest), _JSON)
        return self._write(request, ref, deadline, Repeat.SAFE if dry_run else Repeat.UNSAFE, manifest)

    def ask_of(self, ref: Ref, subresource: str, manifest: Manifest, deadline: Deadline) -> Manifest:
        """Posts to a subresource: a TokenRequest to ``token``, a Binding to ``binding``, an Eviction to ``eviction``.

        Raises:
            NotFoundError: There is no such object.
            OutcomeUnknownError: The request was cut, and may have been done.
        """
        path = self._path(ref, deadline, subresource)
        request = Request("POST", path, f"ask for the {subresource} of {ref}", msgspec.json.encode(manifest), _JSON)
        return self._caller.call(request, deadline, Repeat.UNSAFE)

    def review(self, question: Manifest, deadline: Deadline) -> Manifest:
        """Asks what is asked by creating an object that is answered and not kept: a SelfSubjectReview, for example."""
        path = self._collection(Kind.of(question), None, deadline)
        request = Request("POST", path, f"ask for a {question['kind']}", msgspec.json.encode(question), _JSON)
        return self._caller.call(request, deadline, Repeat.SAFE)

    def replace(self, manifest: Manifest, deadline: Deadline, *, dry_run: bool = False) -> Manifest:
        """Replaces an object by one that was read before and then changed: only if nobody else has changed it since.

        Raises:
            ConflictError: Somebody has.
            OutcomeUnknownError: The request was cut, and may have been done.
        """
        ref = Ref.of(manifest)
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "dryRun": _all(dry_run)}
        path = _with_query(self._path(ref, deadline), query)
        request = Request("PUT", path, f"replace {ref}", msgspec.json.encode(manifest), _JSON)
        return self._write(request, ref, deadline, Repeat.SAFE if dry_run else Repeat.UNSAFE, manifest)

    def patch(
        self,
        ref: Ref,
        change: Mapping[str, Any] | Sequence[Any],
        deadline: Deadline,
        *,
        how: Patch = Patch.MERGE,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Manifest:
        """Changes a part of an object; with a ``metadata.resourceVersion`` in it, only if nobody else has since.

        Raises:
            NotFoundError: There is none.
            ConflictError: Somebody has.
            OutcomeUnknownError: The request was cut, and may have been done.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "dryRun": _all(dry_run)}
        path = _with_query(self._path(ref, deadline, subresource), query)
        request = Request("PATCH", path, f"change {ref}", msgspec.json.encode(change), {"Content-Type": how.value})
        body = dict(change) if isinstance(change, Mapping) else {}
        return self._write(
            request, ref, deadline, Repeat.SAFE if dry_run else Repeat.UNSAFE, {"kind": ref.kind.name, **body}
        )

    def delete(
        self,
        ref: Ref,
        deadline: Deadline,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Foreground",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Manifest | None:
        """Has an object deleted, and does not wait until it is gone.

        Args:
            ref: The object.
            deadline: By when.
            uid: Only if it is still this one. Without it a cut request is not made again.
            resource_version: Only if nobody has changed it since.
            propagation: ``Foreground``, ``Background`` or ``Orphan``. In the foreground every object goes a little
                later, whether or not anything belongs to it.
            grace_seconds: How long a pod gets to end, where not as long as it asks for itself.
            dry_run: Whether the server does everything but delete it.

        Returns:
            The object as it is now, where it goes later; nothing where it is gone, or was.

        Raises:
            ConflictError: It is another one, or was changed.
            OutcomeUnknownError: The request was cut, and may have been done.
        """
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {name: value for name, value in conditions.items() if value},
            "dryRun": ["All"] if dry_run else [],
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        what = f"{'try to delete' if dry_run else 'delete'} {ref}"
        request = Request("DELETE", self._path(ref, deadline), what, msgspec.json.encode(options), _JSON)
        repeat = Repeat.SAFE if dry_run or (uid and not resource_version) else Repeat.UNSAFE
        try:
            document = self._write(request, ref, deadline, repeat, {})
        except (NotFoundError, UnknownKindError):
            return None
        return None if document.get("kind") == "Status" else document

    def logs(
        self,
        pod: str,
        namespace: str,
        deadline: Deadline,
        *,
        container: str | None = None,
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        """Reads the log of a container, line by line.

        Args:
            pod: The pod's name.
            namespace: Its namespace.
            deadline: By when the log must have been read; by when following it ends, with an error.
            container: Which of its containers, where it has several.
            follow: Whether to wait for what is still written, until the container ends.
            previous: Whether to read that of the container's instance before this one.
            tail: How many of the last lines.
            timestamps: Whether each line begins with its time.

        Raises:
            BadRequestError: The container has not started, or there was none before it.
            ClusterUnavailableError: The log was cut.
        """
        query = {
            "container": container or "",
            "follow": _flag(follow),
            "previous": _flag(previous),
            "tailLines": "" if tail is None else str(tail),
            "timestamps": _flag(timestamps),
        }
        ref = Ref(Kind("v1", "Pod"), pod, namespace)
        path = _with_query(self._path(ref, deadline, "log"), query)
        request = Request("GET", path, f"read the log of {ref}", headers={"Accept": "*/*"})
        with self._caller.stream(request, deadline) as stream:
            for line in stream.lines():
                yield line.decode(errors="replace")

    def events(self, of: Manifest, deadline: Deadline) -> Sequence[Manifest]:
        """Reads the events about an object, the oldest first: those of this one, not of another of its name.

        Events are hints: the server forgets them after an hour, and may drop some.
        """
        metadata = of["metadata"]
        found = self.list(
            Kind("v1", "Event"),
            deadline,
            namespace=metadata.get("namespace") or "default",
            fields=f"involvedObject.uid={metadata['uid']}",
        )
        return sorted(found.items, key=event_time)

    def kind(self, group: str, name: str, deadline: Deadline) -> Kind | None:
        """The kind of a group in the version that the server prefers; None where it serves none of it."""
        for again in (False, True):
            if again or not self._discovered:
                self._discover(deadline)
            for known in self._discovered:
                if (known.group, known.name) == (group, name):
                    return known
        return None

    def serves(self, kind: Kind, deadline: Deadline) -> bool:
        """Whether the server knows the kind in this version: asked of it, whatever the table says."""
        self._discover(deadline)
        return kind in self._discovered

    def is_namespaced(self, kind: Kind, deadline: Deadline) -> bool:
        """Whether objects of a kind are in namespaces.

        Raises:
            UnknownKindError: The server does not serve it.
        """
        return self._resource(kind, deadline).namespaced

    @contextlib.contextmanager
    def watch_stream(
        self, kind: Kind, query: Mapping[str, str], begin: Deadline, *, namespace: str | None, metadata_only: bool
    ) -> Iterator[Stream]:
        """One watch request, as it is: `watch` is what is to be used."""
        path = self._collection(kind, namespace, begin)
        headers = {"Accept": _METADATA.format("")} if metadata_only else {}
        what = f"watch {kind.name}{f' in {namespace}' if namespace else ''}"
        request = Request("GET", _with_query(path, query), what, headers=headers)
        with self._caller.stream(request, begin, tries_again=False) as stream:
            yield stream

    def _write(
        self, request: Request, ref: Ref, deadline: Deadline, repeat: Repeat, manifest: Mapping[str, Any]
    ) -> Manifest:
        document = self._caller.call(request, deadline, repeat, secrets=secrets_of(manifest))
        if document.get("kind") != "Status" and "dryRun=" not in request.target:
            self.seen.saw(ref.kind, str((document.get("metadata") or {}).get("resourceVersion") or ""))
        return document

    def _collection(self, kind: Kind, namespace: str | None, deadline: Deadline) -> str:
        return collection_path(kind, self._resource(kind, deadline), namespace)

    def _path(self, ref: Ref, deadline: Deadline, subresource: str = "") -> str:
        return object_path(ref, self._resource(ref.kind, deadline), subresource)

    def _resource(self, kind: Kind, deadline: Deadline) -> Resource:
        resource = KNOWN.get((kind.group, kind.name)) or self._discovered.get(kind)
        if resource is None:
            self._discover(deadline)
            resource = self._discovered.get(kind)
        if resource is None:
            raise UnknownKindError(
                f"{kind}: the API server at {self.access.url} does not serve it; expected a kind and version that it "
                "knows: see that the CRD is installed and Established, and that nothing is misspelt"
            )
        return resource

    def _discover(self, deadline: Deadline) -> None:
        headers = {"Accept": DISCOVERY_ACCEPT}
        for path in DISCOVERY:
            request = Request("GET", path, "ask which kinds there are", headers=headers)
            found = discovered(self._caller.call(request, deadline, Repeat.SAFE))
            with self._lock:
                self._discovered = {**self._discovered, **found}


def event_time(event: Manifest) -> str:
    """When an event was last seen."""
    series = event.get("series") or {}
    metadata = event["metadata"]
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(time) for time in times if time), str(metadata.get("creationTimestamp") or ""))


def _named(item: Manifest, kind: Kind) -> Manifest:
    """With its apiVersion and kind, which the items of a list lack, and which of metadata alone are others."""
    return {**item, "apiVersion": kind.api_version, "kind": kind.name}


def _with_query(path: str, query: Mapping[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _flag(value: bool) -> str:
    return "true" if value else ""


def _all(dry_run: bool) -> str:
    return "All" if dry_run else ""
