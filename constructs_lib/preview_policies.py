"""What RBAC cannot say of the accounts of previews: the names that one may write, and what it may write there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from constructs_lib._admission import SELF_REVIEWS, Rule, policy
from constructs_lib._cel import literal
from constructs_lib.database_job import create_job, drop_job
from constructs_lib.namespace import namespace_manifest, network_policy
from constructs_lib.preview_access_props import PreviewAccessProps

if TYPE_CHECKING:
    from constructs_lib.values import ImageRef

ACCOUNTS = "aphiria-deploy-previews"
"""The namespace of the accounts; nothing else is in it."""
ISSUERS = "aphiria-deploy-issuer"
"""The namespace of the account that makes accounts."""
ISSUER = "preview-issuer"
"""Its name."""

_NUMBER = '"^[1-9][0-9]{0,8}$"'
_ENVIRONMENT = "deploy.aphiria.com/environment"
_LONGEST_TOKEN = 3600

# What the API server adds to what it is given. Anything that is neither in the template nor here is denied.
_JOB_DEFAULTS = {
    "parallelism": 1,
    "completions": 1,
    "completionMode": "NonIndexed",
    "suspend": False,
    "manualSelector": False,
}
_JOB_GENERATED = ["template", "selector", "podReplacementPolicy"]
_JOB_LABELS = ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"]
_POD_DEFAULTS = {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30}
# What of a container is not simply equal.
_JUDGED = ["image", "resources"]
_CONTAINER_DEFAULTS = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}


def previews_policy(
    metadata: Mapping[str, Any], props: PreviewAccessProps, kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """Gives the policy of the previews' accounts: each writes what is its preview's, and nothing that harms others.

    Args:
        metadata: The policy's metadata.
        props: The example of a preview.
        kinds: What an account writes in its preview's namespace, as group/resource.
    """
    account = f"system:serviceaccount:{ACCOUNTS}:"
    environment, home = props.environment, props.namespace.placement.namespace
    state, beside = props.placement.namespace, props.database_job.placement.namespace
    holes = _holes(props)
    jobs = {job["metadata"]["name"].rpartition("-")[0]: job for job in map(_settled, _jobs(props))}
    names = " || ".join(f'variables.name.matches("^" + {literal(name, holes)} + "-[0-9a-f]{{1,16}}$")' for name in jobs)
    allowed = f"""\
request.userInfo.username == {literal(f"{account}{environment}", holes)} &&
variables.number.matches({_NUMBER}) &&
variables.part == "" && (
  variables.resource == "/namespaces" ? variables.name == {literal(home, holes)} :
  variables.place == {literal(home, holes)} ? variables.resource in {literal(kinds)} :
  variables.place == "{state}" ? (
    variables.resource == "coordination.k8s.io/leases" && variables.name == {literal(environment, holes)} ||
    variables.resource == "/secrets" && (
      variables.name == {literal(f"applyset.{environment}", holes)} ||
      variables.name.matches("^release[.]" + {literal(environment, holes)} + "[.]v[1-9][0-9]*$"))) :
  variables.place == "{beside}" ? (
    variables.resource == "/secrets" && variables.name == {literal(props.database_job.verifier.secret, holes)} ||
    variables.resource == "batch/jobs" && ({names})) :
  variables.place == "" && variables.resource in {literal(SELF_REVIEWS)})"""
    init, drop = jobs
    label = literal(_ENVIRONMENT)
    variables = {
        "number": 'request.userInfo.username.find("[0-9]+$")',
        "job": f'variables.written && variables.resource == "batch/jobs" && variables.place == "{beside}"',
        "expected": f"variables.name.startsWith({literal(f'{init}-', holes)}) ? "
        f"{literal(jobs[init]['expected'], holes)} : {literal(jobs[drop]['expected'], holes)}",
        "template": "object.spec.template",
        "pod": "object.spec.template.spec",
        "container": "object.spec.template.spec.containers[0]",
    }
    return policy(
        metadata,
        applies=f'request.userInfo.username.startsWith("{account}")',
        variables=variables,
        allowed=allowed,
        rules=[
            Rule(
                f"variables.labels[?{label}].orValue({literal(environment, holes)}) == {literal(environment, holes)}",
                f"the label {_ENVIRONMENT} is this account's environment",
            ),
            Rule(
                f'!(variables.written && variables.place in ["{state}", "{beside}"] && '
                f'variables.resource in ["/secrets", "batch/jobs"]) || {label} in variables.labels',
                f"what is outside of the preview's namespace has the label {_ENVIRONMENT}",
            ),
            _namespace_rule(props, holes),
            *_secret_rules(state, literal(home, holes)),
            *_home_rules(props, holes),
            *_job_rules(props.database_job.image),
        ],
    )


def issuer_policy(
    metadata: Mapping[str, Any], props: PreviewAccessProps, account: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Gives the policy of the account that makes accounts: it makes these, as they are, and tokens that end soon.

    Args:
        metadata: The policy's metadata.
        props: The example of a preview.
        account: What the account of that preview consists of.
    """
    holes = _holes(props)
    beside = props.database_job.placement.namespace
    allowed = []
    rules = [_namespace_rule(props, holes)]
    for item in account:
        resource, contents, made_once = _writes(item)
        where, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
        this = (
            f'variables.resource == "{resource}" && variables.place == {literal(where, holes)} && '
            f"variables.name == {literal(name, holes)}"
        )
        allowed.append(f'{this} && variables.part == ""' + (' && request.operation == "CREATE"' if made_once else ""))
        if contents:
            equal = " && ".join(f"object.{key} == {literal(item[key], holes)}" for key in contents)
            rules.append(
                Rule(f"!(variables.written && {this}) || ({equal})", f"{item['kind']} is what the preview base says")
            )
    token = (
        f'variables.resource == "/serviceaccounts" && variables.place == "{ACCOUNTS}" && variables.part == "token" && '
        f"variables.name == {literal(props.environment, holes)}"
    )
    rules.append(
        Rule(
            f'variables.part != "token" || object.spec.expirationSeconds <= {_LONGEST_TOKEN}',
            f"a token of a preview's account ends within {_LONGEST_TOKEN} s",
        )
    )
    own = f'variables.place == "" && variables.part == "" && variables.resource in {literal(SELF_REVIEWS)}'
    which = f'variables.place in ["", "{ACCOUNTS}", "{beside}"] ? variables.name : variables.place'
    alternatives = " ||\n  ".join([*allowed, token])
    return policy(
        metadata,
        applies=f'request.userInfo.username == "system:serviceaccount:{ISSUERS}:{ISSUER}"',
        variables={"number": f'({which}).find("[0-9]+$")'},
        allowed=f"{own} || variables.number.matches({_NUMBER}) && (\n  {alternatives})",
        rules=rules,
    )


