"""What the holder of a preview's account could try elsewhere: to reach other previews, and the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aphiria_deploy.bundle import Manifest
from tests.e2e.attempts import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    GRANT,
    LEASE,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    POLICY,
    POLICY_BINDING,
    ROLE,
    ROLE_BINDING,
    ROUTE,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    WEBHOOK,
    Attempt,
    Stops,
    apply,
    bare,
    change,
    delete,
    edited,
    get,
    path_of,
    post,
    put,
)
from tests.e2e.previews import (
    ACCOUNTS,
    ATTACKER,
    BESIDE,
    ISSUER,
    ISSUERS,
    POLICIES,
    STATE,
    VICTIM,
    lease,
    objects,
    parent_manifest,
    release,
    secret,
    token_secret,
)

HOME, THEIRS = f"preview-{ATTACKER}", f"preview-{VICTIM}"
ENVIRONMENT = "deploy.aphiria.com/environment"
_MARK: dict[str, Any] = {"metadata": {"annotations": {"x": "y"}}}
_TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
_ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
_ENFORCE = "pod-security.kubernetes.io/enforce"


def _own(what: str, kind: tuple[str, str], name: str, changes: dict[str, Any], *, to: str = "") -> Attempt:
    """An object of the attacker's own, changed, or another one like it."""

    def made() -> Manifest:
        found = objects(ATTACKER)
        own = next(item for item in found if (item["kind"], item["metadata"]["name"]) == (kind[1], name))
        return edited(own, **{"metadata name": to or name, **changes})

    return apply(what, kind, to or name, None if kind == NAMESPACE else HOME, Stops.POLICY, made)


def _release(what: str, environment: str, changes: dict[str, Any], *, of: str = ATTACKER) -> Attempt:
    """The record of a release."""
    name = f"release.{environment}.v9"
    return apply(
        what, SECRET, name, STATE, Stops.POLICY, lambda: edited(release(of, 9), **{"metadata name": name, **changes})
    )


def _binding(kind: tuple[str, str], namespace: str | None, role: str) -> Callable[[], Manifest]:
    subject = {"kind": "ServiceAccount", "name": ATTACKER, "namespace": ACCOUNTS}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return lambda: bare(kind, "x", namespace, roleRef=ref, subjects=[subject])


def _web_pod() -> Any:
    web = (item for item in objects(ATTACKER) if item["kind"] == "Deployment")
    return next(web)["spec"]["template"]["spec"]


READING = [
    get("read another preview's password", path_of(SECRET, "env-var-secrets", THEIRS)),
    get("list another preview's Secrets", f"/api/v1/namespaces/{THEIRS}/secrets"),
    get("list the Secrets of its own namespace", f"/api/v1/namespaces/{HOME}/secrets"),
    get("read the administrator's password", path_of(SECRET, "db-admin", BESIDE)),
    get("list the Secrets beside the database", f"/api/v1/namespaces/{BESIDE}/secrets"),
    get("watch the Secrets beside the database", f"/api/v1/namespaces/{BESIDE}/secrets?watch=true&timeoutSeconds=1"),
    get(
        "list the administrator's password by its name",
        f"/api/v1/namespaces/{BESIDE}/secrets?fieldSelector=metadata.name%3Ddb-admin",
    ),
    get(
        "list the Secrets beside the database but its own",
        f"/api/v1/namespaces/{BESIDE}/secrets?fieldSelector=metadata.name%21%3Ddb-role-{ATTACKER}",
    ),
    get("list every Secret of its own's name", f"/api/v1/secrets?fieldSelector=metadata.name%3Ddb-role-{ATTACKER}"),
    get("list every Secret", "/api/v1/secrets"),
    get("read another preview's verifier", path_of(SECRET, f"db-role-{VICTIM}", BESIDE)),
    get("read the certificate's key", path_of(SECRET, "tls", "nginx-gateway")),
    get("read the token of the DNS", path_of(SECRET, "digitalocean-dns-token", "cert-manager")),
    get("read another preview's configuration", path_of(CONFIG_MAP, "env-vars", THEIRS)),
    get("list another preview's pods", f"/api/v1/namespaces/{THEIRS}/pods"),
    get("list every pod", "/api/v1/pods"),
    get("list the accounts", f"/api/v1/namespaces/{ACCOUNTS}/serviceaccounts"),
    get("list the issuer's Secrets", f"/api/v1/namespaces/{ISSUERS}/secrets"),
    get("list nodes", "/api/v1/nodes"),
    get("ask a node", "/api/v1/nodes/stand-in/proxy/pods", tried_dry=False),
    get("read the API server's metrics", "/metrics", tried_dry=False),
    get(
        "read as the administrator",
        path_of(SECRET, "db-admin", BESIDE),
        headers={"Impersonate-User": "admin", "Impersonate-Group": "system:masters"},
    ),
    get(
        "read as another preview",
        path_of(SECRET, "env-var-secrets", THEIRS),
        headers={"Impersonate-User": f"system:serviceaccount:{ACCOUNTS}:{VICTIM}"},
    ),
]

