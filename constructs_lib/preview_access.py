"""Who deploys previews: an account for each of them, and the one that makes these accounts.

Both are pinned twice. RBAC says which kinds an account may touch in which namespaces; it knows no prefixes of names
and nothing of contents, so admission policies say the rest (`constructs_lib.preview_policies`). Admission sees no
reads, and a patch of a Secret can be made to tell what is in it before admission is asked: whatever is secret is
granted by RBAC alone, by name, to the account of one preview.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.database_job import drop_job
from constructs_lib.namespace import NamespaceProps, namespace_manifest, network_policy
from constructs_lib.placement import Placement
from constructs_lib.preview_access_props import PreviewAccessProps
from constructs_lib.preview_policies import ACCOUNTS, ISSUER, ISSUERS, issuer_policy, previews_policy

_RBAC = "rbac.authorization.k8s.io/v1"
_APP = "preview-access"
_COMPONENT = "access"
_PREVIEW = "aphiria-deploy-preview"
_PREVIEWS = "aphiria-deploy-previews"
_ISSUER = "aphiria-deploy-issuer"

TEMPLATE = "account"
"""The ConfigMap, beside the accounts, with what an account consists of, and how its preview's database is dropped."""
TEMPLATE_FORMAT = "aphiria-deploy/account/v1"
PLACEHOLDER = "${number}"
"""What stands for a preview's number in it."""

_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "patch", "delete"]
_KEEP = ["get", "create", "patch", "delete"]
"""What it takes to apply one object whose name is known, and to delete it."""
_KEEP_SECRET = [*_READ, "create", "patch", "delete"]
"""With a name, ``list`` and ``watch`` are of the one object alone: that is how it is seen to be gone."""


class PreviewAccess(Construct):
    """The accounts of previews, as roles, policies, and the template of what an account consists of."""

    def __init__(self, scope: Construct, id: str, props: PreviewAccessProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        account = account_objects(props)
        objects = [
            *(_namespace(props.placement, name) for name in (ACCOUNTS, ISSUERS)),
            # Before any role is bound to anybody.
            *previews_policy(_metadata(props.placement, _PREVIEWS), props, _written(_in_its_namespace(props))),
            *issuer_policy(_metadata(props.placement, _ISSUER), props, account),
            _template(props, account),
            *_previews(props),
            *_issuer(props),
        ]
        for item in objects:
            metadata = item["metadata"]
            where = f"-{metadata['namespace']}" if "namespace" in metadata else ""
            Manifest(self, f"{item['kind']}{where}-{metadata['name']}".lower(), item)


def account_objects(props: PreviewAccessProps) -> list[dict[str, Any]]:
    """Gives what the account of the preview consists of, in the order in which it is made.

    The account may do nothing in the preview's namespace before that is isolated.
    """
    placement = props.namespace.placement
    beside, home = props.database_job.placement.namespace, placement.namespace
    isolation = props.namespace.isolation
    secret = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [props.database_job.verifier.secret],
        "verbs": _KEEP_SECRET,
    }
    subject = _account(props.environment, ACCOUNTS)
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(placement, props.environment, ACCOUNTS),
            "automountServiceAccountToken": False,
        },
        _role(_metadata(placement, home, beside), [secret]),
        _binding(_metadata(placement, home, beside), "Role", home, subject),
        _own_namespace(props),
        *([network_policy(placement, isolation)] if isolation else []),
        _binding(_metadata(placement, _PREVIEW, home), "ClusterRole", _PREVIEW, subject),
    ]


def _own_namespace(props: PreviewAccessProps) -> dict[str, Any]:
    """The preview's namespace with what the engine tells its own by, so that it can be destroyed before any deploy."""
    manifest = namespace_manifest(props.namespace)
    placement = props.namespace.placement
    manifest["metadata"]["labels"] |= {
        "deploy.aphiria.com/environment": placement.instance,
        "deploy.aphiria.com/site": placement.part_of,
    }
    return manifest


def _template(props: PreviewAccessProps, account: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def text(objects: Sequence[dict[str, Any]]) -> str:
        return f"{json.dumps(objects, indent=2)}\n".replace(str(props.number), PLACEHOLDER)

    # An account may run the Jobs of today alone: a preview that was deployed before is destroyed with these.
    drop = [drop_job(props.database_job)]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(props.placement, TEMPLATE, ACCOUNTS),
        "data": {"format": TEMPLATE_FORMAT, "objects": text(account), "destruction": text(drop)},
    }


def _written(rules: Sequence[dict[str, Any]]) -> list[str]:
    """The kinds that rules let one write, as group/resource."""
    return [
        f"{rule['apiGroups'][0]}/{resource}"
        for rule in rules
        if "patch" in rule["verbs"]
        for resource in rule["resources"]
        if resource != "namespaces"
    ]


