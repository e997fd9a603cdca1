"""What an object says of itself."""

from __future__ import annotations

from aphiria_deploy.diagnosis.causes.table import SEEING, Cause, Source

OBJECTS: tuple[Cause, ...] = (
    Cause(
        Source.CONDITION,
        "InvalidListener InvalidGateway",
        "",
        None,
        "{message}",
        "The Gateway is not ready: most often its certificate is still being issued (kubectl describe certificate, "
        "order, challenge).",
    ),
    Cause(
        Source.CONDITION,
        "BackendNotFound",
        "",
        SEEING,
        "{message}",
        "The Service that the route sends to does not exist in its namespace, or has no such port.",
    ),
    Cause(
        Source.CONDITION,
        "RefNotPermitted",
        "",
        SEEING,
        "{message}",
        "A reference into another namespace needs a ReferenceGrant there.",
    ),
    Cause(
        Source.CONDITION,
        "NotAllowedByListeners",
        "",
        SEEING,
        "{message}",
        "The listener's allowedRoutes do not allow this namespace: check its selector and the namespace's labels.",
    ),
    Cause(
        Source.CONDITION,
        "NoMatchingListenerHostname NoMatchingParent",
        "",
        SEEING,
        "{message}",
        "The route's hostnames and sectionName must fit one of the Gateway's listeners.",
    ),
    Cause(
        Source.CONDITION,
        "TargetNotFound",
        "not found",
        SEEING,
        "{message}",
        "The policy's target must exist in its namespace.",
    ),
    Cause(
        Source.CONDITION,
        "Conflicted TargetConflict",
        "",
        SEEING,
        "{message}",
        "Another policy sets the same for the same target, and is older: remove one of them.",
    ),
    Cause(
        Source.CONDITION,
        "ParametersRefInvalid ParametersRefNotFound",
        "not found",
        SEEING,
        "{message}",
        "Apply the NginxProxy that the Gateway's infrastructure.parametersRef names, or correct the name.",
    ),
    Cause(
        Source.EVENT,
        "ProvisioningFailed",
        r"storageclass\S* \"(?P<class>[^\"]+)\" not found",
        SEEING,
        "no volume can be made: the storage class {class} does not exist",
        "Take a storage class that the cluster has (kubectl get storageclass).",
    ),
    Cause(
        Source.EVENT,
        "ProvisioningFailed",
        "",
        None,
        "no volume could be made yet: {message}",
        "The storage driver tries again; look at its limits and quotas.",
    ),
    Cause(
        Source.EVENT,
        "SyncLoadBalancerFailed",
        "",
        None,
        "the load balancer could not be made yet: {message}",
        "The cloud controller tries again; look at the account's limits.",
    ),
)

HINTS: dict[str, str] = {
    "BackoffLimitExceeded": "The log of its last pod says why.",
    "DeadlineExceeded": "It ran longer than activeDeadlineSeconds: find out what it waited for, or raise it.",
    "PodFailurePolicy": "A rule of its podFailurePolicy ended it: the log of its last pod says why.",
    "ProgressDeadlineExceeded": "Its pods start and do not become ready: look at their log and their readiness probe.",
    "Certificate": "Look at what the certificate authority was asked (kubectl describe certificaterequest, order, "
    "challenge): DNS names must resolve to the Gateway, and port 80 must be reachable for HTTP-01.",
    "ClusterIssuer": "Check the issuer's server, email and solvers; then cert-manager's log.",
    "CustomResourceDefinition": "Another CRD uses the same names: remove one of them.",
    "Gateway": "Correct the listener or the parameter that is named, then look at the Gateway's conditions.",
    "HTTPRoute": "Correct what the condition names in the route.",
    "PersistentVolumeClaim": "The data may be lost: restore it from a backup into a new claim.",
    "": "Look at the object's conditions and events (kubectl describe).",
}
"""What to do when a verdict alone is known: by its reason, else by the object's kind."""