REMEMBERED = [
    _release("forge a release of another preview", VICTIM, {}, of=VICTIM),
    _release("forge one with a name of its own", ATTACKER, {f"metadata labels {ENVIRONMENT}": VICTIM}),
    _release("record a release that is nobody's", ATTACKER, {f"metadata labels {ENVIRONMENT}": None}),
    _release("record a release of production", "production", {}),
    change("mark another preview's release as failed", SECRET, f"release.{VICTIM}.v1", STATE, _MARK, Stops.POLICY),
    delete("delete another preview's release", SECRET, f"release.{VICTIM}.v1", STATE, Stops.POLICY),
    delete("delete another preview's set", SECRET, f"applyset.{VICTIM}", STATE, Stops.POLICY),
    apply(
        "widen another preview's set",
        SECRET,
        f"applyset.{VICTIM}",
        STATE,
        Stops.POLICY,
        lambda: parent_manifest(VICTIM),
    ),
    post(
        "put a Secret of its own there",
        f"/api/v1/namespaces/{STATE}/secrets",
        lambda: edited(secret(STATE, "x"), **{f"metadata labels {ENVIRONMENT}": ATTACKER}),
        Stops.POLICY,
    ),
    post(
        "be given a token that never ends",
        f"/api/v1/namespaces/{STATE}/secrets",
        lambda: token_secret(f"release.{ATTACKER}.v9", STATE, "default"),
        Stops.POLICY,
    ),
    Attempt("delete every record", "DELETE", f"/api/v1/namespaces/{STATE}/secrets", Stops.RBAC),
    put("take another preview's lease", LEASE, VICTIM, STATE, lambda: lease(VICTIM, "thief")),
    delete("delete another preview's lease", LEASE, VICTIM, STATE, Stops.POLICY),
    post(
        "lock another environment",
        f"/apis/coordination.k8s.io/v1/namespaces/{STATE}/leases",
        lambda: lease("preview-base", "thief"),
        Stops.POLICY,
    ),
    change("make the cluster another one", CONFIG_MAP, "cluster", STATE, {"data": {"site": "y"}}),
]