def _holes(props: PreviewAccessProps) -> dict[str, str]:
    return {str(props.number): "variables.number"}


def _jobs(props: PreviewAccessProps) -> list[dict[str, Any]]:
    return [create_job(props.database_job), drop_job(props.database_job)]


def _writes(item: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """Which resource an object of an account is, which of its fields are fixed, and whether it is only ever created."""
    match item["kind"]:
        case "ServiceAccount":
            return "/serviceaccounts", [], False
        case "Role":
            return "rbac.authorization.k8s.io/roles", ["rules"], False
        case "RoleBinding":
            return "rbac.authorization.k8s.io/rolebindings", ["roleRef", "subjects"], False
        case "Namespace":
            return "/namespaces", [], True
        case "NetworkPolicy":
            return "networking.k8s.io/networkpolicies", ["spec"], True
    raise ValueError(f"{item['kind']}: no account consists of one")


def _namespace_rule(props: PreviewAccessProps, holes: Mapping[str, str]) -> Rule:
    """The labels that the cluster and others go by; the engine adds its own, below its own prefixes."""
    labels = namespace_manifest(props.namespace)["metadata"]["labels"]
    fixed = {
        name: value
        for name, value in labels.items()
        if name in {"pod-security.kubernetes.io/enforce", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"}
    }
    known = [*labels, "kubernetes.io/metadata.name"]
    return Rule(
        f'!(variables.written && variables.resource == "/namespaces") || (\n'
        f'{literal(fixed, holes)}.all(it, variables.labels[?it].orValue("") == {literal(fixed, holes)}[it]) &&\n'
        f"variables.labels.all(it, it in {literal(known)} || "
        'it.startsWith("deploy.aphiria.com/") || it.startsWith("applyset.kubernetes.io/")))',
        "the Namespace has the labels of a preview's, its Pod Security Standard among them, and no others",
    )


def _secret_rules(state: str, home: str) -> list[Rule]:
    """Types: the cluster itself writes a token into a Secret of one of them."""
    return [
        Rule(
            '!(variables.written && variables.resource == "/secrets") || object.type == "Opaque" || '
            f'(variables.place == {home} && object.type == "kubernetes.io/dockerconfigjson") || '
            f'(variables.place == "{state}" && variables.name.startsWith("release.") && '
            'object.type.matches("^deploy[.]aphiria[.]com/release[.]v[0-9]+$"))',
            "a Secret is Opaque, a pull secret of the preview's namespace, or the record of a release",
        )
    ]


def _home_rules(props: PreviewAccessProps, holes: Mapping[str, str]) -> list[Rule]:
    home = literal(props.namespace.placement.namespace, holes)

    def written(*resources: str) -> str:
        return f"variables.written && variables.place == {home} && variables.resource in {literal(resources)}"

    hosts = literal(list(map(str, props.hostnames)), holes)
    rules = [
        Rule(
            f"!({written('apps/deployments', 'batch/jobs')}) || !has(object.spec.template.spec.priorityClassName)",
            "pods of a preview have no priority over others",
        ),
        Rule(
            f'!({written("/services")}) || (object.spec.type == "ClusterIP" && '
            "object.spec.?externalIPs.orValue([]).size() == 0)",
            "a Service of a preview is reached through the Gateway alone",
        ),
        Rule(
            f"!({written('gateway.networking.k8s.io/httproutes')}) || "
            f"(object.spec.?hostnames.orValue([]).size() > 0 && object.spec.hostnames.all(it, it in {hosts}))",
            "a route of a preview has the preview's own hosts",
        ),
    ]
    isolation = props.namespace.isolation
    if isolation:
        expected = network_policy(props.namespace.placement, isolation)
        rules.append(
            Rule(
                f'!(variables.place == {home} && variables.resource == "networking.k8s.io/networkpolicies") || '
                f"(variables.written && variables.name == {literal(isolation.name)} && "
                f"object.spec == {literal(expected['spec'], holes)})",
                "the isolation of a preview is what the preview base says: deploy that first where it is to change",
            )
        )
    return rules


def _settled(job: Mapping[str, Any]) -> dict[str, Any]:
    """A Job, with what its parts are to be like, beside what the API server sets by default."""
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    expected = {
        "spec": {name: value for name, value in spec.items() if name != "template"},
        "labels": spec["template"]["metadata"]["labels"],
        "pod": {name: value for name, value in pod.items() if name != "containers"},
        "container": {name: value for name, value in container.items() if name not in _JUDGED},
        "resources": container.get("resources", {}),
    }
    return {**job, "expected": expected}


def _job_rules(image: ImageRef) -> list[Rule]:
    """Beside the database, where the administrator's Secret lies, an account runs these Jobs and nothing else.

    The image may be another of the same repository, as long as it is pinned: sites move from one to the next, and the
    command says what of it is run.
    """
    name = re.escape(str(replace(image, tag=None, digest=None)))
    pinned = f"^{name}(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?@sha256:[0-9a-f]{{64}}$"
    return [
        _job_rule(
            _same("object.spec", "variables.expected.spec", _JOB_GENERATED, _JOB_DEFAULTS),
            "the Job runs as often and as long as the preview base says",
        ),
        _job_rule(
            f"{_same('variables.template.metadata.labels', 'variables.expected.labels', _JOB_LABELS)} && "
            "variables.template.metadata.?annotations.orValue(dyn({})).all(it, "
            'it.startsWith("deploy.aphiria.com/") || it.startsWith("checksum/"))',
            "the pods of the Job have the labels that the preview base says, and no annotations that anybody acts on",
        ),
        _job_rule(
            f"{_same('variables.pod', 'variables.expected.pod', ['containers'], _POD_DEFAULTS)} && "
            "variables.pod.containers.size() == 1",
            "the pods of the Job are as the preview base says: no volumes, no account, no other containers",
        ),
        _job_rule(
            _same("variables.container", "variables.expected.container", _JUDGED, _CONTAINER_DEFAULTS),
            "the Job runs the command that the preview base says, in the environment that it says",
        ),
        _job_rule(
            f"variables.container.image.matches({literal(pinned)})",
            "the Job runs an image of the repository that the preview base says, pinned to its digest",
        ),
        _job_rule(
            "variables.container.?resources.orValue(dyn({})).all(kind, kind in variables.expected.resources) &&\n"
            "variables.expected.resources.all(kind, kind in variables.container.resources &&\n"
            "  variables.container.resources[kind].all(it, it in variables.expected.resources[kind]) &&\n"
            "  variables.expected.resources[kind].all(it, it in variables.container.resources[kind] &&\n"
            "    quantity(string(variables.container.resources[kind][it])) == "
            "quantity(string(variables.expected.resources[kind][it]))))",
            "the Job is promised and may use what the preview base says",
        ),
    ]


def _job_rule(expression: str, message: str) -> Rule:
    return Rule(f"!variables.job || (\n{expression})", f"{message}: deploy that first where it is to change")


def _same(found: str, expected: str, others: Sequence[str], defaults: Mapping[str, Any] | None = None) -> str:
    """Whether a mapping is what is expected, other keys aside, and those that have their default."""
    default = literal(defaults or {})
    either = f"it in {expected} ? {found}[it] == {expected}[it] : it in {default} && {found}[it] == {default}[it]"
    return f"{found}.all(it, it in {literal(others)} || ({either})) &&\n{expected}.all(it, it in {found})"
