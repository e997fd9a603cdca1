"""A stand-in for the program `pulumi`, where it is not to be had: the command line that the Automation API speaks.

It runs the real program on Pulumi's unit-test runtime, compares what it registers with what is remembered, tells of it
as engine events over gRPC in the shapes that the engine has, and remembers it. What it does not do is to call a
provider. Run as ``python -m tests.aphiria_deploy.stacks.stand_in ARGUMENT…``; `Pulumi` sets it up for a test.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        parser = argparse.ArgumentParser()
        for option in ("--stack", "--event-log", "--config-file", "--page-size", "--page", "--color", "--exec-kind"):
            parser.add_argument(option)
        for flag in ("--json", "--show-secrets", "--yes", "--all", "--non-interactive", "--skip-preview"):
            parser.add_argument(flag, action="store_true")
        for flag in ("--suppress-outputs", "--suppress-progress"):
            parser.add_argument(flag, action="store_true")
        parser.add_argument("--run-program", default="")
        parser.add_argument("words", nargs="*")
        self.options = parser.parse_args(arguments)
        words = self.options.words
        self.stack: str = self.options.stack or words[-1]

    @property
    def path(self) -> Path:
        return self.folder / "stacks" / f"{self.stack}.json"

    def run(self) -> int:
        return self._scripted() or self._asked()

    def _asked(self) -> int:
        match self.options.words:
            case ["stack", "select"]:
                return self._known()
            case ["stack", "init", _]:
                self._write({"resources": {}, "outputs": {}, "secret": []})
                return 0
            case ["stack", "output"]:
                return self._known() or self._output()
            case ["stack", "history"]:
                sys.stdout.write(json.dumps([_SUMMARY]))
                return 0
            case ["state", "unprotect"]:
                return self._unprotect()
            case [("up" | "preview" | "destroy") as action]:
                return self._known() or self._update(action)
            case words:
                raise AssertionError(f"a command line that nobody needs: {words}")

    def _known(self) -> int:
        if self.path.exists():
            return 0
        sys.stderr.write(f"error: no stack named '{self.stack}' found\n")
        return 255

    def _output(self) -> int:
        state = self._read()
        shown = state["outputs"]
        if not self.options.show_secrets:
            shown = {name: "[secret]" if name in state["secret"] else value for name, value in shown.items()}
        sys.stdout.write(json.dumps(shown))
        return 0

    def _unprotect(self) -> int:
        state = self._read()
        for resource in state["resources"].values():
            resource["protect"] = False
        self._write(state)
        return 0

    def _scripted(self) -> int:
        file = self.folder / "failures.json"
        failures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        action = " ".join(self.options.words[:2])
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
        events = [_diagnostic(failure["diagnostic"])] if "diagnostic" in failure else []
        if self.options.event_log:
            self._tell([*events, {"cancelEvent": {}}])
        sys.stderr.write(failure.get("stderr", ""))
        return int(failure.get("code", 255))

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

        file = Path(self.options.config_file or f"Pulumi.{self.stack}.yaml")
        found = stacks.from_file(self.stack, file)
        preview = action == "preview"
        fresh = preview and not state["resources"]
        try:
            run = stacks.run_program(self.stack, found, list(stacks.SECRETS), preview=fresh)
        except Exception as error:  # noqa: BLE001 - the engine tells whatever a program ends with
            self._tell([_diagnostic(f"{error}"), {"cancelEvent": {}}])
            sys.stderr.write("error: update failed\n")
            return 255
        now = {
            f"{each.type}::{each.name}": {
                "inputs": _without(stacks.plain(each.inputs), getattr(each.request, "ignoreChanges", ())),
                "protect": bool(getattr(each.request, "protect", False)),
                "op": _first_op(each),
            }
            for each in run.resources.values()
        }
        steps = list(_steps(state["resources"], now))
        self._tell(
            [*(event for step in steps for event in _events(self.stack, step, preview=preview)), _summary(steps)]
        )
        if not preview:
            self._write({"resources": now, "outputs": run.outputs, "secret": sorted(run.secret)})
        return 0

    def _destroy(self, state: dict[str, Any]) -> int:
        protected = [key for key, resource in state["resources"].items() if resource["protect"]]
        if protected:
            urn = f"urn:pulumi:{self.stack}::aphiria-cluster::{protected[0]}"
            self._tell([_diagnostic(f'resource "{urn}" cannot be deleted\nbecause it is protected.', urn)])
            return 255
        steps = list(_steps(state["resources"], {}))
        self._tell([*(event for step in steps for event in _events(self.stack, step, preview=False)), _summary(steps)])
        self._write({"resources": {}, "outputs": {}, "secret": []})
        return 0

    def _tell(self, events: list[dict[str, Any]]) -> None:
        import grpc  # type: ignore[import-untyped]  # noqa: PLC0415
        from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

        address = self.options.event_log.removeprefix("tcp://")
        with grpc.insecure_channel(address) as channel:
            events_pb2_grpc.EventsStub(channel).StreamEvents(
                events_pb2.EventRequest(event=json.dumps({"sequence": number, "timestamp": 0, **event}))
                for number, event in enumerate(events)
            )

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
    new = {"type": type_, "urn": urn, "id": "", "parent": "", "provider": "", "protect": resource["protect"]}
    metadata = {
        "op": op,
        "urn": urn,
        "type": type_,
        "provider": "",
        "new": None if op == "delete" else new,
        "old": None if op in {"create", "read", "import"} else new,
        "diffs": differing or None,
        "detailedDiff": {name: {"diffKind": "update", "inputDiff": True} for name in differing} or None,
    }
    yield {"resourcePreEvent": {"metadata": metadata, "planning": preview}}
    yield {"resOutputsEvent": {"metadata": metadata, "planning": preview}}


def _diagnostic(message: str, urn: str = "") -> dict[str, Any]:
    return {
        "diagnosticEvent": {
            "urn": urn,
            "prefix": "<{%fg 1%}>error: <{%reset%}>",
            "message": f"<{{%reset%}}>{message}<{{%reset%}}>\n",
            "color": "raw",
            "severity": "error",
        }
    }


def _summary(steps: list[tuple[str, str, dict[str, Any], list[str]]]) -> dict[str, Any]:
    changes: dict[str, int] = {}
    for op, *_ in steps:
        changes[op] = changes.get(op, 0) + 1
    return {
        "summaryEvent": {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": changes, "PolicyPacks": {}}
    }


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["version"]:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    run = _Run(arguments)
    with (run.folder / "commands.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(list(arguments)) + "\n")
    return run.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