NAMESPACES = [
    apply(
        "make the namespace of another number",
        NAMESPACE,
        "preview-pr-8",
        None,
        Stops.RBAC,
        lambda: bare(NAMESPACE, "preview-pr-8"),
    ),
    *(
        change(f"change the namespace {name}", NAMESPACE, name, None, _MARK)
        for name in (THEIRS, "default", "kube-system", "nginx-gateway", STATE, ACCOUNTS)
    ),
    delete("delete another preview's namespace", NAMESPACE, THEIRS, None),
    delete("delete the gateway's namespace", NAMESPACE, "nginx-gateway", None),
    _own("let its pods be privileged", NAMESPACE, HOME, {f"metadata labels {_ENFORCE}": "privileged"}),
    _own("drop its Pod Security", NAMESPACE, HOME, {f"metadata labels {_ENFORCE}": None}),
    _own("be judged as by an old version", NAMESPACE, HOME, {f"metadata labels {_ENFORCE}-version": "v1.0"}),
    _own("be somebody else's", NAMESPACE, HOME, {"metadata labels app.kubernetes.io/managed-by": "me"}),
    _own("be another preview's", NAMESPACE, HOME, {"metadata labels app.kubernetes.io/instance": VICTIM}),
    _own("be said to be another preview's", NAMESPACE, HOME, {f"metadata labels {ENVIRONMENT}": VICTIM}),
    _own("have others act on it", NAMESPACE, HOME, {"metadata labels istio-injection": "enabled"}),
    Attempt(
        "skip what is to be done at its end",
        "PUT",
        f"{path_of(NAMESPACE, HOME, None)}/finalize",
        Stops.RBAC,
        lambda: bare(NAMESPACE, HOME, spec={}),
        tried_dry=False,
    ),
    change("say that its namespace is gone", NAMESPACE, HOME, None, {"status": {}}, subresource="status"),
    _own("reach the cluster's network", NETWORK_POLICY, "preview-isolation", {"spec egress": [{}]}),
    _own("let everybody in", NETWORK_POLICY, "preview-isolation", {"spec ingress": [{}]}, to="open"),
    delete("end its isolation", NETWORK_POLICY, "preview-isolation", HOME, Stops.POLICY),
    _own("be reached around the Gateway", SERVICE, "web", {"spec type": "LoadBalancer"}),
    _own("take the addresses of others", SERVICE, "web", {"spec externalIPs": ["10.0.0.1"]}),
    _own("stand for a host of others", SERVICE, "web", {"spec type": "ExternalName", "spec externalName": "db"}),
    _own("answer for another preview", ROUTE, "web", {"spec hostnames": ["107.pr.aphiria.com"]}),
    _own("answer for every host", ROUTE, "web", {"spec hostnames": None}),
    _own("answer for a wildcard", ROUTE, "web", {"spec hostnames": ["*.pr.aphiria.com"]}),
    _own(
        "push others off the node",
        DEPLOYMENT,
        "web",
        {"spec template spec priorityClassName": "system-cluster-critical"},
    ),
    _own(
        "keep another preview's namespace from going",
        CONFIG_MAP,
        "env-vars",
        {
            "metadata ownerReferences": [
                {"apiVersion": "v1", "kind": "Namespace", "name": THEIRS, "uid": "0-0", "blockOwnerDeletion": True}
            ]
        },
    ),
    _own("keep its namespace from going", CONFIG_MAP, "env-vars", {"metadata finalizers": ["example.com/never"]}),
    _own("pass its object off as another's", CONFIG_MAP, "env-vars", {f"metadata labels {ENVIRONMENT}": VICTIM}),
    change("scale around the deploy", DEPLOYMENT, "web", HOME, {"spec": {"replicas": 1}}, subresource="scale"),
    change("say that its Deployment is ready", DEPLOYMENT, "web", HOME, {"status": {}}, subresource="status"),
    change("change another preview's Deployment", DEPLOYMENT, "web", THEIRS, _MARK),
    change("change another preview's route", ROUTE, "web", THEIRS, _MARK),
    delete("delete another preview's route", ROUTE, "web", THEIRS),
    Attempt("delete all of its Secrets", "DELETE", f"/api/v1/namespaces/{HOME}/secrets", Stops.RBAC),
    post("run a pod by itself", f"/api/v1/namespaces/{HOME}/pods", lambda: bare(POD, "x", HOME, spec=_web_pod())),
    post("make a Secret of another name", f"/api/v1/namespaces/{HOME}/secrets", lambda: secret(HOME, "x")),
    post(
        "make an account",
        f"/api/v1/namespaces/{HOME}/serviceaccounts",
        lambda: bare(SERVICE_ACCOUNT, "x", HOME),
    ),
    post(
        "let others refer to its Services",
        f"/apis/gateway.networking.k8s.io/v1beta1/namespaces/{HOME}/referencegrants",
        lambda: bare(
            GRANT,
            "x",
            HOME,
            spec={
                "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": THEIRS}],
                "to": [{"group": "", "kind": "Service"}],
            },
        ),
    ),
]

