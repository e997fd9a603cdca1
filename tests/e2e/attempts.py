"""What somebody who holds an account could try with it, as data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import msgspec

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from aphiria_deploy.kube.mapping import KNOWN, object_path
from aphiria_deploy.kube.retries import Repeat
from aphiria_deploy.kube.transport import Request

Body = Mapping[str, Any] | list[Any]
_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}


class Stops(StrEnum):
    """What stops an attempt."""

    RBAC = "no role allows it"
    POLICY = "a role allows it, and the policy alone denies it"


@dataclass(frozen=True)
class Attempt:
    """A request that is to be refused.

    Attributes:
        what: What it would bring.
        method: The HTTP method.
        path: The path.
        stops: What stops it.
        body: Makes its body.
        how: Of a patch, in which form it is.
        tried_dry: Whether the administrator can try it without doing it; else only that it is not refused is seen.
        headers: More headers.
        reads_first: Whether the object is read before, as one has to who replaces it.
    """

    what: str
    method: str
    path: str
    stops: Stops
    body: Callable[[], Body] | None = None
    how: str = ""
    tried_dry: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    reads_first: bool = False

    def __str__(self) -> str:
        return self.what

    def send(self, client: Client, deadline: Deadline, *, dry_run: bool = False) -> dict[str, Any]:
        """Makes the request."""
        query = {"dryRun": "All"} if dry_run and self.method != "GET" else {}
        if self.how == "apply":
            query |= {"fieldManager": "aphiria-deploy", "force": "true"}
        path, _, given = self.path.partition("?")
        joined = "&".join(filter(None, [given, urlencode(query)]))
        body = msgspec.json.encode(self._body(client, deadline)) if self.body else None
        content = {"Content-Type": _TYPES.get(self.how, "application/json")} if body else {}
        request = Request(
            self.method, f"{path}?{joined}" if joined else path, self.what, body, {**content, **self.headers}
        )
        return client._caller.call(request, deadline, Repeat.UNSAFE)

    def _body(self, client: Client, deadline: Deadline) -> Body:
        assert self.body
        if not self.reads_first:
            return self.body()
        live = client._caller.call(Request("GET", self.path, self.what), deadline, Repeat.SAFE)
        return edited(dict(self.body()), **{"metadata resourceVersion": live["metadata"]["resourceVersion"]})


def get(what: str, path: str, **more: Any) -> Attempt:
    """Reads."""
    return Attempt(what, "GET", path, Stops.RBAC, **more)


def post(what: str, path: str, body: Callable[[], Body] = dict, stops: Stops = Stops.RBAC, **more: Any) -> Attempt:
    """Creates, or asks of a subresource."""
    return Attempt(what, "POST", path, stops, body, **more)


def apply(  # noqa: PLR0917 - a line a case
    what: str, kind: tuple[str, str], name: str, namespace: str | None, stops: Stops, body: Callable[[], Manifest]
) -> Attempt:
    """Applies an object, whatever other managers own of it."""
    return Attempt(what, "PATCH", path_of(kind, name, namespace), stops, body, how="apply")


def change(  # noqa: PLR0917 - a line a case
    what: str,
    kind: tuple[str, str],
    name: str,
    namespace: str | None,
    body: Body,
    stops: Stops = Stops.RBAC,
    *,
    subresource: str = "",
    tried_dry: bool = True,
) -> Attempt:
    """Changes a part of an object: by a merge patch, or by a JSON patch where it is a list."""
    how = "json" if isinstance(body, list) else "merge"
    path = path_of(kind, name, namespace, subresource)
    return Attempt(what, "PATCH", path, stops, lambda: body, how=how, tried_dry=tried_dry)


def put(what: str, kind: tuple[str, str], name: str, namespace: str, body: Callable[[], Body]) -> Attempt:
    """Replaces an object, once that was read."""
    return Attempt(what, "PUT", path_of(kind, name, namespace), Stops.POLICY, body, reads_first=True)


def delete(what: str, kind: tuple[str, str], name: str, namespace: str | None, stops: Stops = Stops.RBAC) -> Attempt:
    """Deletes an object."""
    return Attempt(what, "DELETE", path_of(kind, name, namespace), stops)


def path_of(kind: tuple[str, str], name: str, namespace: str | None, subresource: str = "") -> str:
    """The path of an object."""
    api_version, kind_name = kind
    ref = Ref(Kind(api_version, kind_name), name, namespace)
    return object_path(ref, KNOWN[ref.kind.group, kind_name], subresource)


def edited(manifest: Manifest, **changes: Any) -> Manifest:
    """A copy of an object with other fields.

    Args:
        manifest: The object.
        changes: Values by paths, whose steps are written apart by spaces; None removes what is there.
    """
    copied = copy.deepcopy(manifest)
    for path, value in changes.items():
        *steps, last = path.split(" ")
        place: Any = copied
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if isinstance(place, list):
            place.append(value)
        elif value is None:
            del place[last]
        else:
            place[last] = value
    return copied


def bare(kind: tuple[str, str], name: str, namespace: str | None = None, **fields: Any) -> Manifest:
    """An object with a name and the fields that are given."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, **fields}


NAMESPACE = ("v1", "Namespace")
SECRET = ("v1", "Secret")
CONFIG_MAP = ("v1", "ConfigMap")
POD = ("v1", "Pod")
NODE = ("v1", "Node")
SERVICE = ("v1", "Service")
SERVICE_ACCOUNT = ("v1", "ServiceAccount")
CLAIM = ("v1", "PersistentVolumeClaim")
DEPLOYMENT = ("apps/v1", "Deployment")
JOB = ("batch/v1", "Job")
CRON_JOB = ("batch/v1", "CronJob")
LEASE = ("coordination.k8s.io/v1", "Lease")
NETWORK_POLICY = ("networking.k8s.io/v1", "NetworkPolicy")
ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
GRANT = ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant")
_RBAC = "rbac.authorization.k8s.io/v1"
ROLE = (_RBAC, "Role")
ROLE_BINDING = (_RBAC, "RoleBinding")
CLUSTER_ROLE = (_RBAC, "ClusterRole")
CLUSTER_ROLE_BINDING = (_RBAC, "ClusterRoleBinding")
POLICY = ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy")
POLICY_BINDING = ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")
WEBHOOK = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")


KINDS = [
    *(NAMESPACE, SECRET, CONFIG_MAP, POD, SERVICE, SERVICE_ACCOUNT, CLAIM, DEPLOYMENT, JOB, CRON_JOB, LEASE),
    *(NETWORK_POLICY, ROUTE, GRANT, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING),
    *(POLICY, POLICY_BINDING, WEBHOOK),
]
"""What attempts could change."""

REPORTED = frozenset({POD, CLAIM, DEPLOYMENT, JOB, NAMESPACE, ROUTE, SERVICE})
"""Those of them whose status others report; their generation, or their metadata, tells what is asked of them."""
