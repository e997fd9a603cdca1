"""GitHub's own description of its API, cut down to what this project uses.

Prism serves it, and requests are compared with it more strictly than Prism does: a field that is not in it is an error.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema
import pytest

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "node_modules/@octokit/openapi/generated/api.github.com.json"
REPOSITORY = "/repos/{owner}/{repo}"
USED: dict[str, tuple[str, ...]] = {
    f"{REPOSITORY}/pulls": ("get",),
    f"{REPOSITORY}/pulls/{{pull_number}}": ("get",),
    f"{REPOSITORY}/commits/{{commit_sha}}/pulls": ("get",),
    f"{REPOSITORY}/git/commits/{{commit_sha}}": ("get",),
    f"{REPOSITORY}/collaborators/{{username}}/permission": ("get",),
    f"{REPOSITORY}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{REPOSITORY}/issues/comments/{{comment_id}}": ("patch", "delete"),
    f"{REPOSITORY}/deployments": ("get", "post"),
    f"{REPOSITORY}/deployments/{{deployment_id}}": ("delete",),
    f"{REPOSITORY}/deployments/{{deployment_id}}/statuses": ("get", "post"),
    f"{REPOSITORY}/environments": ("get",),
    f"{REPOSITORY}/environments/{{environment_name}}": ("get", "put", "delete"),
    f"{REPOSITORY}/environments/{{environment_name}}/deployment-branch-policies": ("get", "post"),
    f"{REPOSITORY}/environments/{{environment_name}}/secrets": ("get",),
    f"{REPOSITORY}/environments/{{environment_name}}/secrets/public-key": ("get",),
    f"{REPOSITORY}/environments/{{environment_name}}/secrets/{{secret_name}}": ("put",),
    f"{REPOSITORY}/labels": ("get", "post"),
    f"{REPOSITORY}/issues": ("get", "post"),
    f"{REPOSITORY}/issues/{{issue_number}}": ("patch",),
    f"{REPOSITORY}/actions/artifacts": ("get",),
    f"{REPOSITORY}/actions/runs/{{run_id}}": ("get",),
    f"{REPOSITORY}/actions/runs/{{run_id}}/artifacts": ("get",),
    f"{REPOSITORY}/actions/artifacts/{{artifact_id}}/{{archive_format}}": ("get",),
    "/user": ("get",),
    "/users/{username}": ("get",),
    "/orgs/{org}/teams/{team_slug}": ("get",),
}

_METHODS = ("get", "put", "post", "patch", "delete")
_VENDOR = "application/vnd.github+json"


@cache
def trimmed() -> dict[str, Any]:
    """The description of what is used, with what it refers to."""
    if not SOURCE.is_file():
        pytest.skip("needs npm's packages (make npm-packages)")
    whole = json.loads(SOURCE.read_text())
    paths = {
        path: {key: value for key, value in whole["paths"][path].items() if key not in _METHODS or key in methods}
        for path, methods in USED.items()
    }
    components: dict[str, dict[str, Any]] = {}
    _collect(paths, whole, components)
    document = {key: value for key, value in whole.items() if key not in {"paths", "components", "x-webhooks"}}
    document |= {"paths": paths, "components": components, "servers": [{"url": "/"}]}
    _answer_to_vendor_type(document)
    return document


def _collect(part: Any, whole: Mapping[str, Any], into: dict[str, dict[str, Any]]) -> None:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/"):
            _, _, group, name = reference.split("/")
            if name not in into.setdefault(group, {}):
                into[group][name] = whole["components"][group][name]
                _collect(into[group][name], whole, into)
        for value in part.values():
            _collect(value, whole, into)
    elif isinstance(part, list):
        for value in part:
            _collect(value, whole, into)


def _answer_to_vendor_type(document: dict[str, Any]) -> None:
    """Prism refuses to answer (406) what is asked for by GitHub's own media type: it is described as JSON alone."""
    holders = [
        *(
            response
            for item in document["paths"].values()
            for method, operation in item.items()
            if method in _METHODS
            for response in operation["responses"].values()
        ),
        *document["components"].get("responses", {}).values(),
    ]
    for holder in holders:
        content = holder.get("content", {})
        if "application/json" in content:
            content.setdefault(_VENDOR, content["application/json"])


class UndescribedError(AssertionError):
    """A request is not one that GitHub describes."""


def check_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
    """Compares a request with the description; unknown fields and parameters are refused.

    Raises:
        UndescribedError: It is not described.
    """
    parts = urlsplit(target)
    operation, names, item = _operation(method, parts.path)
    query = {parameter["name"]: parameter for parameter in _parameters(operation, item) if parameter["in"] == "query"}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in query:
            raise UndescribedError(f"{method} {target}: parameter {name}: expected one of {', '.join(sorted(query))}")
        _check(_typed(value, query[name]["schema"]), query[name]["schema"], f"{method} {target}: {name}")
    described = {
        parameter["name"]: parameter for parameter in _parameters(operation, item) if parameter["in"] == "path"
    }
    for name, value in names.items():
        _check(_typed(value, described[name]["schema"]), described[name]["schema"], f"{method} {target}: {name}")
    if "requestBody" not in operation:
        if body:
            raise UndescribedError(f"{method} {target}: expected no body")
        return
    if not headers.get("content-type", "").startswith("application/json"):
        raise UndescribedError(f"{method} {target}: expected JSON")
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    _check(json.loads(body), schema, f"{method} {target}")


def _operation(method: str, path: str) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    document = trimmed()
    # What has no parameter where others have one goes first.
    for template in sorted(document["paths"], key=lambda one: (one.count("{"), one)):
        pattern = re.sub(r"\{([a-z_]+)\}", r"(?P<\1>[^/]+)", template)
        match = re.fullmatch(pattern, path)
        operation = document["paths"][template].get(method.lower())
        if match and operation:
            values = {name: unquote(value) for name, value in match.groupdict().items()}
            return operation, values, document["paths"][template]
    raise UndescribedError(f"{method} {path}: found nothing of the kind in GitHub's description")


def _parameters(operation: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for parameter in (*operation.get("parameters", ()), *item.get("parameters", ())):
        yield _resolved(parameter)


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        _, _, group, name = part["$ref"].split("/")
        part = trimmed()["components"][group][name]
    return part


def _typed(value: str, schema: dict[str, Any]) -> Any:
    kind = _resolved(schema).get("type")
    if kind == "integer" and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    return value == "true" if kind == "boolean" and value in {"true", "false"} else value


def _check(value: Any, schema: dict[str, Any], where: str) -> None:
    strict = _strict(schema)
    document = {**strict, "components": {"schemas": _strict_components()}}
    try:
        jsonschema.Draft202012Validator(document).validate(value)
    except jsonschema.ValidationError as error:
        raise UndescribedError(f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}") from error


@cache
def _strict_components() -> dict[str, Any]:
    return {name: _strict(schema) for name, schema in trimmed()["components"]["schemas"].items()}


def _strict(schema: Any) -> Any:
    """As JSON Schema, with unknown fields refused where fields are named."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in copy.copy(schema).items() if key not in {"example", "examples"}}
    if "properties" in schema and isinstance(schema["properties"], dict) and "$ref" not in schema:
        made.setdefault("additionalProperties", False)
    if schema.get("nullable") is True:
        made.pop("nullable")
        return {"anyOf": [made, {"type": "null"}]}
    return made
