"""What the README shows is what there is; and the report of a check has the shape that is promised."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import jsonschema
import pytest

from tests.aphiria_deploy.cli.running import run
from tests.aphiria_deploy.cli.schemas import CHECK, DEPLOY, DESTROY, UNBEGUN

ROOT = Path(__file__).parents[3]
SHOWN = re.findall(
    r"^\.venv/bin/aphiria-deploy ([^#\n]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_the_readme_shows_most_commands() -> None:
    first = {line.split()[0] for line in SHOWN}
    assert {"synth", "check", "local", "pr", "diff", "drift", "status", "list", "history", "logs", "rollback"} <= first
    assert {"destroy", "production", "preview-base", "cluster"} <= first


@pytest.mark.parametrize("line", SHOWN)
def test_every_option_that_the_readme_shows_is_there(line: str) -> None:
    words = shlex.split(line.partition(">")[0])
    command = words[:2] if words[0] in {"secrets", "cluster", "github", "db"} else words[:1]
    ended = run(*command, "--help")
    assert ended.code == 0
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{re.escape(option)}\b", ended.out), f"{line}: no {option}"


def test_a_check_reports_its_findings(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndta: {}\n", encoding="utf-8")
    ended = run("check", str(file), "--output", "json")
    assert ended.code == 1
    jsonschema.validate(ended.data, CHECK)
    [finding] = ended.data["findings"]
    assert (finding["rule"], finding["file"], finding["line"]) == ("unknown-field", str(file), 4)


def test_a_check_that_cannot_be_made_is_one_document_too() -> None:
    ended = run("check", "/nowhere", "--output", "json")
    assert ended.code == 2
    jsonschema.validate(ended.data, UNBEGUN)


@pytest.mark.parametrize("schema", [CHECK, DEPLOY, DESTROY, UNBEGUN])
def test_the_schemas_are_schemas(schema: dict[str, object]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
