"""Admission policies that say what one account may write, and deny it everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_API = "admissionregistration.k8s.io/v1"

SELF_REVIEWS = (
    "authentication.k8s.io/selfsubjectreviews",
    "authorization.k8s.io/selfsubjectaccessreviews",
    "authorization.k8s.io/selfsubjectrulesreviews",
)
"""What every account may ask about itself."""

# What the rules speak of. A field that is not there is an error in CEL, and an error denies: those that may be absent
# are asked for as such.
_VARIABLES = {
    "resource": 'request.resource.group + "/" + request.resource.resource',
    "part": 'request.?subResource.orValue("")',
    "place": 'request.resource.resource == "namespaces" ? "" : request.?namespace.orValue("")',
    "name": 'request.?name.orValue("") != "" ? request.name : object.?metadata.?name.orValue("")',
    "written": 'request.operation in ["CREATE", "UPDATE"]',
    "metadata": "variables.written ? object.?metadata.orValue(dyn({})) : dyn({})",
    "labels": "variables.metadata.?labels.orValue(dyn({}))",
}

_DENIED = (
    '"this account may not " + request.operation + " " + variables.resource + '
    '(variables.part == "" ? "" : "/" + variables.part) + " " + variables.place + "/" + variables.name'
)


@dataclass(frozen=True)
class Rule:
    """What must hold of a request.

    Attributes:
        expression: In CEL.
        message: What is wrong where it does not hold.
    """

    expression: str
    message: str


_METADATA = (
    Rule("variables.metadata.?ownerReferences.orValue([]).size() == 0", "this account names no owners"),
    Rule(
        "variables.metadata.?finalizers.orValue([]).all(it, "
        'it in ["foregroundDeletion", "orphan"] || (oldObject != null && '
        "it in oldObject.metadata.?finalizers.orValue([])))",
        "this account adds no finalizers",
    ),
)


def policy(
    metadata: Mapping[str, Any], *, applies: str, variables: Mapping[str, str], allowed: str, rules: Sequence[Rule]
) -> list[dict[str, Any]]:
    """Gives a policy, and its binding, for whatever an account writes, in every group and kind.

    Who else writes is not slowed by more than the question whether it is this account.

    Args:
        metadata: The metadata of both.
        applies: In CEL, whether a request is the account's.
        variables: In CEL, beside those that are always there.
        allowed: In CEL, which names of which kinds it may write in which namespaces.
        rules: What must hold besides, of all that it writes.
    """
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    validations = [
        {"expression": allowed, "messageExpression": _DENIED},
        *({"expression": rule.expression, "message": rule.message} for rule in (*_METADATA, *rules)),
    ]
    return [
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": dict(metadata),
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [everything]},
                "matchConditions": [{"name": "account", "expression": applies}],
                "variables": [
                    {"name": name, "expression": expression}
                    for name, expression in (*_VARIABLES.items(), *variables.items())
                ],
                "validations": [{**validation, "reason": "Forbidden"} for validation in validations],
            },
        },
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": dict(metadata),
            "spec": {"policyName": metadata["name"], "validationActions": ["Deny"]},
        },
    ]
