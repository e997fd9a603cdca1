"""What the workflows deploy previews with: made by setup, kept as secrets, and enough for all that they do."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from aphiria_deploy import preview_outputs
from aphiria_deploy.cli import issuing as made_here
from aphiria_deploy.cli.connecting import Where
from aphiria_deploy.errors import InputError
from aphiria_deploy.github.engine import CommandEngine
from aphiria_deploy.issuing import ISSUER, ends, issue
from aphiria_deploy.kube import Client, load
from aphiria_deploy.masked import SecretValue
from tests.e2e.command import Commands
from tests.e2e.engine import OUTPUTS, Cluster, preview, soon

pytestmark = pytest.mark.xdist_group("issuer-outputs")

STACK = {
    "clusterId": "3b9b6a04-ffff-4d53-8c1f-1cc3d1a0d8a1",
    "clusterName": "preview-cluster",
    "clusterEndpoint": "https://elsewhere.example",
    "gatewayName": "nginx-gateway",
    "gatewayNamespace": "nginx-gateway",
    "postgresqlHost": "db.default.svc.cluster.local",
    "postgresqlPort": 5432,
    **OUTPUTS,
}


@pytest.fixture
def secrets(own_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What setup keeps at GitHub, made of an administrator's outputs; a job has it as variables."""
    kubeconfig = own_cluster.plane.kubeconfig.read_text(encoding="utf-8")
    file = tmp_path / "administrator.json"
    file.write_text(json.dumps({**STACK, "kubeconfig": kubeconfig}), encoding="utf-8")
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    found = {name: value.reveal() for name, value in made_here.issued(Where(None, "", file), 3600).items()}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def outputs(secrets: dict[str, str], tmp_path: Path) -> Path:
    """What a job writes down of it."""
    file = tmp_path / "outputs.json"
    assert made_here.write_outputs(file).startswith(f"{file}: PREVIEW_ISSUER_TOKEN, which previews are deployed with: ")
    return file


def test_with_it_a_preview_is_deployed_listed_swept_and_removed(
    own_cluster: Cluster, outputs: Path, secrets: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "command").mkdir()
    commands, made = Commands(tmp_path / "command", own_cluster.plane.kubeconfig, {}), preview()
    name, number = made.environment.name, str(made.environment.number)
    given = ("--outputs", str(outputs))
    bundle = ("--bundle", commands.bundle(made), "--skip-health-check")

    deployed = commands.run("pr", number, *bundle, *given, "--output", "json")
    assert (deployed.code, deployed.data["result"]) == (0, "deployed"), deployed
    assert deployed.data["capacity"]["more"] is not None
    assert "with the credential that was given" not in deployed.err

    engine = CommandEngine(given)
    ages = {one.environment: one.age_seconds for one in engine.environments()}
    assert ages[name] is not None
    assert commands.run("github", "room", *given).out == "room.json: 1 nodes that take pods\n"

    gone = engine.destroy(name)
    assert (gone.result, gone.clean) == ("destroyed", True)
    assert own_cluster.leftovers(name) == []
    assert engine.destroy(name).result == "absent"

    said = "".join(commands.printed)
    assert not [value for value in secrets.values() if value in said]
    assert not [one for one in commands.arguments if secrets["PREVIEW_ISSUER_TOKEN"].encode() in one]


def test_it_is_no_administrator(own_cluster: Cluster, outputs: Path, secrets: dict[str, str]) -> None:
    written = json.loads(outputs.read_text(encoding="utf-8"))

    assert stat.S_IMODE(outputs.stat().st_mode) == 0o600
    assert written.keys() == {*preview_outputs.FOR_PREVIEWS, "kubeconfig"}
    mine = ("ghcrToken", "ghcrUsername", "postgresqlAdminUser")
    others = [str(value) for name, value in OUTPUTS.items() if name not in mine]
    assert not [value for value in [*others, STACK["clusterId"]] if str(value) in outputs.read_text()]
    (user,) = yaml.safe_load(written["kubeconfig"])["users"]
    assert user["user"] == {"token": secrets["PREVIEW_ISSUER_TOKEN"]}
    assert secrets["PREVIEW_ISSUER_TOKEN"] not in secrets["PREVIEW_OUTPUTS"]
    assert secrets["PREVIEW_PULL_TOKEN"] not in secrets["PREVIEW_OUTPUTS"]
    path = outputs.with_name("issuer.kubeconfig")
    path.write_text(written["kubeconfig"], encoding="utf-8")
    with Client(load(path)) as client:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        user = client.review(review, soon())["status"]["userInfo"]
        assert user["username"] == f"system:serviceaccount:{ISSUER.namespace}:{ISSUER.name}"


def test_a_token_ends_when_it_was_asked_to(own_cluster: Cluster) -> None:
    made = issue(own_cluster.client, 7200, soon())
    (user,) = json.loads(made.kubeconfig.reveal())["users"]

    assert abs(made.ends - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    assert ends(SecretValue(user["user"]["token"])) == made.ends


def test_one_that_would_end_at_once_is_not_asked_for(own_cluster: Cluster) -> None:
    with pytest.raises(InputError, match="found 599 s, expected 600 s or more"):
        issue(own_cluster.client, 599, soon())


def test_without_the_account_it_is_said_what_makes_it(own_cluster: Cluster) -> None:
    account = own_cluster.client.get(ISSUER, soon())
    own_cluster.client.delete(ISSUER, soon(), propagation="Background")
    try:
        with pytest.raises(InputError, match="expected the account that the preview base makes: deploy preview-base"):
            issue(own_cluster.client, 3600, soon())
    finally:
        metadata = {key: account["metadata"][key] for key in ("name", "namespace", "labels")}
        own_cluster.client.apply({**account, "metadata": metadata}, soon())
