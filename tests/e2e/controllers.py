"""Stand-ins for the controllers that are not Kubernetes' own: of the Gateway API, NGINX's policies, cert-manager.

They report that all is well, unless an object's annotation `ANNOTATION` says otherwise:

- ``ignore``: nothing is reported at all;
- ``not-accepted``: a Gateway, a route or a policy is refused;
- ``not-programmed``: a Gateway has no address yet;
- ``not-resolved``: a route's backend, or a listener's certificate, is not found;
- ``issuing``, ``not-ready``: a certificate is on its way, or failed; an issuer failed.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aphiria_deploy.errors import AphiriaDeployError, CancelledError
from aphiria_deploy.kube import Cancellation, Change, Client, Deadline, Kind, Ref, Watched, Watches

ANNOTATION = "controllers.test/behave"
"""What an object is reported as."""

GATEWAY_CONTROLLER = "gateway.nginx.org/nginx-gateway-controller"
ADDRESS = "127.0.0.1"
"""Where Gateways and load balancers are."""

_GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway")
_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute")
_CERTIFICATE = Kind("cert-manager.io/v1", "Certificate")
_ISSUERS = (Kind("cert-manager.io/v1", "ClusterIssuer"), Kind("cert-manager.io/v1", "Issuer"))
_SERVICE = Kind("v1", "Service")
_SECRET = Kind("v1", "Secret")
_POLICIES = (
    Kind("gateway.nginx.org/v1alpha1", "RateLimitPolicy"),
    Kind("gateway.nginx.org/v1alpha1", "ClientSettingsPolicy"),
)
_FOREVER = 24 * 3600.0


class Controllers:
    """The controllers, while they are entered: of those kinds that the cluster serves then.

    Args:
        client: The cluster.

    Attributes:
        problem: What ended them, if something did.
        address: Where Gateways are; None while the load balancer has no address yet.
    """

    def __init__(self, client: Client) -> None:
        self.problem: BaseException | None = None
        self.address: str | None = ADDRESS
        self._client = client
        self._cancellation = Cancellation()
        self._deadline = Deadline.after(_FOREVER, "the controllers", self._cancellation)
        self._gateways: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancellation.cancel("the test is over")
        self._thread.join(10)
        if self.problem and error is None:
            raise self.problem

    def move(self, address: str | None) -> None:
        """Gives every Gateway another address, or takes it away."""
        self.address = address
        for gateway in list(self._gateways.values()):
            self._report(gateway, self._gateway(gateway, ""))

    def _run(self) -> None:
        try:
            kinds = [_GATEWAY, _ROUTE, _CERTIFICATE, *_ISSUERS, _SERVICE, *_POLICIES]
            watched = [Watched(kind) for kind in kinds if self._client.serves(kind, self._deadline)]
            with Watches(self._client, watched, self._deadline) as watches:
                while True:
                    if told := watches.next(3600):
                        self._changed(*told[1])
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test is told
            self.problem = error

    def _changed(self, change: Change, item: dict[str, Any]) -> None:
        if change is Change.SYNCED:
            return
        uid = item["metadata"]["uid"]
        if change is Change.DELETED or item["metadata"].get("deletionTimestamp"):
            self._gateways.pop(uid, None)
            return
        said = (item["metadata"].get("annotations") or {}).get(ANNOTATION, "")
        if said == "ignore":
            return
        match item["kind"]:
            case "Gateway":
                self._gateways[uid] = item
                self._report(item, self._gateway(item, said))
            case "HTTPRoute":
                self._report(item, _route(item, said))
            case "ClusterIssuer" | "Issuer":
                self._report(item, {"conditions": [_condition(item, "Ready", said != "not-ready")]})
            case "Certificate":
                self._report(item, self._certificate(item, said))
            case "Service" if item["spec"].get("type") == "LoadBalancer":
                self._report(item, {"loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "VIP"}]}})
            case kind if kind.endswith("Policy"):
                self._report(item, _policy(item, said))

    def _report(self, item: dict[str, Any], status: dict[str, Any]) -> None:
        if _without_times(item.get("status") or {}) == _without_times(status):
            return
        try:
            item["status"] = self._client.patch(
                Ref.of(item), {"status": status}, self._deadline, subresource="status"
            ).get("status", {})
        except CancelledError:
            raise
        except AphiriaDeployError as error:
            # It may have gone meanwhile.
            if getattr(error, "status", 0) not in {404, 409}:
                raise

    def _gateway(self, item: dict[str, Any], said: str) -> dict[str, Any]:
        accepted, programmed = (
            said != "not-accepted",
            said not in {"not-accepted", "not-programmed"} and self.address is not None,
        )
        listeners = []
        for listener in item["spec"]["listeners"]:
            resolved = said != "not-resolved" and self._has_certificates(item, listener)
            conditions = [
                _condition(item, "Accepted", accepted),
                _condition(item, "ResolvedRefs", resolved, "ResolvedRefs" if resolved else "InvalidCertificateRef"),
                _condition(item, "Programmed", programmed and resolved),
            ]
            kinds = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]
            listeners.append(
                {"name": listener["name"], "attachedRoutes": 0, "supportedKinds": kinds, "conditions": conditions}
            )
        return {
            "addresses": [{"type": "IPAddress", "value": self.address}] if programmed else [],
            "conditions": [_condition(item, "Accepted", accepted), _condition(item, "Programmed", programmed)],
            "listeners": listeners,
        }

    def _has_certificates(self, item: dict[str, Any], listener: Mapping[str, Any]) -> bool:
        namespace = item["metadata"]["namespace"]
        references = (listener.get("tls") or {}).get("certificateRefs") or ()
        return all(
            self._client.find(
                Ref(_SECRET, reference["name"], reference.get("namespace", namespace)),
                self._deadline,
                metadata_only=True,
            )
            for reference in references
        )

    def _certificate(self, item: dict[str, Any], said: str) -> dict[str, Any]:
        if said == "issuing":
            return {"conditions": [_condition(item, "Issuing", True), _condition(item, "Ready", False, "DoesNotExist")]}
        if said == "not-ready":
            return {"conditions": [_condition(item, "Ready", False, "Failed")]}
        name, namespace = item["spec"]["secretName"], item["metadata"]["namespace"]
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"tls.crt": "bm90IGEgY2VydGlmaWNhdGU=", "tls.key": "bm90IGEga2V5"},
        }
        self._client.apply(secret, self._deadline, force=True, manager="cert-manager")
        for gateway in list(self._gateways.values()):
            self._report(gateway, self._gateway(gateway, ""))
        return {"conditions": [_condition(item, "Ready", True)], "revision": 1}


def _route(item: dict[str, Any], said: str) -> dict[str, Any]:
    conditions = [
        _condition(item, "Accepted", said != "not-accepted"),
        _condition(
            item,
            "ResolvedRefs",
            said != "not-resolved",
            "ResolvedRefs" if said != "not-resolved" else "BackendNotFound",
        ),
    ]
    return {
        "parents": [
            {"parentRef": parent, "controllerName": GATEWAY_CONTROLLER, "conditions": conditions}
            for parent in item["spec"]["parentRefs"]
        ]
    }


def _policy(item: dict[str, Any], said: str) -> dict[str, Any]:
    spec = item["spec"]
    targets = spec.get("targetRefs") or [spec["targetRef"]]
    return {
        "ancestors": [
            {
                "ancestorRef": target,
                "controllerName": GATEWAY_CONTROLLER,
                "conditions": [_condition(item, "Accepted", said != "not-accepted")],
            }
            for target in targets
        ]
    }


def _condition(item: dict[str, Any], name: str, value: bool, reason: str = "") -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": name,
        "status": str(value),
        "reason": reason or (name if value else "Invalid"),
        "message": "",
        "observedGeneration": item["metadata"].get("generation", 1),
        "lastTransitionTime": now,
    }


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if not key.endswith("Time")}
    return [_without_times(item) for item in value] if isinstance(value, list) else value
