"""Rules about secret values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from constructs_lib.checks.manifests import Container, Manifests, Object, mapping, sequence, string
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.schema import join

_SECRET_NAME = re.compile(
    r"(?i)(?:^(?:pg|db)?|[_.-])(?:password|passwd|passphrase|pwd|token|secret|credentials?|api_?key|apikey|access_?key|secret_?key"
    r"|private_?key|encryption_?key|signing_?key)$"
)
_MAY_BE_A_NAME = re.compile(r"(?i)(?:token|secret|credentials?|key)$")
_ALLOWED_NAME = re.compile(r"(?i)(?:public|allow|enable|disable|require|use|has|no|empty)[_.-]|access_?key_?id$")
_HARMLESS = re.compile(
    r"(?i)|true|false|yes|no|on|off|none|null|[0-9]+|\$\{.*\}|\$\(.*\)|<.*>|\{\{.*\}\}|[./~].*|[a-z]:\\.*|file:.*|env:.*"
)
_OPAQUE = re.compile(r"[A-Za-z0-9+/_.~:-]+={0,2}")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_KNOWN_VALUES = (
    (re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}"), "a private key"),
    (re.compile(r"\b(?:ghp|gho|ghs|ghu)_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}"), "a GitHub token"),
    (re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b"), "a DigitalOcean token"),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an AWS access key"),
    (re.compile(r"\bxox[bap]-[0-9A-Za-z-]{20,}"), "a Slack token"),
    (
        re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$<>{}'\"]*:(?!//)(?![$<{%*])[^\s/@$<>{}'\"]+@[\w.-]"),
        "a URL with a password",
    ),
    (re.compile(r"\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH)=(?![\"']?[$<{])[\"']?[^\s\"';]+"), "a password"),
    (re.compile(r"(?:^|\s)--password=(?![\"']?[$<{/])[\"']?[^\s\"';]+"), "a password"),
)
_EXAMPLES = re.compile(r"(?i)example|changeme|placeholder|your[-_]|xxx|dummy|redacted")


@rule(
    "literal-secret",
    summary="a secret value stands in a manifest where everybody can read it",
    why="Passwords stood in the environment of a Job's pod spec: in the repository, the API and every log of a plan.",
)
def literal_secret(manifests: Manifests) -> Iterator[Found]:
    """Finds secret values outside of Secrets; in the synthesized files of an environment also inside of them."""
    for pod in manifests.pods:
        for container in pod.containers:
            yield from _in_container(manifests, pod.owner, container)
    for item in manifests.of("ConfigMap"):
        for key, value in mapping(item.data.get("data")).items():
            what = _secret(manifests, item, str(key), value)
            if what:
                yield _found(item, join("data", str(key)), f"the key {key} holds {what}")
    if manifests.closed:
        yield from _in_secrets(manifests)


def _in_container(manifests: Manifests, owner: Object, container: Container) -> Iterator[Found]:
    for number, variable in enumerate(map(mapping, sequence(container.data.get("env")))):
        name, value = string(variable.get("name")), variable.get("value")
        what = _secret(manifests, owner, name, value)
        if what:
            path = f"{container.path}.env[{number}].value"
            yield _found(owner, path, f"the variable {name} holds {what}")
    for key in ("command", "args"):
        what = _known(" ".join(string(word) for word in sequence(container.data.get(key))))
        if what:
            yield _found(owner, f"{container.path}.{key}", f"container {container.name} is given {what}")


def _found(item: Object, path: str, message: str) -> Found:
    # The value itself is never shown.
    return Found(item, path, message, "put the value into a Secret, and refer to it (secretKeyRef)")


def _secret(manifests: Manifests, item: Object, name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    known = _known(value)
    if known:
        return known
    # camelCase is a name of parts as well.
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    if not _SECRET_NAME.search(parts) or _ALLOWED_NAME.search(parts) or _HARMLESS.fullmatch(value) or "\n" in value:
        return None
    if manifests.find("Secret", item.namespace, value) or any(one.name == value for one in manifests.context.secrets):
        return None  # it is the name of a Secret
    return None if _MAY_BE_A_NAME.search(parts) and not _is_opaque(manifests, value) else "a literal secret"


def _is_opaque(manifests: Manifests, value: str) -> bool:
    """Says whether it looks like a token: no list of options, and not the name of a Secret that is elsewhere."""
    return bool(_OPAQUE.fullmatch(value)) and (manifests.closed or not _DNS_LABEL.fullmatch(value))


def _known(text: str) -> str | None:
    for pattern, what in _KNOWN_VALUES:
        match = pattern.search(text)
        if match and not _EXAMPLES.search(match.group()):
            return what
    return None


def _in_secrets(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.of("Secret"):
        for field in ("data", "stringData"):
            if any(value not in (None, "") for value in mapping(item.data.get(field)).values()):
                yield Found(
                    item,
                    field,
                    f"the synthesized Secret {item.name} holds values; what is synthesized holds none",
                    "let the deploy engine make the Secret: declare its keys and where their values come from",
                )
