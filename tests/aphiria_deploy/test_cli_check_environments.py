"""`aphiria-deploy check ENV`: the rules over an environment of the site."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import apps
from aphiria_deploy.cli.checking import check_environments
from aphiria_deploy.cli.main import app
from aphiria_deploy.errors import InputError
from apps import site


@pytest.mark.parametrize("environment", site.environments)
def test_the_site_has_no_findings(environment: str) -> None:
    (report,) = check_environments([environment], {})

    assert report.findings == ()


def test_the_one_silenced_finding_is_listed_with_its_reason() -> None:
    done = CliRunner().invoke(app, ["check", "pr-107", "--output", "json"])

    assert done.exit_code == 0
    (silenced,) = json.loads(done.stdout)["silenced"]
    assert (silenced["rule"], silenced["name"]) == ("cookie-domain", "env-vars")
    assert "until they have a domain of their own" in silenced["reason"]


def test_in_sarif_what_is_in_no_file_is_where_the_site_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub refuses a whole log for one result that is nowhere."""
    monkeypatch.chdir(Path(apps.__file__).parents[1])
    done = CliRunner().invoke(app, ["check", "pr-107", "--output", "sarif"])

    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    assert result["suppressions"]
    assert [one["physicalLocation"] for one in result["locations"]] == [
        {"artifactLocation": {"uri": "apps/__init__.py"}, "region": {"startLine": 1}}
    ]


def test_files_and_environments_are_checked_together(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndta: {}\n", encoding="utf-8")

    done = CliRunner().invoke(app, ["check", str(file), "local", "--output", "json"])

    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["rule"], finding["file"], finding["line"]) == ("unknown-field", str(file), 4)


def test_what_is_neither_a_file_nor_an_environment_is_said() -> None:
    with pytest.raises(InputError, match=r"pr-0: there is no such file or folder, and environment: found 'pr-0'"):
        check_environments(["pr-0"], {})


def test_images_of_an_environment_can_be_given() -> None:
    with pytest.raises(InputError, match="images: web: found 'x:latest', expected"):
        check_environments(["production"], {"web": "x:latest"})
