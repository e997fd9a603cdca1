"""The commands: what they are given, what they refuse, how they end."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from aphiria_deploy.cli import issuing, main, stepping
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.github.job import Job
from aphiria_deploy.github.selection import Limits
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.preview_outputs import VARIABLES
from tests.aphiria_deploy.github.images import build
from tests.aphiria_deploy.github.stand_in import REPOSITORY, TOKEN, StandIn

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["aphiria-deploy", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gc"], "GITHUB_REPOSITORY and GITHUB_TOKEN: found none"),
        (["gc", "--grace", "soon"], "--grace: found 'soon', expected a duration"),
        (["gc", "--max-age", "1 week"], "--max-age: found '1 week', expected a duration"),
        (["promote", "107"], "'107': found no preview, expected pr-N"),
        (["promote", "pr-0"], "found no number of a pull request"),
        (["promote", "pr-7", "--commit", "abc"], "--commit: found 'abc'"),
        (["github", "gate", "--run", "5"], "GITHUB_TOKEN"),
        (["github", "comment", "7"], "approved/comment.md: No such file or directory; expected a file"),
        (["github", "cleanup", "0"], "found no number of a pull request"),
        (["github", "cleanup", "7", "--wait-for-lock", "x"], "--wait-for-lock: found 'x'"),
        (["github", "drift", "staging"], "found no environment"),
        (["github", "bundle", "pr-x"], "found no environment"),
        (["github", "bundle", "pr-7"], "found no pyproject.toml"),
        (["github", "release", "--commit", "f" * 40, "--images", "web"], "--images: found 'web', expected NAME=REF"),
        (["github", "setup"], "GITHUB_TOKEN"),
        (["github", "setup", "--issuer-token", "90 days"], "--issuer-token: found '90 days', expected a duration"),
        (["github", "outputs"], "PREVIEW_OUTPUTS, PREVIEW_ISSUER_TOKEN, PREVIEW_PULL_TOKEN: found none"),
        (["github", "room"], "the cluster: found none named, expected --kubeconfig FILE"),
    ],
)
def test_what_cannot_be_used_is_said_and_ends_with_2(arguments: list[str], message: str, run: Command) -> None:
    code, _, err = run(*arguments)

    assert (code, message in err) == (2, True), err


def test_a_comment_of_another_pull_request_is_not_written(run: Command, tmp_path: Path) -> None:
    (tmp_path / "comment.md").write_text("<!-- aphiria-deploy:pr-8 -->\n")

    assert "it is no comment of 7" in run("github", "comment", "7", "--file", "comment.md")[2]


def test_the_limits_of_a_sweep_are_durations() -> None:
    assert stepping.limits(3, "30m", "168h", "", "keep") == Limits(
        max_age=timedelta(days=7), grace=timedelta(minutes=30), most=3
    )


def test_the_engine_gets_the_cluster_that_was_named() -> None:
    cluster = stepping.Cluster(Path("k"), "c", Path("o"))

    assert cluster.engine()._options == ("--kubeconfig", "k", "--context", "c", "--outputs", "o")
    assert stepping.Cluster(None, "", None).engine()._options == ()


def test_a_token_is_made_where_setup_is_told_to_and_before_anything_is_changed(
    run: Command, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.may_administer = True
    stand_in.key = base64.b64encode(bytes(PrivateKey.generate().public_key)).decode()
    for name, value in (("API_URL", stand_in.api), ("TOKEN", TOKEN), ("REPOSITORY", REPOSITORY)):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    asked: list[float] = []

    def issued(_: object, seconds: float) -> dict[str, SecretValue]:
        assert {one.method for one in stand_in.requests} == {"GET"}
        asked.append(seconds)
        return {name: SecretValue(f"value-of-{name}") for name in VARIABLES}

    monkeypatch.setattr(issuing, "issued", issued)

    code, out, _ = run("github", "setup", "--issuer-token", "2160h")
    assert (code, asked) == (0, [])
    assert "secret PREVIEW_ISSUER_TOKEN of preview: set it" in out
    assert run("github", "setup", "--yes")[0] == 0
    assert asked == []
    assert "preview" not in stand_in.secrets

    stand_in.requests.clear()
    code, out, err = run("github", "setup", "--issuer-token", "2160h", "--yes")
    assert (code, asked) == (0, [2160 * 3600])
    assert set(stand_in.secrets["preview"]) == set(VARIABLES)
    assert "value-of" not in out + err


# The job


def test_outputs_are_what_they_were_whatever_is_in_them(tmp_path: Path) -> None:
    place = tmp_path / "outputs"
    Job({"GITHUB_OUTPUT": str(place)}).give({"a": "x\nb<<EOF\ny", "b": ""})
    lines = place.read_text().splitlines()

    end = lines[0].removeprefix("a<<")
    assert lines[1:5] == ["x", "b<<EOF", "y", end]
    assert lines[5].startswith("b<<end-")
    assert lines[5] != f"b<<{end}"


@pytest.mark.parametrize("name", ["", "A", "a=b", "a\nb", "a<<b"])
def test_an_output_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an output"):
        Job({}).give({name: "x"})


def test_outside_of_a_workflow_nothing_is_written() -> None:
    job = Job({})
    job.give({"a": "x"})
    job.summarize("x")

    assert (job.run, job.run_url, job.registry_login(), job.secrets) == (0, "", None, ())


def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"GITHUB_OUTPUT: .*expected a file that can be written to"):
        Job({"GITHUB_OUTPUT": str(tmp_path)}).give({"a": "x"})


def test_the_values_of_a_jobs_secrets_are_known_to_be_kept() -> None:
    environ = {"GITHUB_TOKEN": "ghs_12345678", "PULUMI_ACCESS_TOKEN": "pul-12345678", "HOME": "/root", "X_KEY": "short"}

    assert set(Job(environ).secrets) == {"ghs_12345678", "pul-12345678"}


# The untrusted part, on the real site


def test_a_bundle_is_made_of_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    digests = {name: build(tmp_path / "images", name, "c" * 40) for name in ("web", "api")}

    said = stepping.make_bundle("pr-107", tmp_path / "images", "c" * 40, tmp_path / "bundle.json")

    for name, digest in digests.items():
        assert f"  {name}: ghcr.io/aphiria/aphiria.com-{name}@{digest}" in said
        assert f"ghcr.io/aphiria/aphiria.com-{name}@{digest}" in (tmp_path / "outputs").read_text()
        assert digest in (tmp_path / "bundle.json").read_text()
    assert '"sample"' not in (tmp_path / "bundle.json").read_text()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["web"], "found the images web, expected api, web"),
        (["web", "api", "extra"], "found the images api, extra, web"),
    ],
)
def test_the_sites_images_are_built_all_of_them(
    names: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    for name in names:
        build(tmp_path, name, "c" * 40)

    with pytest.raises(AphiriaDeployError, match=message):
        stepping.make_bundle("pr-107", tmp_path, None, tmp_path / "bundle.json")


def test_an_image_of_another_commit_makes_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    for name in ("web", "api"):
        build(tmp_path, name, "e" * 40)

    with pytest.raises(AphiriaDeployError, match="expected one that was built from c"):
        stepping.make_bundle("pr-107", tmp_path, "c" * 40, tmp_path / "bundle.json")
