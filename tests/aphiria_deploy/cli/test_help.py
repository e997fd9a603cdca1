"""`--help` and completion: they say what there is, and load nothing that takes time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aphiria_deploy.cli.running import run

COMMANDS = ["pr", "local", "preview-base", "production", "diff", "drift", "status", "list", "history", "logs"]
COMMANDS += ["rollback", "destroy", "secrets apply", "check", "synth", "gc", "promote"]
COMMANDS += [f"cluster {name}" for name in ("up", "preview", "outputs", "destroy", "mark")]
COMMON = {"--kubeconfig", "--context", "--outputs", "--output", "--verbose"}
"""The options that every command on a cluster has."""
DEPLOYING = {"--bundle", "--plan", "--yes", "--timeout", "--wait-for-lock", "--skip-health-check", "--take-over"}
IMAGES = {"--web-image", "--api-image", "--images"}
JOINING = {"--skip-cluster", "--skip-dns", "--skip-dns-wait"}
OPTIONS = {
    "pr": COMMON | DEPLOYING | IMAGES | {"--commit"},
    "production": COMMON | DEPLOYING | IMAGES | JOINING | {"--commit"},
    "preview-base": COMMON | DEPLOYING | JOINING,
    "local": COMMON - {"--outputs"} | DEPLOYING | IMAGES | {"--skip-cluster"},
    "diff": COMMON | IMAGES | {"--bundle", "--timeout", "--take-over"},
    "drift": COMMON,
    "status": COMMON,
    "list": COMMON,
    "history": COMMON,
    "logs": COMMON - {"--output"} | {"--follow", "--previous", "--tail"},
    "rollback": COMMON | {"--to", "--plan", "--yes", "--timeout", "--wait-for-lock", "--skip-health-check"},
    "destroy": COMMON | {"--bundle", "--yes", "--timeout", "--wait-for-lock"},
    "secrets apply": COMMON | {"--bundle", "--timeout"},
    "cluster up": {"--set", "--timeout", "--output", "--verbose"},
    "cluster preview": {"--set", "--timeout", "--output", "--verbose"},
    "cluster outputs": {"--file", "--for-previews", "--timeout", "--output", "--verbose"},
    "cluster destroy": {"--confirm", "--timeout", "--output", "--verbose"},
    "cluster mark": {"--kubeconfig", "--context", "--site", "--timeout", "--verbose"},
}
HEAVY = {"aphiria_deploy.bundle", "aphiria_deploy.kube", "aphiria_deploy.github", "constructs_lib", "asyncio"}
HEAVY |= {"cdk8s", "http.client", "httpx", "jsii", "msgspec", "pulumi", "pygments", "rich", "ssl", "tomllib", "yaml"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_that_takes_time(command: str) -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); "
        "from aphiria_deploy.cli.main import run; run()"
    )
    asked = [sys.executable, "-c", program, *command.split(), "--help"]
    ended = subprocess.run(asked, check=True, capture_output=True, text=True)

    loaded = set(ended.stderr.split())
    assert "aphiria_deploy.cli.main" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(("command", "options"), OPTIONS.items())
def test_every_command_has_the_options_that_are_promised(command: str, options: set[str]) -> None:
    ended = run(*command.split(), "--help")

    assert ended.code == 0
    assert set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", ended.out, re.MULTILINE)) - {"--help"} == options


def test_every_command_is_listed() -> None:
    ended = run("--help")

    assert {command.split()[0] for command in COMMANDS} <= set(re.findall(r"^  ([a-z-]+) ", ended.out, re.MULTILINE))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str, tmp_path: Path) -> None:
    words = {"COMP_WORDS": "aphiria-deploy pre", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "aphiria-deploy pre"}
    given = {**os.environ, **words, "_APHIRIA_DEPLOY_COMPLETE": f"complete_{shell}", "HOME": str(tmp_path)}
    given |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}
    program = [str(Path(sys.executable).parent / "aphiria-deploy")]

    ended = subprocess.run(program, env=given, check=False, capture_output=True, text=True)

    assert "preview-base" in ended.stdout
    assert "production" not in ended.stdout
