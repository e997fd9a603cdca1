"""Runs the program on Pulumi's unit-test runtime with the real provider SDKs, and records what it registers."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import get_root_resource

from cluster import program

FOLDER = Path(program.__file__).parent
PROJECT = "aphiria-cluster"
ADDRESS = "203.0.113.7"
CLUSTER_ID = "3b9b6a04-ffff-4d53-8c1f-1cc3d1a0d8a1"
KUBE_SYSTEM_UID = "6f0f0d2e-aaaa-4b7b-9d53-0a5a3c1e2f10"
KUBECONFIG = "apiVersion: v1\nkind: Config\n"
OFFERED = ["1.35.1-do.0", "1.34.2-do.9", "1.34.2-do.10", "1.33.6-do.1"]

SECRETS = {
    "postgresqlAdminPassword": "password-of-the-admin",
    "ghcrToken": "token-of-the-registry",
    "digitaloceanDnsToken": "token-of-the-solver",
    "backupAccessKeyId": "id-of-the-key",
    "backupSecretAccessKey": "key-of-the-bucket",
}
FROM_ESC = {"vpcUuid": "5a4981aa-9653-4bd1-bef5-d6bff52042e4", **SECRETS}
"""What the ESC environment adds to a stack's file."""

STACKS = ("local", "preview-base", "production", "preview-base-dns", "production-dns")


@dataclass
class Registered:
    """A resource, as the engine is asked for it.

    Attributes:
        type: Its type's token.
        name: Its name in the program.
        inputs: Its inputs, with Pulumi's `Unknown` for what is not known yet, and secrets as they travel.
        request: All that was said.
        read: Whether it is only read.
    """

    type: str
    name: str
    inputs: dict[str, Any]
    request: Any
    read: bool = False


@dataclass
class Run:
    """What a run registered.

    Attributes:
        resources: The resources, by type and name.
        calls: The functions that it called, with their arguments.
        outputs: The stack's outputs; None for what is not known.
        secret: Which of them are secret.
    """

    resources: dict[tuple[str, str], Registered] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret: set[str] = field(default_factory=set)

    def one(self, type_: str) -> Registered:
        found = [each for (each_type, _), each in self.resources.items() if each_type == type_]
        assert len(found) == 1, [each.name for each in found]
        return found[0]

    def get(self, type_: str, name: str) -> Registered:
        return self.resources[type_, name]


class _Monitor(MockMonitor):
    def __init__(self, mocks: Mocks, run: Run) -> None:
        super().__init__(mocks)
        self._run = run

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        if request.type != "pulumi:pulumi:Stack":
            self._record(request, request.object, read=False)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        self._record(request, request.properties, read=True)
        return super().ReadResource(request)  # type: ignore[no-untyped-call]

    def _record(self, request: Any, inputs: Any, *, read: bool) -> None:
        key = request.type, request.name
        assert key not in self._run.resources, key
        found = rpc.deserialize_properties(inputs, keep_unknowns=True)
        self._run.resources[key] = Registered(request.type, request.name, found, request, read)


class _Mocks(Mocks):
    def __init__(self, run: Run, offered: list[str], *, preview: bool) -> None:
        self._run = run
        self._offered = offered
        self._preview = preview

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if self._preview:
            # Nothing is there yet, not even what is only read: its provider is not known.
            return None, {}
        state = dict(args.inputs)
        match args.typ:
            case "digitalocean:index/kubernetesCluster:KubernetesCluster":
                return CLUSTER_ID, {**state, "endpoint": "https://cluster.example"}
            case "kubernetes:core/v1:Namespace":
                return args.name, {**state, "metadata": {**state.get("metadata", {}), "uid": KUBE_SYSTEM_UID}}
            case _:
                return args.resource_id or f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self._run.calls.append((args.token, args.args))
        match args.token:
            case "digitalocean:index/getKubernetesVersions:getKubernetesVersions":
                return {"id": "versions", "validVersions": self._offered, "latestVersion": self._offered[0]}, []
            case "digitalocean:index/getKubernetesCluster:getKubernetesCluster":
                assert not self._preview, "a cluster that does not exist is asked for"
                return {"id": CLUSTER_ID, "name": args.args["name"], "kubeConfigs": [{"rawConfig": kubeconfig()}]}, []
            case token:
                raise AssertionError(f"a function that no stack needs: {token}")


def kubeconfig() -> str:
    """The cluster's kubeconfig: of a real cluster, where a test has one."""
    named = os.environ.get("STAND_IN_KUBECONFIG")
    return Path(named).read_text(encoding="utf-8") if named else KUBECONFIG


def configuration(stack: str, **changed: Any) -> tuple[dict[str, Any], list[str]]:
    """What Pulumi gives the program: the stack's file and its ESC environment; and which keys are encrypted.

    Args:
        stack: The stack.
        changed: Keys to set, and such to leave out where the value is None.
    """
    found = from_file(stack, FOLDER / f"Pulumi.{stack}.yaml")
    found |= {"address": ADDRESS} if stack.endswith("-dns") else {}
    found |= changed
    return {key: value for key, value in found.items() if value is not None}, list(SECRETS)


def from_file(stack: str, file: Path) -> dict[str, Any]:
    """What a stack's file has, and its ESC environment."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    prefix = f"{PROJECT}:"
    found = {
        key.removeprefix(prefix): value if isinstance(value, str) else json.dumps(value)
        for key, value in document["config"].items()
        if key.startswith(prefix)
    }
    found |= FROM_ESC if "environment" in document else {}
    if stack.startswith("preview-base"):
        # Previews are not backed up.
        found = {key: value for key, value in found.items() if not key.startswith("backup")}
    return found


def run_stack(stack: str, *, preview: bool = False, offered: list[str] | None = None, **changed: Any) -> Run:
    """Runs the program for a stack as its file has it, and waits for all that it started."""
    return run_program(stack, *configuration(stack, **changed), preview=preview, offered=offered)


def run_program(
    stack: str,
    found: Mapping[str, Any],
    encrypted: Collection[str],
    *,
    preview: bool = False,
    offered: list[str] | None = None,
) -> Run:
    """Runs the program with a configuration, and waits for all that it started."""
    run = Run()
    mocks = _Mocks(run, offered or OFFERED, preview=preview)
    pulumi.runtime.set_mocks(mocks, PROJECT, stack, preview, monitor=_Monitor(mocks, run))
    pulumi.runtime.set_all_config(
        {f"{PROJECT}:{key}": value for key, value in found.items()}, [f"{PROJECT}:{key}" for key in encrypted]
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def body() -> pulumi.Output[None]:
        root: Any = get_root_resource()
        root.outputs = {}
        program.run()
        return pulumi.Output.from_input(_describe(root.outputs, run))

    body()
    return run


async def _describe(outputs: Mapping[str, Any], run: Run) -> None:
    for name, value in outputs.items():
        output = pulumi.Output.from_input(value)
        run.outputs[name] = await output.future()
        if await output.is_secret():
            run.secret.add(name)


def plain(value: Any) -> Any:
    """A value as it would be without secrets in it."""
    if rpc.is_rpc_secret(value):
        return plain(value["value"])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_unknown(value: Any) -> bool:
    """Whether a value is not known yet."""
    return isinstance(value, pulumi.output.Unknown)
