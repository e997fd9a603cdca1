"""A small program with Pulumi's command and a state of its own in a folder: the real one, or one that is replayed.

The real one counts where PULUMI names its file, or where it is on the PATH. With PULUMI_RECORD set to a folder, what
it does is written there, as `pulumi/replays` has it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.aphiria_deploy.stacks import replay
from tests.aphiria_deploy.stacks.stand_in import ROOT

DATA: Final = Path(__file__).parent / "pulumi"
STACK: Final = "dev"
PASSPHRASE: Final = "of-no-use-elsewhere"


def real() -> Path | None:
    """The real command, where there is one."""
    named = os.environ.get("PULUMI") or shutil.which("pulumi")
    return Path(named).resolve() if named else None


@dataclass(frozen=True)
class Tiny:
    """The program, with the command on the PATH.

    Attributes:
        folder: The program's folder.
        state: The folder of the state.
        environment: What a run needs.
    """

    folder: Path
    state: Path
    environment: Mapping[str, str]

    @classmethod
    def set_up(cls, folder: Path, scenario: str, command: Path | None) -> Tiny:
        """Writes it into a folder.

        Args:
            folder: The folder.
            scenario: The name of the recording.
            command: The real command; without, the recording is replayed.
        """
        program, state, programs = folder / "program", folder / "state", folder / "bin"
        shutil.copytree(DATA / "program", program)
        state.mkdir()
        programs.mkdir()
        path = [os.environ["PATH"]]
        environment = {
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_HOME": str(folder / "home"),
        }
        record = os.environ.get("PULUMI_RECORD")
        if command:
            _use_this_python(program / "Pulumi.yaml")
            path.insert(0, str(command.parent))
        if not command or record:
            path.insert(0, str(programs))
            _write_program(programs / "pulumi")
            environment[replay.FILE] = str(Path(record or DATA / "replays") / f"{scenario}.jsonl")
            environment[replay.PLACE] = str(folder / "place")
        if command and record:
            environment[replay.REAL] = str(command)
        return cls(program, state, {**environment, "PATH": os.pathsep.join(path)})

    def lock(self) -> None:
        """Locks the stack, as another run would."""
        file = self.state / ".pulumi" / "locks" / "organization" / "tiny" / STACK / "another-run.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        other = {"pid": 1, "username": "ann", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}
        file.write_text(json.dumps(other), encoding="utf-8")

    def locks(self) -> list[Path]:
        """The locks that there are."""
        return list(self.state.glob(".pulumi/locks/**/*.json"))

    def write_stack(self, document: Mapping[str, Any]) -> None:
        """Writes the stack's file."""
        (self.folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(dict(document)), encoding="utf-8")


def _use_this_python(project: Path) -> None:
    document = yaml.safe_load(project.read_text(encoding="utf-8"))
    document["runtime"]["options"]["virtualenv"] = sys.prefix
    project.write_text(yaml.safe_dump(document), encoding="utf-8")


def _write_program(file: Path) -> None:
    module = replay.__name__
    file.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{ROOT}" "{sys.executable}" -m {module} "$@"\n', encoding="utf-8")
    file.chmod(0o755)
