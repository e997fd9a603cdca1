"""The command over files: its formats, its exit codes, and SARIF against its specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from aphiria_deploy.cli.check import check
from aphiria_deploy.errors import AphiriaDeployError, InputError

_POD = """apiVersion: v1
kind: Pod
metadata:
  name: a
  namespace: p
  annotations:
    deploy.aphiria.com/silence.host-access: "it reads the node's logs"
spec:
  hostPID: true
  containers:
    - name: a
      image: a:1
      imagePullPolcy: Always
"""
_GOOD = """apiVersion: v1
kind: ConfigMap
metadata: {name: a}
"""
_WARNED = """apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: a, image: a}]}
"""


def _run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(check)
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def _write(folder: Path, text: str) -> str:
    file = folder / "a b.yaml"
    file.write_text(text)
    return str(file)


def test_findings_fail_and_are_told_with_file_line_and_what_to_do(tmp_path: Path) -> None:
    code, text = _run(_write(tmp_path, _POD))
    assert code == 1
    assert f"error unknown-field {tmp_path}/a b.yaml:13: Pod p/a spec.containers[0].imagePullPolcy\n" in text
    assert "did you mean 'imagePullPolicy'?" in text
    assert f"silenced host-access {tmp_path}/a b.yaml:9: Pod p/a spec.hostPID: it reads the node's logs" in text
    assert text.splitlines()[-1] == "1 error, 4 warnings, 1 silenced"


def test_warnings_do_not_fail(tmp_path: Path) -> None:
    code, text = _run(_write(tmp_path, _WARNED))
    assert code == 0
    assert text.splitlines()[-1] == "0 errors, 5 warnings"


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert _run(_write(tmp_path, _GOOD)) == (0, "0 errors, 0 warnings\n")


def test_what_cannot_be_read_ends_with_code_2(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a b\.yaml:1: expected a Kubernetes object, found a list") as caught:
        _run(_write(tmp_path, "- a\n"))
    assert isinstance(caught.value, AphiriaDeployError)
    assert caught.value.exit_code == 2


def test_the_json_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    code, text = _run(_write(tmp_path, _POD), "--output", "json")
    report = json.loads(text)
    assert code == 1
    assert report.keys() == {"findings", "silenced"}
    fields = {"rule", "severity", "kind", "namespace", "name", "path", "message", "hint", "file", "line"}
    assert all(one.keys() == fields for one in report["findings"])
    assert all(one.keys() == fields | {"reason"} for one in report["silenced"])
    assert {one["severity"] for one in report["findings"]} == {"error", "warning"}


def test_sarif_is_valid_and_points_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, _POD)
    code, text = _run(".", "--output", "sarif")
    log = json.loads(text)
    jsonschema.Draft7Validator(_SARIF, format_checker=jsonschema.FormatChecker()).validate(log)
    assert code == 1
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    (field,) = [one for one in run["results"] if one["ruleId"] == "unknown-field"]
    assert field["level"] == "error"
    physical = field["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 13}}
    (silenced,) = [one for one in run["results"] if "suppressions" in one]
    assert silenced["suppressions"] == [{"kind": "inSource", "justification": "it reads the node's logs"}]


def test_sarif_of_an_absolute_path_is_relative_to_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _write(tmp_path, _WARNED)
    monkeypatch.chdir(tmp_path)
    inside = json.loads(_run(file, "--output", "sarif")[1])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outside = json.loads(_run(file, "--output", "sarif")[1])
    assert _uri(inside) == "a%20b.yaml"
    assert _uri(outside) == Path(file).as_uri()


def _uri(log: dict[str, Any]) -> str:
    return str(log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def _closed(required: list[str], **properties: object) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_MESSAGE = _closed(["text"], text=_TEXT)
_RULE = _closed(
    ["id"],
    id=_TEXT,
    shortDescription=_MESSAGE,
    fullDescription=_MESSAGE,
    defaultConfiguration=_closed([], level={"enum": ["none", "note", "warning", "error"]}),
)
_LOCATION = _closed(
    [],
    physicalLocation=_closed(
        ["artifactLocation"],
        artifactLocation=_closed(["uri"], uri={"type": "string", "pattern": "^(file:///)?[^ \\\\]+$"}),
        region=_closed(["startLine"], startLine={"type": "integer", "minimum": 1}),
    ),
    logicalLocations={
        "type": "array",
        "uniqueItems": True,
        "items": _closed([], name={"type": "string"}, kind=_TEXT, fullyQualifiedName=_TEXT),
    },
)
_RESULT = _closed(
    ["message"],
    ruleId=_TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level={"enum": ["none", "note", "warning", "error"]},
    message=_MESSAGE,
    locations={"type": "array", "uniqueItems": True, "items": _LOCATION},
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
    suppressions={
        "type": "array",
        "items": _closed(["kind"], kind={"enum": ["inSource", "external"]}, justification=_TEXT),
    },
)
# The part of SARIF 2.1.0 (OASIS, errata 01) that is used here: its names, types, required properties and enumerations.
_SARIF = _closed(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs={
        "type": "array",
        "items": _closed(
            ["tool"],
            tool=_closed(
                ["driver"],
                driver=_closed(
                    ["name"],
                    name=_TEXT,
                    semanticVersion=_TEXT,
                    rules={"type": "array", "uniqueItems": True, "items": _RULE},
                ),
            ),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results={"type": "array", "items": _RESULT},
        ),
    },
)
