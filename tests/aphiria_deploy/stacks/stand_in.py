"""A stand-in for the program `pulumi`, where it is not to be had: the command line that the Automation API speaks.

It runs the real program on Pulumi's unit-test runtime, compares what it registers with what is remembered, tells of it
as engine events over gRPC in the shapes that the engine has (`shapes`), and remembers it. What it does not do is to
call a provider. What Pulumi's command would refuse, it refuses (`command_line`).
Run as ``python -m tests.aphiria_deploy.stacks.stand_in ARGUMENT…``; `Pulumi` sets it up for a test.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.aphiria_deploy.stacks import shapes
from tests.aphiria_deploy.stacks.command_line import UnknownWordError, parse

ROOT = Path(__file__).resolve().parents[3]
VERSION = "v3.260.0"


@dataclass(frozen=True)
class Pulumi:
    """The stand-in on a test's PATH.

    Attributes:
        folder: Where it remembers its stacks.
        environment: The environment variables that a run needs.
    """

    folder: Path

    @classmethod
    def install(cls, folder: Path) -> Pulumi:
        """Writes the program into a folder."""
        (folder / "bin").mkdir(parents=True)
        program = folder / "bin" / "pulumi"
        program.write_text(
            f'#!/bin/sh\nexec env PYTHONPATH="{ROOT}" "{sys.executable}" -m {__name__} "$@"\n', encoding="utf-8"
        )
        program.chmod(0o755)
        (folder / "stacks").mkdir()
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_STAND_IN": str(self.folder),
        }

    def fail(self, *failures: dict[str, Any]) -> None:
        """Has the next runs fail: each with ``code``, ``stderr``, ``diagnostic``, or ``hang``; or go well, if empty.

        One that says ``on`` is for another command than a run: ``stack select``.
        """
        (self.folder / "failures.json").write_text(json.dumps(failures), encoding="utf-8")

    def commands(self) -> list[list[str]]:
        """The command lines that it was called with, but for what only asks for its version."""
        log = self.folder / "commands.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def state(self, stack: str) -> dict[str, Any]:
        """What it remembers of a stack."""
        found: dict[str, Any] = json.loads((self.folder / "stacks" / f"{stack}.json").read_text(encoding="utf-8"))
        return found

    def remembers(self, stack: str) -> bool:
        return (self.folder / "stacks" / f"{stack}.json").exists()

    def forget(self) -> None:
        """As on another machine with another login."""
        shutil.rmtree(self.folder / "stacks")
        (self.folder / "stacks").mkdir()


class _Run:
    def __init__(self, arguments: Sequence[str]) -> None:
        self.folder = Path(os.environ["PULUMI_STAND_IN"])
        self.line = parse(arguments, debugging=os.environ.get("PULUMI_DEBUG_COMMANDS") == "true")
        self.stack = self.line.stack

    @property
    def path(self) -> Path:
        return self.folder / "stacks" / f"{self.stack}.json"

    def run(self) -> int:
        return self._scripted() or self._asked()

    def _asked(self) -> int:
        match self.line.command:
            case "stack select":
                return self._known()
            case "stack init":
                self._write({"resources": {}, "outputs": {}, "secret": []})
                return 0
            case "stack output":
                return self._known() or self._output()
            case "stack history":
                sys.stdout.write(json.dumps([_SUMMARY]))
                return 0
            case "state unprotect":
                return self._known() or self._unprotect()
            case ("up" | "preview" | "destroy") as action:
                return self._known() or self._update(action)
            case command:
                raise AssertionError(f"a command that nobody needs: {command}")

    def _known(self) -> int:
        if self.path.exists():
            return 0
        sys.stderr.write(f"error: no stack named '{self.stack}' found\n")
        return 6

    def _output(self) -> int:
        state = self._read()
        shown = state["outputs"]
        if "show-secrets" not in self.line.options:
            shown = {name: "[secret]" if name in state["secret"] else value for name, value in shown.items()}
        sys.stdout.write(json.dumps(shown))
        return 0

    def _unprotect(self) -> int:
        state = self._read()
        if not state["resources"]:
            sys.stderr.write("error: no resources found to unprotect\n")
            return 1
        for resource in state["resources"].values():
            resource["protect"] = False
        self._write(state)
        return 0

    def _scripted(self) -> int:
        file = self.folder / "failures.json"
        failures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        action = self.line.command
        if not failures or action not in {failures[0].get("on", action), "up", "preview", "destroy"}:
            return 0
        if action not in {"up", "preview", "destroy"} and "on" not in failures[0]:
            return 0
        failure, *rest = failures
        file.write_text(json.dumps(rest), encoding="utf-8")
        if not failure:
            return 0
        if failure.get("hang"):
            self._hang()
        if "diagnostic" in failure:
            self._tell([_diagnostic(failure["diagnostic"]), _FAILED], _summary([], action, "failed"))
        sys.stderr.write(failure.get("stderr", ""))
        return int(failure.get("code", 1))

    def _hang(self) -> None:
        def stop(_number: int, _frame: object) -> None:
            (self.folder / "interrupted").touch()
            sys.exit(1)

        signal.signal(signal.SIGINT, stop)
        (self.folder / "hangs").touch()
        time.sleep(60)

    def _update(self, action: str) -> int:
        state = self._read()
        if action == "destroy":
            return self._destroy(state)
        # Here and not above: what only reads has no need of the provider SDKs.
        from tests.cluster import stacks  # noqa: PLC0415

        file = Path(self.line.options.get("config-file") or f"Pulumi.{self.stack}.yaml")
        found = stacks.from_file(self.stack, file)
        preview = action == "preview"
        fresh = preview and not state["resources"]
        try:
            run = stacks.run_program(self.stack, found, list(stacks.SECRETS), preview=fresh)
        except Exception as error:  # noqa: BLE001 - the engine tells whatever a program ends with
            self._tell([_diagnostic(f"{error}"), _FAILED], _summary([], action, "failed"))
            return 1
        now = {
            f"{each.type}::{each.name}": {
                "inputs": _without(stacks.plain(each.inputs), getattr(each.request, "ignoreChanges", ())),
                "protect": bool(getattr(each.request, "protect", False)),
                "op": _first_op(each),
            }
            for each in run.resources.values()
        }
        steps = list(_steps(state["resources"], now))
        told = [event for step in steps for event in _events(self.stack, step, preview=preview)]
        self._tell(told, _summary(steps, action, "succeeded"))
        if not preview:
            self._write({"resources": now, "outputs": run.outputs, "secret": sorted(run.secret)})
        return 0

    def _destroy(self, state: dict[str, Any]) -> int:
        protected = [key for key, resource in state["resources"].items() if resource["protect"]]
        if protected:
            urn = f"urn:pulumi:{self.stack}::aphiria-cluster::{protected[0]}"
            refused = _diagnostic(f'resource "{urn}" cannot be deleted\nbecause it is protected.', urn)
            self._tell([refused, _FAILED], _summary([], "destroy", "failed"))
            return 1
        steps = list(_steps(state["resources"], {}))
        told = [event for step in steps for event in _events(self.stack, step, preview=False)]
        self._tell(told, _summary(steps, "destroy", "succeeded"))
        self._write({"resources": {}, "outputs": {}, "secret": []})
        return 0

    def _tell(self, told: list[dict[str, Any]], summary: dict[str, Any]) -> None:
        events = [{"preludeEvent": {"config": {}}}, *told, summary, {"cancelEvent": {}}]
        send(self.line.options["event-log"], events)

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def _write(self, state: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(state, default=str, sort_keys=True), encoding="utf-8")


_SUMMARY = {
    "kind": "update",
    "startTime": "2026-01-01T00:00:00.000Z",
    "endTime": "2026-01-01T00:00:00.000Z",
    "message": "",
    "environment": {},
    "config": {},
    "result": "succeeded",
    "version": 1,
    "resourceChanges": {},
}


def send(
    address: str,
    events: Sequence[dict[str, Any]],
    *,
    until: int | None = None,
    wait: threading.Event | None = None,
) -> None:
    """Tells events as Pulumi's command does: over gRPC, each as JSON, with its number.

    Args:
        address: What the option ``--event-log`` says.
        events: The events of a whole run, without numbers and times where they are none of a recording.
        until: After how many of them to wait.
        wait: For what.
    """
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

    # As written down: what is read is checked.
    stamped = [{"sequence": number, "timestamp": 0, **event} for number, event in enumerate(events)]
    stamped = json.loads(json.dumps(stamped, default=str))
    if found := shapes.faults_of_run(stamped):
        raise AssertionError(f"events that Pulumi does not have: {found}")

    def requests() -> Iterator[Any]:
        for number, event in enumerate(stamped):
            if wait and number == until:
                wait.wait()
            yield events_pb2.EventRequest(event=json.dumps(event))

    with grpc.insecure_channel(address.removeprefix("tcp://")) as channel:
        events_pb2_grpc.EventsStub(channel).StreamEvents(requests())


def _first_op(resource: Any) -> str:
    if resource.read:
        return "read"
    return "import" if resource.request.importId else "create"


def _without(inputs: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Inputs but for those that are ignored; the paths of the program have one or two parts."""
    return {key: value for key, value in inputs.items() if key not in paths}


