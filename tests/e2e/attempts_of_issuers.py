"""What the holder of the account that makes accounts could try: to make one that may do more, or to be one itself."""

from __future__ import annotations

from typing import Any

from aphiria_deploy.bundle import Manifest
from tests.e2e.attempts import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    POLICY_BINDING,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
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
)
from tests.e2e.previews import (
    ACCOUNTS,
    BESIDE,
    ISSUER,
    ISSUERS,
    OTHER,
    POLICIES,
    STATE,
    VICTIM,
    account_of,
    database_job,
)

NEW, HOME, THEIRS = OTHER, f"preview-{OTHER}", f"preview-{VICTIM}"
ABSENT = "pr-6"
"""Of which nothing is there: what is only ever created, and what cannot be changed, is tried with it."""
_ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
_MARK: dict[str, Any] = {"metadata": {"annotations": {"x": "y"}}}
_RBAC = "rbac.authorization.k8s.io"


def _made(
    what: str, kind: tuple[str, str], changes: dict[str, Any], *, place: str | None = None, of: str = NEW
) -> Attempt:
    """What an account consists of, changed; in another place where that is in the changes."""

    def made() -> Manifest:
        found = [item for item in account_of(of) if item["kind"] == kind[1]]
        own = next(item for item in found if place in {None, item["metadata"].get("namespace")})
        return edited(own, **changes)

    namespace = changes.get("metadata namespace", place or _PLACES.get(kind))
    return apply(what, kind, changes.get("metadata name", _NAMES[kind]), namespace, Stops.POLICY, made)


_PLACES = {ROLE: BESIDE, SERVICE_ACCOUNT: ACCOUNTS, NETWORK_POLICY: HOME}
_NAMES = {
    ROLE: HOME,
    ROLE_BINDING: HOME,
    NAMESPACE: f"preview-{ABSENT}",
    SERVICE_ACCOUNT: NEW,
    NETWORK_POLICY: "preview-isolation",
}
_IN_HOME = {"metadata name": "aphiria-deploy-preview"}


