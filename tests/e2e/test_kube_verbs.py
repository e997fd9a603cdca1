"""Every verb of the client, on a real API server."""

from __future__ import annotations

import base64
import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml

from aphiria_deploy.errors import (
    AlreadyExistsError,
    BadRequestError,
    ClusterUnavailableError,
    ConflictError,
    CredentialError,
    FieldConflict,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnknownKindError,
)
from aphiria_deploy.kube import (
    FIELD_MANAGER,
    Client,
    Deadline,
    Kind,
    Patch,
    Ref,
    Tried,
    concurrently,
    load,
)
from aphiria_deploy.kube.mapping import KNOWN, Resource
from tests.crds import load_crds
from tests.e2e.control_plane import eventually
from tests.e2e.objects import CONFIG_MAP, DEPLOYMENT, config_map, deployment
from tests.e2e.plane import Plane

pytestmark = pytest.mark.xdist_group("control-plane")


def test_a_probe_says_the_version(client: Client, deadline: Deadline) -> None:
    assert client.probe(deadline).git_version.startswith("v1.")


def test_the_table_of_kinds_is_what_the_server_says(client: Client, deadline: Deadline) -> None:
    for crd in load_crds():
        client.apply(crd, deadline, force=True)

    def differences() -> dict[tuple[str, str], Resource | None]:
        client.serves(CONFIG_MAP, deadline)
        served = {(kind.group, kind.name): resource for kind, resource in client._discovered.items()}
        return {key: served.get(key) for key, resource in KNOWN.items() if served.get(key) != resource}

    eventually(30, "the CRDs are served, and the table is true", lambda: not differences())


