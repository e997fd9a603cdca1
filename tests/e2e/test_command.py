"""The command on a real API server, from an empty folder: a preview's whole life, and what is seen of its secrets."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from aphiria_deploy.kube import Kind
from tests.aphiria_deploy.cli.schemas import DEPLOY, DESTROY
from tests.e2e.command import Commands, Ended
from tests.e2e.engine import OUTPUTS, Cluster, preview, soon

pytestmark = pytest.mark.xdist_group("site-cluster")

# Values that stand nowhere else, so that each can be looked for.
GIVEN = OUTPUTS | {name: f"{name}-{secrets.token_hex(8)}" for name in ("ghcrToken", "postgresqlAdminPassword")}


@pytest.fixture(scope="module")
def commands(site_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    made = Commands(tmp_path_factory.mktemp("commands"), site_cluster.plane.kubeconfig, GIVEN)
    yield made
    # Whatever was done with it.
    assert list((made.folder / "empty").iterdir()) == []


def report(ended: Ended, code: int, result: str, schema: dict[str, Any]) -> Any:
    """The report of a command, which says what it has to."""
    assert (ended.code, ended.data["result"]) == (code, result), ended
    jsonschema.validate(ended.data, schema)
    return ended.data


def test_a_preview_from_nothing_to_nothing(site_cluster: Cluster, commands: Commands) -> None:
    first = preview()
    number, name = first.environment.number, first.environment.name
    said = report(commands.deploy(first), 0, "deployed", DEPLOY)
    # Its namespace is there already, with what the account that deploys it has there.
    assert {one["kind"] for one in said["objects"] if one["action"] != "create"} <= {"Namespace", "NetworkPolicy"}
    assert said["changes"]["created"] > 10
    assert (said["revision"], said["images"]["web"]) == (1, first.images["web"].ref)
    assert said["urls"] == {"web": f"https://{number}.pr.aphiria.com", "api": f"https://{number}.pr-api.aphiria.com"}

    said = report(commands.deploy(first), 0, "unchanged", DEPLOY)
    assert said["changes"] | {"unchanged": 0} == {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}
    # What is given to a diff is what is given to a deploy.
    given = (*commands.named, *commands.settled)
    same = commands.run("diff", name, "--bundle", commands.bundle(first), *given)
    assert (same.code, same.err.count("error")) == (0, 0), same
    second = preview(number, web="c")
    other = commands.run("diff", name, "--bundle", commands.bundle(second), *given)
    assert other.code == 3
    assert f"~ Deployment preview-{name}/web" in other.out
    planned = commands.deploy(second, "--plan")
    report(planned, 0, "planned", DEPLOY)
    assert commands.ask("drift", name).code == 0

    assert report(commands.deploy(second), 0, "deployed", DEPLOY)["revision"] == 2
    _assert_told(commands, name, second.images["web"].ref)
    back = commands.ask("rollback", name, "--skip-health-check", "--output", "json")
    assert report(back, 0, "deployed", DEPLOY)["images"]["web"] == first.images["web"].ref

    seen = _secret_values(site_cluster, first.environment.namespace, name)
    _assert_unseen(site_cluster, commands, seen)
    _assert_destroyed(site_cluster, commands, name)
    _assert_unseen(site_cluster, commands, seen)


def _assert_told(commands: Commands, name: str, web: str) -> None:
    """What `status`, `list`, `history` and `logs` say of a preview at its second revision."""
    text, data = commands.ask("status", name), commands.ask("status", name, "--output", "json")
    assert (text.code, data.code, data.data["healthy"]) == (0, 0, True), text
    assert text.out.startswith(f"{name}: healthy, revision 2 deployed, ")
    assert (data.data["images"]["web"], data.data["revision"]) == (web, 2)
    listed = commands.ask("list", "--output", "json").data
    assert listed["stack"] == "preview-base"
    [row] = [row for row in listed["environments"] if row["environment"] == name]
    assert (row["result"], row["healthy"], row["pods"], row["revision"]) == ("deployed", True, "2/2", 2)
    assert commands.ask("list").out.split()[0] == "ENVIRONMENT"
    releases = commands.ask("history", name, "--output", "json").data["releases"]
    assert [(one["revision"], one["result"]) for one in releases] == [(2, "deployed"), (1, "deployed")]
    logs = commands.ask("logs", name, "php")
    assert logs.code == 0
    assert logs.out.splitlines()[0].endswith("/php | php has started")


def _assert_destroyed(site_cluster: Cluster, commands: Commands, name: str) -> None:
    gone = report(commands.ask("destroy", name, "--output", "json"), 0, "destroyed", DESTROY)
    told = {(line["kind"], line["name"]) for line in gone["receipt"]}
    database = f"aphiria_{name.replace('-', '_')}"
    assert {("database", database), ("role", database), ("Namespace", f"preview-{name}")} <= told
    assert all(line["gone"] for line in gone["receipt"])
    assert site_cluster.leftovers(name) == []
    again = report(commands.ask("destroy", name, "--output", "json"), 0, "absent", DESTROY)
    assert again["receipt"] == []
    for command in ("status", "logs", "rollback", "drift"):
        ended = commands.ask(command, name)
        assert (ended.code, ended.out) == (2, ""), ended
        assert f"{name}: found no release" in ended.err


def _secret_values(site_cluster: Cluster, namespace: str, name: str) -> list[str]:
    """What must be seen nowhere: what was given, what was generated, and what was made of both."""
    values = [GIVEN["ghcrToken"], GIVEN["postgresqlAdminPassword"]]
    values += site_cluster.secret("env-var-secrets", namespace).values()
    values += site_cluster.secret(f"db-role-{name}", "default").values()
    login = json.loads(site_cluster.secret("ghcr-pull-secret", namespace)[".dockerconfigjson"])
    values += [one["auth"] for one in login["auths"].values()]
    assert len(values) >= 5
    return [*values, *(base64.b64encode(value.encode()).decode() for value in values)]


def _assert_unseen(site_cluster: Cluster, commands: Commands, values: list[str]) -> None:
    places = {f"printed {number}": text for number, text in enumerate(commands.printed)}
    places |= {f"process {number}": text.decode(errors="replace") for number, text in enumerate(commands.arguments)}
    assert len(places) > 20
    kinds = site_cluster.plane.kubectl("api-resources", "--verbs=list", "--output=name").stdout.split()
    # CRDs are upstream's; events that core has are those of events.k8s.io too.
    others = [
        kind for kind in kinds if kind not in {"secrets", "events", "customresourcedefinitions.apiextensions.k8s.io"}
    ]
    objects = site_cluster.plane.kubectl("get", ",".join(others), "--all-namespaces", "--output=json")
    assert objects.returncode == 0, objects.stderr
    assert "ConfigMap" in objects.stdout
    places["objects"] = objects.stdout
    for secret in site_cluster.client.list(Kind("v1", "Secret"), soon(), namespace="aphiria-deploy").items:
        content = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        places[secret["metadata"]["name"]] = json.dumps(secret["metadata"]) + "".join(
            (gzip.decompress(value) if value[:2] == b"\x1f\x8b" else value).decode() for value in content.values()
        )
    assert [(place, value) for place, text in places.items() for value in values if value in text] == []
    # The preview's own token is one of Kubernetes' that are signed.
    assert [place for place in places if place != "objects" and "eyJhbGciOi" in places[place]] == []
