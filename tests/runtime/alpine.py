"""The commands that a shell script finds in an image of Alpine's: busybox, and the programs that the image is for."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.runtime.jobs import COMMANDS
from tests.runtime.needs import binary
from tests.runtime.pods import Image

_TREE = "/opt/tree"


def commands(folder: Path, *programs: Path) -> Path:
    """Makes a folder of commands, the only one of a PATH, or skips the test where there is no busybox.

    Args:
        folder: The folder.
        programs: What the image has beside busybox.
    """
    busybox = binary("busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    folder.mkdir(parents=True)
    for name in applets:
        (folder / name).symlink_to(busybox)
    for program in programs:
        # Not everything that is named like an applet is one.
        (folder / program.name).unlink(missing_ok=True)
        (folder / program.name).symlink_to(program)
    return folder


def image(folder: Path, programs: Sequence[Path], tree: Path | None = None) -> Image:
    """Makes an image in a folder.

    Args:
        folder: The folder.
        programs: What it has beside busybox.
        tree: The folder that the programs are in with what they need, where that is none of the system's.
    """
    if tree is None:
        commands(folder / COMMANDS.lstrip("/"), *programs)
        return Image(folder, [])
    commands(folder / COMMANDS.lstrip("/"), *(Path(_TREE) / program.relative_to(tree) for program in programs))
    (folder / _TREE.lstrip("/")).mkdir(parents=True)
    return Image(folder, [], {_TREE: tree})