def test_an_apply_makes_and_then_changes_and_then_leaves_alone(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    made = client.apply(config_map(namespace, "x", a="1"), deadline)
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["managedFields"][0]["manager"] == FIELD_MANAGER
    changed = client.apply(config_map(namespace, "x", b="2"), deadline)
    assert changed["data"] == {"b": "2"}
    same = client.apply(config_map(namespace, "x", b="2"), deadline)
    assert same["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_a_dry_run_changes_nothing(client: Client, namespace: str, deadline: Deadline) -> None:
    manifest = config_map(namespace, "x", a="1")
    assert client.apply(manifest, deadline, dry_run=True)["data"] == {"a": "1"}
    assert client.create(manifest, deadline, dry_run=True)["data"] == {"a": "1"}
    ref = Ref.of(manifest)
    assert client.find(ref, deadline) is None
    made = client.create(manifest, deadline)
    assert client.replace(made | {"data": {"a": "2"}}, deadline, dry_run=True)["data"] == {"a": "2"}
    assert client.patch(ref, {"data": {"a": "2"}}, deadline, dry_run=True)["data"] == {"a": "2"}
    client.delete(ref, deadline, dry_run=True)
    assert client.get(ref, deadline)["metadata"] == made["metadata"]


def test_a_conflict_names_fields_and_managers_until_it_is_forced(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    client.apply(deployment(namespace, "web", replicas=1), deadline, manager="somebody-else")
    wanted = deployment(namespace, "web", replicas=2, image="site/web:2")
    with pytest.raises(ConflictError, match=f"apply Deployment {namespace}/web: .*somebody-else") as raised:
        client.apply(wanted, deadline)
    assert set(raised.value.conflicts) >= {
        FieldConflict(".spec.replicas", "somebody-else"),
        FieldConflict('.spec.template.spec.containers[name="main"].image', "somebody-else"),
    }
    assert client.apply(wanted, deadline, force=True)["spec"]["replicas"] == 2


@pytest.mark.parametrize("dry_run", [True, False])
def test_unknown_fields_are_refused_in_an_apply_and_in_a_create(
    client: Client, namespace: str, deadline: Deadline, dry_run: bool
) -> None:
    wrong = deployment(namespace, "web")
    wrong["spec"]["replica"] = 2
    with pytest.raises(BadRequestError, match=r"\.spec\.replica: field not declared in schema") as applied:
        client.apply(wrong, deadline, dry_run=dry_run)
    with pytest.raises(BadRequestError, match=r'strict decoding error: unknown field "spec\.replica"') as created:
        client.create(wrong, deadline, dry_run=dry_run)
    for raised in (applied, created):
        assert [cause.field for cause in raised.value.causes] == [".spec.replica"]


def test_values_that_are_not_valid_and_immutable_fields_are_named(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    with pytest.raises(InvalidError) as raised:
        client.apply(deployment(namespace, "web", replicas=-1), deadline)
    assert [cause.field for cause in raised.value.causes] == ["spec.replicas"]
    client.apply(deployment(namespace, "web"), deadline)
    other = deployment(namespace, "web")
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(InvalidError) as raised:
        client.apply(other, deadline, dry_run=True)
    assert raised.value.immutable_fields == ["spec.selector"]


def test_a_dry_run_in_a_namespace_that_is_not_there(client: Client, deadline: Deadline) -> None:
    with pytest.raises(NotFoundError, match='namespaces "nowhere" not found'):
        client.apply(config_map("nowhere", "x"), deadline, dry_run=True)


@pytest.mark.parametrize(
    "data", [{"a": "hunter2!"}, {"a": {"b": "hunter2!"}}, "hunter2!", {"a": base64.b64encode(b"hunter2!").decode()}]
)
def test_no_error_about_a_secret_repeats_it(client: Client, namespace: str, deadline: Deadline, data: object) -> None:
    metadata = {"name": "Not.A.Name!" if isinstance(data, dict) and "=" in str(data) else "x", "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    with pytest.raises((BadRequestError, InvalidError)) as raised:
        client.apply(secret, deadline)
    assert "hunter2" not in f"{raised.value} {raised.value.causes!r}"
    assert base64.b64encode(b"hunter2!").decode() not in str(raised.value)


def test_an_object_is_created_once(client: Client, namespace: str, deadline: Deadline) -> None:
    client.create(config_map(namespace, "x"), deadline)
    with pytest.raises(AlreadyExistsError, match=f"create ConfigMap {namespace}/x"):
        client.create(config_map(namespace, "x"), deadline)
    generated = config_map(namespace, "x")
    generated["metadata"] = {"generateName": "x-", "namespace": namespace}
    names = {client.create(generated, deadline)["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2


def test_a_replacement_builds_on_what_was_read(client: Client, namespace: str, deadline: Deadline) -> None:
    read = client.create(config_map(namespace, "x", a="1"), deadline)
    assert client.replace(read | {"data": {"a": "2"}}, deadline)["data"] == {"a": "2"}
    with pytest.raises(ConflictError, match="the object has been modified") as raised:
        client.replace(read | {"data": {"a": "3"}}, deadline)
    assert raised.value.conflicts == ()
    version = {"resourceVersion": read["metadata"]["resourceVersion"]}
    with pytest.raises(ConflictError):
        client.patch(Ref.of(read), {"metadata": version, "data": {"a": "3"}}, deadline)


def test_a_patch_changes_a_part(client: Client, namespace: str, deadline: Deadline) -> None:
    ref = Ref.of(client.create(config_map(namespace, "x", a="1", b="2"), deadline))
    assert client.patch(ref, {"data": {"a": None, "c": "3"}}, deadline)["data"] == {"b": "2", "c": "3"}
    operations = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "remove", "path": "/data/b"}]
    assert client.patch(ref, operations, deadline, how=Patch.JSON)["data"] == {"c": "3"}
    with pytest.raises(InvalidError, match="test"):
        client.patch(ref, operations, deadline, how=Patch.JSON)
    with pytest.raises(NotFoundError):
        client.patch(Ref(CONFIG_MAP, "y", namespace), {"data": {}}, deadline)


def test_reading_what_is_there_and_what_is_not(client: Client, namespace: str, deadline: Deadline) -> None:
    ref = Ref.of(client.create(config_map(namespace, "x", a="1"), deadline))
    assert client.get(ref, deadline)["data"] == {"a": "1"}
    metadata_alone = client.get(ref, deadline, metadata_only=True)
    assert set(metadata_alone) == {"apiVersion", "kind", "metadata"}
    assert Kind.of(metadata_alone) == CONFIG_MAP
    missing = Ref(CONFIG_MAP, "y", namespace)
    assert client.find(missing, deadline) is None
    with pytest.raises(NotFoundError, match=f'get ConfigMap {namespace}/y: .*configmaps "y" not found'):
        client.get(missing, deadline)


def test_a_kind_that_the_cluster_does_not_know(client: Client, namespace: str, deadline: Deadline) -> None:
    ref = Ref(Kind("example.org/v1", "Mouse"), "x", namespace)
    with pytest.raises(UnknownKindError, match=r"Mouse \(example.org/v1\): .*does not serve it"):
        client.get(ref, deadline)
    assert client.find(ref, deadline) is None
    with pytest.raises(UnknownKindError, match="serves no such path"):
        client.get(Ref(Kind("apps/v9", "Deployment"), "x", namespace), deadline)
    assert client.serves(DEPLOYMENT, deadline)
    assert not client.serves(Kind("apps/v9", "Deployment"), deadline)


def test_a_kind_that_was_just_defined_is_discovered(client: Client, namespace: str, deadline: Deadline) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"tail": {"type": "integer"}}}}
    names = {"plural": "mice", "singular": "mouse", "kind": "Mouse"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "mice.zoo.example.org"},
        "spec": {"group": "zoo.example.org", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    client.apply(crd, deadline)
    kind = Kind("zoo.example.org/v1", "Mouse")
    eventually(30, "the kind is served", lambda: client.serves(kind, deadline))
    mouse = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "x", "namespace": namespace}}
    assert client.apply(mouse | {"tail": 3}, deadline)["tail"] == 3
    with pytest.raises(BadRequestError, match=r"\.tale: field not declared in schema"):
        client.apply(mouse | {"tale": 3}, deadline)
    client.delete(Ref.of(crd), deadline)


@pytest.mark.parametrize("metadata_only", [False, True])
def test_a_list_is_whole_whatever_the_size_of_its_pages(
    client: Client, namespace: str, deadline: Deadline, metadata_only: bool
) -> None:
    made = [config_map(namespace, f"x-{n}", labels={"odd": str(n % 2)}, n=str(n)) for n in range(23)]
    for outcome in concurrently([partial(client.apply, manifest, deadline) for manifest in made]):
        outcome.get()
    for page in (1000, 10, 1):
        found = client.list(
            CONFIG_MAP, deadline, namespace=namespace, labels="odd=1", page=page, metadata_only=metadata_only
        )
        assert {item["metadata"]["name"] for item in found.items} == {f"x-{n}" for n in range(1, 23, 2)}
        assert all(Kind.of(item) == CONFIG_MAP and ("data" in item) != metadata_only for item in found.items)
        assert found.resource_version.isdecimal()
    names = client.list(CONFIG_MAP, deadline, fields=f"metadata.name=x-3,metadata.namespace={namespace}").items
    assert len(names) == 1


def test_a_deletion_is_of_the_object_that_was_meant(client: Client, namespace: str, deadline: Deadline) -> None:
    made = client.create(config_map(namespace, "x"), deadline)
    ref, uid = Ref.of(made), made["metadata"]["uid"]
    with pytest.raises(ConflictError, match="UID"):
        client.delete(ref, deadline, uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(ConflictError):
        client.delete(ref, deadline, uid=uid, resource_version="1")
    client.delete(ref, deadline, uid=uid, resource_version=made["metadata"]["resourceVersion"])
    eventually(60, "it is gone", lambda: client.find(ref, deadline) is None)
    assert client.delete(ref, deadline, uid=uid) is None


def test_an_object_with_a_finalizer_goes_when_that_is_gone(client: Client, namespace: str, deadline: Deadline) -> None:
    manifest = config_map(namespace, "x")
    manifest["metadata"]["finalizers"] = ["example.org/wait"]
    made = client.create(manifest, deadline)
    going = client.delete(Ref.of(made), deadline, uid=made["metadata"]["uid"])
    assert going
    assert going["metadata"]["deletionTimestamp"]
    assert "example.org/wait" in going["metadata"]["finalizers"]
    assert client.find(Ref.of(made), deadline)
    client.patch(Ref.of(made), {"metadata": {"finalizers": None}}, deadline)
    eventually(10, "it is gone", lambda: client.find(Ref.of(made), deadline) is None)


def test_a_deletion_in_the_foreground_takes_what_belongs_to_it_first(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    made = client.create(deployment(namespace, "web"), deadline)
    replica_sets = partial(client.list, Kind("apps/v1", "ReplicaSet"), deadline, namespace=namespace)
    eventually(20, "it has a ReplicaSet", lambda: replica_sets().items)
    going = client.delete(Ref.of(made), deadline, uid=made["metadata"]["uid"])
    assert going
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
    eventually(60, "it is gone", lambda: client.find(Ref.of(made), deadline) is None)
    assert not replica_sets().items


def test_events_are_of_this_object_and_not_of_another_of_its_name(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    made = client.create(deployment(namespace, "web"), deadline)
    eventually(20, "it has an event", lambda: client.events(made, deadline))
    assert client.events(made, deadline)[0]["reason"] == "ScalingReplicaSet"
    client.delete(Ref.of(made), deadline, uid=made["metadata"]["uid"], propagation="Background")
    eventually(60, "it is gone", lambda: client.find(Ref.of(made), deadline) is None)
    again = client.create(deployment(namespace, "web", replicas=0), deadline)
    assert client.events(again, deadline) == []


def test_a_token_of_an_account_lets_in_and_no_further(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline, tmp_path: Path
) -> None:
    account = Ref(Kind("v1", "ServiceAccount"), "robot", namespace)
    metadata = {"name": account.name, "namespace": namespace}
    client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, deadline)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = client.ask_of(account, "token", asked, deadline)["status"]["token"]
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as robot:
        assert robot.probe(deadline)
        with pytest.raises(ForbiddenError, match=f"system:serviceaccount:{namespace}:robot") as raised:
            robot.list(CONFIG_MAP, deadline, namespace=namespace)
        assert raised.value.status == 403
    config["users"][0]["user"] = {"token": "hush-hush"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as nobody, pytest.raises(CredentialError, match="401 Unauthorized") as refused:
        nobody.list(CONFIG_MAP, deadline)
    assert "hush-hush" not in str(refused.value)


def test_somebody_else_may_be_acted_as(control_plane: Plane, deadline: Deadline, tmp_path: Path) -> None:
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"]["as"] = "jane"
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as jane, pytest.raises(ForbiddenError, match='User "jane"'):
        jane.list(CONFIG_MAP, deadline)


def test_a_certificate_of_another_authority_is_not_trusted(
    control_plane: Plane, deadline: Deadline, tmp_path: Path
) -> None:
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=other"
    keys = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([*request.split(), *keys], check=True, capture_output=True)
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    authority = config["clusters"][0]["cluster"]["certificate-authority"]
    path = tmp_path / "config"
    config["clusters"][0]["cluster"]["certificate-authority"] = str(tmp_path / "crt")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with (
        Client.load(path) as client,
        pytest.raises(ClusterUnavailableError, match="certificate is not trusted") as raised,
    ):
        client.probe(deadline, seconds=30)
    assert not raised.value.transient
    config["clusters"][0]["cluster"] |= {"certificate-authority": authority, "tls-server-name": "elsewhere.example"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as client, pytest.raises(ClusterUnavailableError, match="certificate is not trusted"):
        client.probe(deadline)
    config["clusters"][0]["cluster"]["tls-server-name"] = "kubernetes.default.svc"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as client:
        assert client.probe(deadline)


def test_a_client_certificate_is_shown_to_the_server(control_plane: Plane, deadline: Deadline, tmp_path: Path) -> None:
    # The server asks for none here, so that what is tested is that one can be loaded and does no harm.
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=me"
    keys = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([*request.split(), *keys], check=True, capture_output=True)
    config = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] |= {
        "client-certificate": "crt",
        "client-key-data": base64.b64encode((tmp_path / "key").read_bytes()).decode(),
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with Client.load(path) as client:
        assert client.probe(deadline)


def test_warnings_of_the_server_are_handed_on(control_plane: Plane, namespace: str, deadline: Deadline) -> None:
    warnings: list[tuple[str, str]] = []
    with Client(load(control_plane.kubeconfig), warn=lambda text, what: warnings.append((text, what))) as client:
        label = {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}}
        client.patch(Ref(Kind("v1", "Namespace"), namespace), label, deadline)
        client.apply(deployment(namespace, "web"), deadline, dry_run=True)
    assert len(warnings) == 1
    text, what = warnings[0]
    assert 'would violate PodSecurity "restricted' in text
    assert what == f"try to apply Deployment {namespace}/web"


def test_requests_are_counted_and_connections_few(control_plane: Plane, namespace: str, deadline: Deadline) -> None:
    tried: list[Tried] = []
    with Client(load(control_plane.kubeconfig), observe=tried.append) as client:
        made = [config_map(namespace, f"x-{n}") for n in range(40)]
        concurrently([partial(client.apply, manifest, deadline) for manifest in made], workers=4)
        client.list(CONFIG_MAP, deadline, namespace=namespace)
    assert len(tried) == 41
    assert all(one.error is None and one.seconds < 5 for one in tried)
    assert client.connections <= 4