def _previews(props: PreviewAccessProps) -> list[dict[str, Any]]:
    """What the accounts of all previews may do: of this nothing is secret, and the policy knows whose is whose."""
    placement, server = props.placement, props.database_job.server
    everyone = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"system:serviceaccounts:{ACCOUNTS}"}
    there = {
        # Records of releases, and no secret value: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
        # has no way to say "those that are mine".
        placement.namespace: [
            _rule("", "configmaps", ["get"], "cluster"),
            _rule("", "secrets", ["get", "list", "create", "patch", "update", "delete"]),
            _rule("coordination.k8s.io", "leases", ["get", "create", "update", "delete"]),
        ],
        props.database_job.placement.namespace: [
            # Its UID tells one server from the next.
            *([_rule("", "persistentvolumeclaims", ["get"], server.claim)] if server.claim else []),
            _rule("", "pods pods/log events", _READ),
            _rule("batch", "jobs", _WRITE),
        ],
        ACCOUNTS: [_rule("", "configmaps", ["get"], TEMPLATE)],
        props.gateway.namespace: [_rule("gateway.networking.k8s.io", "gateways", _READ)],
    }
    objects = [
        _role(_metadata(placement, _PREVIEWS), [_rule("", "namespaces", _READ)]),
        _binding(_metadata(placement, _PREVIEWS), "ClusterRole", _PREVIEWS, everyone),
        _role(_metadata(placement, _PREVIEW), _in_its_namespace(props)),
    ]
    for namespace, rules in there.items():
        metadata = _metadata(placement, _PREVIEWS, namespace)
        objects += [_role(metadata, rules), _binding(metadata, "Role", _PREVIEWS, everyone)]
    return objects


def _in_its_namespace(props: PreviewAccessProps) -> list[dict[str, Any]]:
    return [
        # A role that is bound in a namespace covers the Namespace itself.
        _rule("", "namespaces", ["get", "patch", "delete"]),
        _rule("", "configmaps resourcequotas services", _WRITE),
        _rule("", "secrets", _KEEP_SECRET, *props.secrets),
        _rule("", "pods pods/log events", _READ),
        _rule("apps", "deployments", _WRITE),
        _rule("apps", "replicasets", _READ),
        _rule("batch", "jobs", _WRITE),
        _rule("networking.k8s.io", "networkpolicies", _WRITE),
        _rule("gateway.networking.k8s.io", "httproutes", _WRITE),
        _rule("gateway.nginx.org", "clientsettingspolicies ratelimitpolicies", _WRITE),
    ]


def _issuer(props: PreviewAccessProps) -> list[dict[str, Any]]:
    """The account that makes accounts: its namespace is its own, for its token may lie there."""
    placement = props.placement
    issuer = _account(ISSUER, ISSUERS)
    there = {
        ACCOUNTS: [
            _rule("", "configmaps", ["get"], TEMPLATE),
            _rule("", "serviceaccounts", _KEEP),
            _rule("", "serviceaccounts/token", ["create"]),
        ],
        placement.namespace: [
            # Whoever deploys sees first that this is the cluster that was meant.
            _rule("", "configmaps", ["get"], "cluster"),
            # Which previews there are; each account that it makes reads these records too, and they hold no secret.
            _rule("", "secrets", ["list"]),
        ],
        # What it may not do itself it could not grant without "escalate" and "bind"; the policy says what it grants.
        props.database_job.placement.namespace: [
            _rule("rbac.authorization.k8s.io", "roles", [*_KEEP, "escalate", "bind"])
        ],
    }
    everywhere = [
        _rule("", "namespaces", [*_READ, "create", "patch"]),
        # What previews reserve, how they are, and how many more fit: a plan and a list say it.
        _rule("", "nodes pods", ["list"]),
        _rule("apps", "deployments", ["list"]),
        _rule("rbac.authorization.k8s.io", "rolebindings", _KEEP),
        _rule("rbac.authorization.k8s.io", "clusterroles", ["bind"], _PREVIEW),
        *(
            [_rule("networking.k8s.io", "networkpolicies", ["get", "create", "patch"])]
            if props.namespace.isolation
            else []
        ),
    ]
    objects = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(placement, ISSUER, ISSUERS),
            "automountServiceAccountToken": False,
        },
        _role(_metadata(placement, _ISSUER), everywhere),
        _binding(_metadata(placement, _ISSUER), "ClusterRole", _ISSUER, issuer),
    ]
    for namespace, rules in there.items():
        metadata = _metadata(placement, _ISSUER, namespace)
        objects += [_role(metadata, rules), _binding(metadata, "Role", _ISSUER, issuer)]
    return objects


def _metadata(placement: Placement, name: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = placement.metadata(name, app=_APP, component=_COMPONENT, namespaced=False)
    return {**metadata, **({"namespace": namespace} if namespace else {})}


def _namespace(placement: Placement, name: str) -> dict[str, Any]:
    own = Placement(namespace=name, part_of=placement.part_of, instance=placement.instance, labels=placement.labels)
    return namespace_manifest(NamespaceProps(placement=own))


def _account(name: str, namespace: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _role(metadata: dict[str, Any], rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    kind = "Role" if "namespace" in metadata else "ClusterRole"
    return {"apiVersion": _RBAC, "kind": kind, "metadata": metadata, "rules": list(rules)}


def _binding(metadata: dict[str, Any], kind: str, role: str, subject: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _RBAC,
        "kind": "RoleBinding" if "namespace" in metadata else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [subject],
    }


def _rule(group: str, resources: str, verbs: Sequence[str], *names: str) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "resources": resources.split(),
        **({"resourceNames": list(names)} if names else {}),
        "verbs": list(verbs),
    }