def _subject(name: str, namespace: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _token(seconds: int) -> Any:
    spec = {"expirationSeconds": seconds}
    return lambda: {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}


ATTEMPTS = [
    get("read the administrator's password", path_of(SECRET, "db-admin", BESIDE)),
    get("read a preview's password", path_of(SECRET, "env-var-secrets", THEIRS)),
    get("list every Secret", "/api/v1/secrets"),
    # What it may list, to say what previews reserve and how many more fit, it may only list.
    get("read what is remembered by its name", path_of(SECRET, f"applyset.{VICTIM}", STATE)),
    change("change what is remembered", SECRET, f"applyset.{VICTIM}", STATE, _MARK),
    delete("delete what is remembered", SECRET, f"applyset.{VICTIM}", STATE),
    get("list the Secrets beside the database", f"/api/v1/namespaces/{BESIDE}/secrets"),
    get("list ConfigMaps", "/api/v1/configmaps"),
    get("read a pod", path_of(POD, "web", THEIRS), tried_dry=False),
    get("read a pod's log", f"{path_of(POD, 'web', THEIRS)}/log", tried_dry=False),
    post("run a command in a pod", f"{path_of(POD, 'web', THEIRS)}/exec?command=id", tried_dry=False),
    get("reach a node through the API server", "/api/v1/nodes/node/proxy/pods", tried_dry=False),
    change("change a node", NODE, "node", None, {"spec": {"unschedulable": True}}, tried_dry=False),
    get(
        "act as the administrator",
        "/api/v1/secrets",
        headers={"Impersonate-User": "admin", "Impersonate-Group": "system:masters"},
    ),
    _made("let an account read the administrator's password", ROLE, {"rules 0 resourceNames": ["db-admin"]}),
    _made("let an account read every Secret beside it", ROLE, {"rules 0 resourceNames": None}),
    _made("let an account list Secrets", ROLE, {"rules 0 verbs": ["list"]}),
    _made("let an account do anything", ROLE, {"rules": _ALL}),
    _made("add a rule", ROLE, {"rules +": _ALL[0]}),
    _made("let an account read another preview's verifier", ROLE, {"rules 0 resourceNames": [f"db-role-{VICTIM}"]}),
    _made("make a role of another name", ROLE, {"metadata name": "x"}),
    _made("change its own role", ROLE, {"metadata name": "aphiria-deploy-issuer"}),
    apply(
        "make a role elsewhere",
        ROLE,
        HOME,
        "kube-system",
        Stops.RBAC,
        lambda: bare(ROLE, HOME, "kube-system", rules=_ALL),
    ),
    _made(
        "give an account its own rights beside the database",
        ROLE_BINDING,
        {"roleRef name": "aphiria-deploy-issuer", "metadata name": f"preview-{ABSENT}"},
        place=BESIDE,
        of=ABSENT,
    ),
    _made("take an account's rights itself", ROLE_BINDING, {"subjects": [_subject(ISSUER, ISSUERS)]}, place=BESIDE),
    _made("give them to another preview", ROLE_BINDING, {"subjects": [_subject(VICTIM, ACCOUNTS)]}, place=BESIDE),
    _made("give them to another one too", ROLE_BINDING, {"subjects +": _subject(VICTIM, ACCOUNTS)}, place=BESIDE),
    _made(
        "give them to everybody",
        ROLE_BINDING,
        {"subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": "system:authenticated"}]},
        place=BESIDE,
    ),
    _made(
        "let an account deploy into another's namespace",
        ROLE_BINDING,
        {"metadata namespace": THEIRS, **_IN_HOME},
        place=HOME,
    ),
    _made(
        "let an account deploy beside the database",
        ROLE_BINDING,
        {"metadata namespace": BESIDE, **_IN_HOME},
        place=HOME,
    ),
    _made(
        "let an account deploy into the cluster's own namespace",
        ROLE_BINDING,
        {"metadata namespace": "kube-system", **_IN_HOME},
        place=HOME,
    ),
    _made("deploy itself", ROLE_BINDING, {"subjects": [_subject(ISSUER, ISSUERS)], **_IN_HOME}, place=HOME),
    apply(
        "let an account administrate its namespace",
        ROLE_BINDING,
        "x",
        THEIRS,
        Stops.RBAC,
        lambda: bare(
            ROLE_BINDING,
            "x",
            THEIRS,
            roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            subjects=[_subject(VICTIM, ACCOUNTS)],
        ),
    ),
    post(
        "bind a role of the cluster",
        f"/apis/{_RBAC}/v1/clusterrolebindings",
        lambda: bare(
            CLUSTER_ROLE_BINDING,
            "x",
            roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            subjects=[_subject(ISSUER, ISSUERS)],
        ),
    ),
    change("widen what an account may do", CLUSTER_ROLE, "aphiria-deploy-preview", None, {"rules": _ALL}),
    change("change what accounts consist of", CONFIG_MAP, "account", ACCOUNTS, {"data": {"objects": "[]"}}),
    *(delete(f"delete the binding of the policy {name}", POLICY_BINDING, name, None) for name in POLICIES),
    _made("make a namespace of another name", NAMESPACE, {"metadata name": "x"}, of=ABSENT),
    _made(
        "make a namespace whose pods may do anything",
        NAMESPACE,
        {"metadata labels pod-security.kubernetes.io/enforce": "privileged"},
        of=ABSENT,
    ),
    _made(
        "make a namespace that is nobody's",
        NAMESPACE,
        {"metadata labels app.kubernetes.io/managed-by": None},
        of=ABSENT,
    ),
    change("change a preview's namespace", NAMESPACE, THEIRS, None, _MARK, Stops.POLICY),
    change("change the cluster's own namespace", NAMESPACE, "kube-system", None, _MARK, Stops.POLICY),
    delete("delete a preview's namespace", NAMESPACE, THEIRS, None),
    _made(
        "open a namespace", NETWORK_POLICY, {"metadata namespace": THEIRS, "metadata name": "open", "spec egress": [{}]}
    ),
    _made("isolate the database from all", NETWORK_POLICY, {"metadata namespace": BESIDE, "spec egress": []}),
    change("change a preview's isolation", NETWORK_POLICY, "preview-isolation", THEIRS, _MARK, Stops.POLICY),
    _made("make an account of another name", SERVICE_ACCOUNT, {"metadata name": "x"}),
    apply(
        "make an account elsewhere",
        SERVICE_ACCOUNT,
        NEW,
        BESIDE,
        Stops.RBAC,
        lambda: bare(SERVICE_ACCOUNT, NEW, BESIDE),
    ),
    post(
        "be given a token for a day",
        f"{path_of(SERVICE_ACCOUNT, VICTIM, ACCOUNTS)}/token",
        _token(86_400),
        Stops.POLICY,
    ),
    post(
        "be given one that is made to last a year",
        f"{path_of(SERVICE_ACCOUNT, VICTIM, ACCOUNTS)}/token",
        _token(3607),
        Stops.POLICY,
    ),
    post(
        "be given a token of all previews' group",
        f"{path_of(SERVICE_ACCOUNT, 'default', ACCOUNTS)}/token",
        _token(600),
        Stops.POLICY,
    ),
    *(
        post(
            f"be given a token of {name} in {namespace}",
            f"{path_of(SERVICE_ACCOUNT, name, namespace)}/token",
            _token(600),
        )
        for name, namespace in ((ISSUER, ISSUERS), ("default", BESIDE), ("namespace-controller", "kube-system"))
    ),
    apply(
        "run a preview's Job",
        JOB,
        f"db-init-{NEW}-0",
        BESIDE,
        Stops.RBAC,
        lambda: edited(database_job(NEW), **{"metadata name": f"db-init-{NEW}-0"}),
    ),
    post(
        "run a pod",
        f"/api/v1/namespaces/{BESIDE}/pods",
        lambda: bare(POD, "x", BESIDE, spec={"containers": [{"name": "x", "image": "x"}]}),
    ),
    change("change a preview's Deployment", DEPLOYMENT, "web", THEIRS, _MARK),
]