RUNNING = [
    *(
        Attempt(
            f"{name} another preview's pod",
            "POST",
            f"{path_of(POD, 'web', THEIRS)}/{name}",
            Stops.RBAC,
            tried_dry=False,
        )
        for name in ("exec", "attach", "portforward", "proxy", "eviction")
    ),
    *(
        Attempt(f"{name} a pod of its own", "POST", f"{path_of(POD, 'web', HOME)}/{name}", Stops.RBAC, tried_dry=False)
        for name in ("exec", "attach", "portforward", "proxy", "eviction")
    ),
    change(
        "debug the database",
        POD,
        "db",
        BESIDE,
        {"spec": {"ephemeralContainers": [{"name": "x", "image": "x"}]}},
        subresource="ephemeralcontainers",
        tried_dry=False,
    ),
    post("evict the database", f"{path_of(POD, 'db', BESIDE)}/eviction", tried_dry=False),
    get("ask a Service", f"{path_of(SERVICE, 'web', THEIRS)}/proxy/", tried_dry=False),
    get("read another preview's log", f"{path_of(POD, 'web', THEIRS)}/log", tried_dry=False),
]

POWER = [
    *(
        post(
            f"be given a token of {name} in {namespace}",
            f"{path_of(SERVICE_ACCOUNT, name, namespace)}/token",
            lambda: _TOKEN,
        )
        for name, namespace in (
            (VICTIM, ACCOUNTS),
            (ATTACKER, ACCOUNTS),
            ("default", BESIDE),
            ("namespace-controller", "kube-system"),
            (ISSUER, ISSUERS),
        )
    ),
    post(
        "make a role in its namespace",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/roles",
        lambda: bare(ROLE, "x", HOME, rules=_ALL),
    ),
    post(
        "bind a role in its namespace",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/rolebindings",
        _binding(ROLE_BINDING, HOME, "cluster-admin"),
    ),
    post(
        "bind a role beside the database",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{BESIDE}/rolebindings",
        _binding(ROLE_BINDING, BESIDE, "edit"),
    ),
    post(
        "make a role of the cluster",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        lambda: bare(CLUSTER_ROLE, "x", rules=_ALL),
    ),
    post(
        "bind a role of the cluster",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        _binding(CLUSTER_ROLE_BINDING, None, "cluster-admin"),
    ),
    change("widen its own role", CLUSTER_ROLE, "aphiria-deploy-preview", None, {"rules": _ALL}),
    change("widen its own rights beside the database", ROLE, HOME, BESIDE, {"rules": _ALL}),
    change("bind another role to itself", ROLE_BINDING, "aphiria-deploy-preview", HOME, _MARK),
    *(
        change(f"change the policy {name}", POLICY, name, None, {"spec": {"validations": []}}, tried_dry=False)
        for name in POLICIES
    ),
    *(delete(f"delete the binding of the policy {name}", POLICY_BINDING, name, None) for name in POLICIES),
    post(
        "see what everybody writes",
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        lambda: bare(WEBHOOK, "x", webhooks=[]),
    ),
    change("change what accounts consist of", CONFIG_MAP, "account", ACCOUNTS, {"data": {"objects": "[]"}}),
    post(
        "be given a certificate of the cluster",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        lambda: bare(
            ("certificates.k8s.io/v1", "CertificateSigningRequest"),
            "x",
            spec={"request": "eA==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
        ),
        tried_dry=False,
    ),
    post(
        "make a priority",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        lambda: bare(("scheduling.k8s.io/v1", "PriorityClass"), "x", value=1_000_000),
    ),
    post(
        "make a volume of the node's files",
        "/api/v1/persistentvolumes",
        lambda: bare(
            ("v1", "PersistentVolume"),
            "x",
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/"}},
        ),
    ),
    post(
        "ask what others may do",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        lambda: {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": "admin", "nonResourceAttributes": {"path": "/", "verb": "get"}},
        },
    ),
    post(
        "have a token judged",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        lambda: {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}},
    ),
]

ATTEMPTS = [*READING, *REMEMBERED, *NAMESPACES, *RUNNING, *POWER]
