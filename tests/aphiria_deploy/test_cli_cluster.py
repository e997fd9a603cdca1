"""``aphiria-deploy cluster``: what it says, how it ends, and what it refuses."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aphiria_deploy.cli import main
from aphiria_deploy.errors import InputError
from aphiria_deploy.preview_outputs import FOR_PREVIEWS, for_previews
from aphiria_deploy.settle import needed_outputs, settle_inputs
from aphiria_deploy.site import cluster_folder
from apps import site
from tests.aphiria_deploy.stacks.stand_in import ROOT, Pulumi
from tests.cluster.stacks import ADDRESS, KUBECONFIG, SECRETS

LIMITED = KUBECONFIG + "# of the account for previews\n"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    stand_in = Pulumi.install(tmp_path / "pulumi")
    for name, value in stand_in.environment.items():
        monkeypatch.setenv(name, value)
    return stand_in


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process, in the checkout."""
    monkeypatch.chdir(ROOT)

    def ended(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["aphiria-deploy", "cluster", *arguments])
        with pytest.raises(SystemExit) as caught:
            main.run()
        out, err = capsys.readouterr()
        return Ended(int(caught.value.code or 0), out, err)

    return ended


def test_up_shows_what_happens_and_sums_it_up(run: Command, pulumi: Pulumi) -> None:
    first = run("up", "production")
    assert first.code == 0, first.err
    assert first.out.startswith("stack production: up: 6 created, 2 unchanged in ")
    assert "Release cert-manager: created" in first.err
    assert "CustomResourceDefinition" not in first.err, "what is only read is nobody's news"
    second = run("up", "production", "--output", "json")
    document = json.loads(second.out)
    assert (document["changed"], document["changes"], document["steps"]) == (False, {"same": 8}, [])


def test_preview_ends_with_3_when_something_would_change(run: Command, pulumi: Pulumi) -> None:
    shown = run("preview", "production")
    assert shown.code == 3
    assert "6 to create" in shown.out
    assert "KubernetesCluster cluster: to create" in shown.err
    assert run("up", "production").code == 0
    assert run("preview", "production").code == 0


def test_a_setting_is_for_one_run(run: Command, pulumi: Pulumi) -> None:
    assert run("up", "production-dns", "--set", f"address={ADDRESS}").code == 0
    without = run("up", "production-dns")
    assert without.code == 2
    assert "address: found none" in without.err
    assert run("up", "production-dns", "--set", "address").code == 2


def test_outputs_are_shown_without_secrets_and_written_with_them_for_oneself(
    run: Command, pulumi: Pulumi, tmp_path: Path
) -> None:
    assert run("up", "production").code == 0
    file = tmp_path / "outputs.json"
    file.write_text("what was there before", encoding="utf-8")
    file.chmod(0o644)
    shown = run("outputs", "production", "--file", str(file))
    assert shown.code == 0
    assert "clusterName: aphiria-com-cluster" in shown.out
    assert "ghcrToken: [secret]" in shown.out
    assert not [value for value in [*SECRETS.values(), KUBECONFIG] if value in shown.out + shown.err]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = json.loads(file.read_text(encoding="utf-8"))
    settled = settle_inputs(site.bundle("production", {}).secrets, written, {}, where=str(file))
    assert settled.secrets.outputs["ghcrToken"].reveal() == SECRETS["ghcrToken"]
    assert json.loads(run("outputs", "production", "--output", "json").out)["ghcrToken"] == "[secret]"


def test_a_file_that_cannot_be_written_is_told(run: Command, pulumi: Pulumi, tmp_path: Path) -> None:
    assert run("up", "production").code == 0
    ended = run("outputs", "production", "--file", str(tmp_path / "no" / "such"))
    assert ended.code == 2
    assert "expected a place that can be written to" in ended.err


def test_what_deploys_previews_gets_no_administrator_of_anything(run: Command, pulumi: Pulumi, tmp_path: Path) -> None:
    assert run("up", "preview-base").code == 0
    limited, file = tmp_path / "limited.yaml", tmp_path / "outputs.json"
    limited.write_text(LIMITED, encoding="utf-8")
    ended = run("outputs", "preview-base", "--for-previews", str(limited), "--file", str(file))
    assert ended.code == 0, ended.err
    text = file.read_text(encoding="utf-8")
    written = json.loads(text)
    assert written["kubeconfig"] == LIMITED
    assert written.keys() == {*FOR_PREVIEWS, "kubeconfig"}
    others = {name: value for name, value in SECRETS.items() if name != "ghcrToken"}
    assert not [value for value in others.values() if value in text + ended.out]
    # And it is enough.
    bundle = site.bundle("pr-107", {})
    assert needed_outputs(bundle.secrets).keys() <= written.keys()
    settle_inputs(bundle.secrets, written, {}, required=["kubeconfig"])


def test_the_administrator_s_kubeconfig_is_not_given_to_previews() -> None:
    with pytest.raises(InputError, match="found the administrator's"):
        for_previews({"kubeconfig": KUBECONFIG}, KUBECONFIG, "stack preview-base")


def test_destroy_is_refused_without_the_stack_s_name_and_with_names_that_lead_there(
    run: Command, pulumi: Pulumi
) -> None:
    assert run("up", "production").code == 0
    for arguments in ((), ("--confirm", "yes"), ("--confirm", "preview-base")):
        refused = run("destroy", "production", *arguments)
        assert refused.code == 2
        assert "expected --confirm production" in refused.err
    assert run("up", "production-dns", "--set", f"address={ADDRESS}").code == 0
    refused = run("destroy", "production", "--confirm", "production")
    assert refused.code == 2
    assert "aphiria-deploy cluster destroy production-dns --confirm production-dns" in refused.err
    assert pulumi.state("production")["resources"]
    assert run("destroy", "production-dns", "--confirm", "production-dns").code == 0
    done = run("destroy", "production", "--confirm", "production")
    assert done.code == 0, done.err
    assert "8 deleted" in done.out
    flags = [
        next(word for word in line if word.startswith("--run-program"))
        for line in pulumi.commands()
        if "destroy" in line
    ]
    assert flags == ["--run-program=false", "--run-program=true"], "a stack with a cluster makes its credentials anew"


def test_without_pulumi_it_ends_with_5(run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for action in ("up", "preview", "outputs"):
        ended = run(action, "production")
        assert ended.code == 5
        assert "the program pulumi: found none on PATH" in ended.err


def test_a_misspelt_stack_is_bad_input(run: Command, pulumi: Pulumi) -> None:
    ended = run("up", "productoin")
    assert ended.code == 2
    assert "there are: local, preview-base" in ended.err


def test_marking_needs_a_cluster_that_is_named(run: Command) -> None:
    ended = run("mark", "production")
    assert ended.code == 2
    assert "expected --kubeconfig FILE or --context NAME" in ended.err


@pytest.mark.parametrize(
    ("setting", "match"),
    [('cluster = "elsewhere"', "found no Pulumi.yaml in"), ("cluster = 3", "found 3, expected the folder")],
)
def test_the_program_s_folder_is_a_setting_of_the_site(setting: str, match: str, tmp_path: Path) -> None:
    text = f'[tool.aphiria-deploy]\nsite = "apps:site"\n{setting}\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=match):
        cluster_folder(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "Pulumi.yaml").write_text("name: x\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.aphiria-deploy]\ncluster = "elsewhere"\n', encoding="utf-8")
    assert cluster_folder(tmp_path / "elsewhere") == tmp_path / "elsewhere"
