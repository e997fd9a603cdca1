"""What previews reserve of a real cluster and how many more fit, as plans, `list` and the comment say it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from aphiria_deploy import capacity, room
from aphiria_deploy.access import preview_access, revoke
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.cli import inspecting
from aphiria_deploy.cli.foresight import Foresight
from aphiria_deploy.errors import CancelledError
from aphiria_deploy.github.comment import Preview, State, render
from aphiria_deploy.github.engine import DeployReport
from aphiria_deploy.github.previews import told
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref, load
from aphiria_deploy.kube.credentials import Impersonating
from tests.aphiria_deploy.cli.schemas import CAPACITY, DEPLOY
from tests.e2e.command import Commands
from tests.e2e.engine import OUTPUTS, Cluster, preview, soon

pytestmark = pytest.mark.xdist_group("capacity")

ISSUER = "system:serviceaccount:aphiria-deploy-issuer:preview-issuer"
RESERVES = {"cpu": 0.7, "memoryBytes": 1664 * 1024**2, "pods": 2}
NODE_CPUS = 64


@pytest.fixture
def commands(own_cluster: Cluster, tmp_path: Path) -> Commands:
    return Commands(tmp_path, own_cluster.plane.kubeconfig, OUTPUTS)


@pytest.fixture(scope="module")
def running(own_cluster: Cluster) -> Iterator[Bundle]:
    """A preview that runs."""
    made = preview()
    assert own_cluster.deploy(made).result == "deployed"
    yield made
    own_cluster.destroy(made.environment.name)


@pytest.fixture
def issuing(own_cluster: Cluster, tmp_path: Path) -> Commands:
    """Commands of the account that makes accounts, as the workflows have it."""
    return commands_as(own_cluster, ISSUER, tmp_path / "issuer")


def commands_as(own_cluster: Cluster, user: str, folder: Path) -> Commands:
    config = yaml.safe_load(own_cluster.plane.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"]["as"] = user
    folder.mkdir()
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return Commands(folder, path, OUTPUTS)


@pytest.fixture
def reader(own_cluster: Cluster) -> Iterator[Client]:
    """Who may read what `list` needs, and neither nodes nor pods."""
    metadata = {"name": "reads-environments"}
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]}
        for group, resource in (("", "secrets"), ("", "configmaps"), ("", "namespaces"), ("apps", "deployments"))
    ]
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": metadata["name"]},
        "subjects": [{"apiGroup": api, "kind": "User", "name": "reader"}],
    }
    for item in (role, binding):
        own_cluster.client.apply(item, soon())
    access = load(own_cluster.plane.kubeconfig)
    with Client(access).as_another(Impersonating(access.credentials, {"Impersonate-User": "reader"}), "reader") as made:
        yield made
    for item in (role, binding):
        own_cluster.client.delete(Ref.of(item), soon())


def listed(commands: Commands) -> dict[str, Any]:
    data: dict[str, Any] = commands.ask("list", "--output", "json").data["capacity"]
    jsonschema.validate(data, CAPACITY)
    return data


def asked_for_the_list(own_cluster: Cluster) -> int:
    with own_cluster.asked() as (client, requests):
        inspecting.environments(client, soon())
    return len(requests.made)


def test_plans_and_the_list_say_how_many_more_fit(own_cluster: Cluster, commands: Commands) -> None:
    before, asked = listed(commands), asked_for_the_list(own_cluster)
    assert before["allocatable"]["cpu"] == NODE_CPUS
    made = preview()
    name = made.environment.name

    planned = commands.deploy(made, "--plan").data
    jsonschema.validate(planned, DEPLOY)
    capacity = planned["capacity"]
    assert (capacity["reserves"], capacity["nodes"], capacity["fits"]) == (RESERVES, 1, True)
    assert capacity["ofNode"] == {"cpu": round(0.7 / NODE_CPUS, 4), "memory": round(1664 / (256 * 1024), 4)}
    # By its CPU alone, since the node has memory for more; the last one needs what its deploy takes beside it.
    free = NODE_CPUS - before["requested"]["cpu"]
    assert capacity["more"] == int((free - 0.6 + 1e-9) / 0.7) - 1

    text = commands.run(*commands.deploying(made), "--plan")
    assert text.out.splitlines()[-1] == f"capacity: {capacity['text']}"
    assert capacity["text"].endswith(f"; {capacity['more']} more of this size fit on the 1 node that takes pods")

    deployed = commands.deploy(made)
    assert deployed.data["result"] == "deployed"
    assert deployed.data["capacity"] == capacity
    assert f"capacity: {capacity['text']}" in deployed.err.splitlines()
    # The comment takes it from there.
    report = msgspec.json.decode(deployed.out, type=DeployReport)
    begun = Preview(number=7, state=State.DEPLOYING, reserves="reserves some")
    assert f"; {capacity['more']} more of this size fit on the 1 node" in render(told(begun, report))

    after = listed(commands)
    assert after["previews"]["count"] == before["previews"]["count"] + 1
    assert after["previews"]["cpu"] == pytest.approx(before["previews"]["cpu"] + 0.7)
    assert after["requested"]["cpu"] == pytest.approx(before["requested"]["cpu"] + 0.7)
    assert after["requested"]["pods"] == before["requested"]["pods"] + 2
    assert asked_for_the_list(own_cluster) == asked == 6
    assert (after["usual"], after["more"]) == (RESERVES, capacity["more"])
    assert commands.ask("list").out.splitlines()[-2:] == ["", after["text"]]

    # It has its room: as many more fit beside its next revision.
    changed = commands.deploy(preview(made.environment.number, web="c"), "--plan").data["capacity"]
    assert (changed["fits"], changed["more"]) == (True, capacity["more"])
    for more in ((), ("--plan",)):
        same = commands.deploy(made, *more)
        assert "capacity" not in same.data
        assert "capacity" not in same.err
    own_cluster.destroy(name)
    assert listed(commands)["requested"] == before["requested"]


def test_a_rollback_says_it(own_cluster: Cluster, commands: Commands) -> None:
    first = preview()
    name = first.environment.name
    for made in (first, preview(first.environment.number, web="c")):
        assert commands.deploy(made).code == 0

    planned = commands.ask("rollback", name, "--plan", "--output", "json").data
    done = commands.ask("rollback", name, "--skip-health-check", "--output", "json")
    own_cluster.destroy(name)

    jsonschema.validate(planned, DEPLOY)
    assert (planned["capacity"]["reserves"], planned["capacity"]["fits"]) == (RESERVES, True)
    assert done.data["capacity"] == planned["capacity"]
    assert planned["capacity"]["text"] in done.err


def test_no_room_is_said_and_fails_no_plan(own_cluster: Cluster, commands: Commands) -> None:
    nodes_of_all = own_cluster.client.list(Kind("v1", "Node"), soon()).items
    nodes = [node for node in nodes_of_all if not node["spec"].get("unschedulable")]
    for node in nodes:
        own_cluster.client.patch(Ref.of(node), {"spec": {"unschedulable": True}}, soon())
    try:
        planned = commands.deploy(preview(), "--plan")
        summed = listed(commands)
    finally:
        for node in nodes:
            own_cluster.client.patch(Ref.of(node), {"spec": {"unschedulable": None}}, soon())

    capacity = planned.data["capacity"]
    assert (planned.code, capacity["fits"], capacity["more"], capacity["nodes"]) == (0, False, 0, 0)
    assert capacity["text"].endswith("; no room for it when it was planned, on the 0 nodes that take pods")
    assert summed["text"].endswith("no node takes pods")


def test_who_makes_accounts_is_told_it_too(own_cluster: Cluster, commands: Commands, issuing: Commands) -> None:
    """The account that the workflows have: their plans, their lists, and what they write down for who has none."""
    before, made = listed(commands), preview()
    name = made.environment.name

    planned = issuing.deploy(made, "--plan").data["capacity"]
    deployed = issuing.deploy(made)
    assert deployed.code == 0, deployed
    assert (
        deployed.data["capacity"]
        == planned
        == commands.deploy(preview(made.environment.number, web="c"), "--plan").data["capacity"]
    )
    assert planned["more"] is not None
    assert f"capacity: {planned['text']}" in deployed.err.splitlines()
    whole = commands.ask("list", "--output", "json").data
    mine = issuing.ask("list", "--output", "json").data
    ages = [[one.pop("ageSeconds") for one in found["environments"]] for found in (whole, mine)]
    assert mine == whole
    assert ages[0] == pytest.approx(ages[1], abs=10)
    assert mine["capacity"]["requested"]["pods"] == before["requested"]["pods"] + 2

    file = issuing.folder / "room.json"
    said = issuing.ask("github", "room", "--file", str(file))
    assert (said.code, said.out) == (0, f"{file}: 1 nodes that take pods\n")
    seen = room.decode(file.read_bytes(), "room.json")
    another = preview()
    later = commands.deploy(another, "--plan").data["capacity"]
    found = seen.outlook(another.manifests, seen.seen + timedelta(hours=3))
    assert (found.fits, found.more, found.nodes) == (later["fits"], later["more"], 1)
    assert capacity.describe(found) == f"{later['text']}, as of {seen.seen:%Y-%m-%d %H:%M} UTC, 3 h before this plan"
    own_cluster.destroy(name)


def test_who_may_not_list_nodes_deploys_all_the_same(own_cluster: Cluster, tmp_path: Path) -> None:
    made = preview()
    name = made.environment.name
    own = preview_access(own_cluster.client, name, soon())
    assert isinstance(own, Client)
    own.close()
    with_its_own = commands_as(own_cluster, f"system:serviceaccount:aphiria-deploy-previews:{name}", tmp_path / "own")

    deployed = with_its_own.deploy(made)
    looked = with_its_own.ask("github", "room", "--file", str(tmp_path / "room.json"))
    own_cluster.destroy(made.environment.name)
    revoke(own_cluster.client, name, soon())

    assert looked.code == 0
    assert looked.out.startswith("what the cluster has for more previews is not known: list Node: ")
    assert not (tmp_path / "room.json").exists()
    jsonschema.validate(deployed.data, DEPLOY)
    found = deployed.data["capacity"]
    assert (deployed.code, found["reserves"]) == (0, RESERVES), deployed
    assert [found[key] for key in ("ofNode", "nodes", "fits", "more")] == [None] * 4
    assert 'cannot list resource "nodes"' in found["unread"]
    assert found["text"].endswith(f"; how many more fit is not known: {found['unread']}")


def test_who_may_not_list_nodes_is_told_what_previews_reserve(
    own_cluster: Cluster, running: Bundle, reader: Client
) -> None:
    whole = inspecting.environments(own_cluster.client, soon())["capacity"]
    found = inspecting.environments(reader, soon())["capacity"]

    jsonschema.validate(found, CAPACITY)
    assert found["previews"] == whole["previews"]
    assert found["previews"]["count"] > 0
    assert [found[key] for key in ("nodes", "allocatable", "requested", "more")] == [None] * 4
    assert "nodes is forbidden" in found["text"]


def test_requests_are_few_and_none_of_what_is_not_shown(own_cluster: Cluster, running: Bundle) -> None:
    name = running.environment.name
    same = own_cluster.deploy(running, plan_only=True).plan
    changed = own_cluster.deploy(preview(running.environment.number, web="c"), plan_only=True).plan
    assert same
    assert changed
    with own_cluster.asked() as (client, requests):
        assert Foresight(client, name, soon()).of(same) is None
        assert Foresight(client, "production", soon()).of(changed) is None
        assert requests.made == []

        foresight = Foresight(client, name, soon())
        found = foresight.of(changed)
        assert found is not None
        assert foresight.of(changed) is found
        asked = [one.target.split("?")[0] for one in requests.made if "/v1/" in one.target]
        assert sorted(asked) == ["/api/v1/nodes", "/api/v1/pods"]


def test_the_account_of_a_preview_is_not_asked(own_cluster: Cluster) -> None:
    """It may not list nodes: with it alone, what is reserved is said, and the rest not."""
    made = preview()
    name = made.environment.name
    own = preview_access(own_cluster.client, name, soon(), makes_namespace=False)
    assert isinstance(own, Client)
    with own:
        planned = own_cluster.deploy(made, client=own, plan_only=True)
        assert planned.plan
        of_own = Foresight(own, name, soon()).of(planned.plan)
        of_given = Foresight(own_cluster.client, name, soon()).of(planned.plan)
    revoke(own_cluster.client, name, soon())

    assert of_own is not None
    assert of_given is not None
    assert of_own.wanted == of_given.wanted
    assert (of_own.more, of_given.unread) == (None, "")
    assert "nodes is forbidden" in of_own.unread


def test_who_stops_the_command_stops_this_too(own_cluster: Cluster) -> None:
    made = preview()
    planned = own_cluster.deploy(made, plan_only=True)
    cancellation = Cancellation()
    deadline = Deadline.after(30, "the test", cancellation)
    cancellation.cancel("SIGINT")

    assert planned.plan
    with pytest.raises(CancelledError):
        Foresight(own_cluster.client, made.environment.name, deadline).of(planned.plan)
