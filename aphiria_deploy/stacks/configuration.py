"""A stack's file, with what a command sets for one run: Pulumi would write that into the checkout's own file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from aphiria_deploy.errors import InputError


def read(folder: Path, stack: str) -> dict[str, Any]:
    """Reads a stack's file, ``Pulumi.<stack>.yaml``.

    Raises:
        InputError: There is none, or it is not one.
    """
    path = folder / f"Pulumi.{stack}.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        stacks = ", ".join(sorted(each.name.split(".")[1] for each in folder.glob("Pulumi.*.yaml"))) or "none"
        raise InputError(f"{path}: {error.strerror}; expected the file of a stack; there are: {stacks}") from error
    except yaml.YAMLError:
        raise InputError(f"{path}: found no YAML, expected the file of a stack") from None
    if not isinstance(found, dict) or not isinstance(found.get("config") or {}, dict):
        raise InputError(f"{path}: found no mapping with `config`, expected the file of a stack")
    return found


def project(folder: Path) -> str:
    """Reads the project's name, which begins each key of its configuration.

    Raises:
        InputError: There is no project in the folder.
    """
    path = folder / "Pulumi.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        return str(found["name"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{path}: found no project with a name, expected the Pulumi program of the cluster") from error


@contextmanager
def with_settings(folder: Path, stack: str, settings: Mapping[str, str]) -> Iterator[Path]:
    """While in the block, there is a file like the stack's own, with further settings.

    Args:
        folder: The program's folder.
        stack: The stack.
        settings: What is set for this run, by the key without the project's prefix. No secrets.

    Raises:
        InputError: The stack has no file.
    """
    document = read(folder, stack)
    prefix = project(folder)
    document["config"] = {
        **(document.get("config") or {}),
        **{f"{prefix}:{key}": value for key, value in settings.items()},
    }
    with tempfile.TemporaryDirectory(prefix="aphiria-deploy-") as temporary:
        path = Path(temporary, f"Pulumi.{stack}.yaml")
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        yield path