def _steps(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], list[str]]]:
    """What becomes of each resource: the operation, the key, the resource, the inputs that differ."""
    for key, resource in now.items():
        old = before.get(key)
        if old is None:
            yield resource["op"], key, resource, []
            continue
        # As they are after having been written down.
        inputs = json.loads(json.dumps(resource["inputs"], default=str))
        differing = sorted(
            name for name in inputs.keys() | old["inputs"].keys() if inputs.get(name) != old["inputs"].get(name)
        )
        yield ("update" if differing else "same"), key, resource, differing
    for key, resource in before.items():
        if key not in now:
            yield "delete", key, resource, []


def _events(stack: str, step: tuple[str, str, dict[str, Any], list[str]], *, preview: bool) -> Iterator[dict[str, Any]]:
    op, key, resource, differing = step
    type_ = key.partition("::")[0] if not key.startswith("pulumi:providers") else key.rpartition("::")[0]
    urn = f"urn:pulumi:{stack}::aphiria-cluster::{key}"
    state = {"type": type_, "urn": urn, "custom": True, "id": "", "parent": "", "provider": ""}
    state |= {"inputs": {}, "outputs": {}}
    if resource["protect"]:
        state["protect"] = True
    metadata: dict[str, Any] = {
        "op": op,
        "urn": urn,
        "type": type_,
        "old": None if op in {"create", "read", "import"} else state,
        "new": None if op == "delete" else state,
        "detailedDiff": {name: {"diffKind": "update", "inputDiff": True} for name in differing} or None,
        "logical": True,
        "provider": "",
    }
    if differing:
        metadata["diffs"] = differing
    planning = {"planning": True} if preview else {}
    yield {"resourcePreEvent": {"metadata": metadata, **planning}}
    yield {"resOutputsEvent": {"metadata": metadata, **planning}}


def _diagnostic(message: str, urn: str = "") -> dict[str, Any]:
    # Without marks of colours: they are left out where none are wanted.
    told = {"prefix": "error: ", "message": f"{message}\n", "color": "never", "severity": "error"}
    return {"diagnosticEvent": {"urn": urn, **told} if urn else told}


_FAILED = _diagnostic("update failed")


def _summary(steps: list[tuple[str, str, dict[str, Any], list[str]]], action: str, result: str) -> dict[str, Any]:
    changes: dict[str, int] = {}
    for op, *_ in steps:
        changes[op] = changes.get(op, 0) + 1
    return {
        "summaryEvent": {
            "maybeCorrupt": result == "failed",
            "durationSeconds": 1,
            "resourceChanges": changes,
            "PolicyPacks": {},
            "isPreview": action == "preview",
            "result": result,
        }
    }


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["version"]:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    try:
        run = _Run(arguments)
    except UnknownWordError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    with (run.folder / "commands.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(list(arguments)) + "\n")
    return run.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
